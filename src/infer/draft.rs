//! The connector file, with a comment wherever something is guessed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::guess::{Field, Guesses, MANY, Tag, Time};
use super::points::Seen;
use super::{Inferred, What};
use crate::config::raw::{FieldKind, TimeUnit};

/// The longest line of an example.
const LONGEST: usize = 160;
/// Tags of points that are told.
const MOST_TAGS: usize = 50;
/// Where the comments begin, if there is room.
const COMMENTS: usize = 60;

/// Which database the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SinkKind {
    /// InfluxDB 2.
    Influxdb,
    /// InfluxDB 3.
    Influxdb3,
    /// Prometheus, Mimir and what else takes remote write.
    Prometheus,
    /// VictoriaMetrics, by its InfluxDB route.
    VictoriaMetrics,
    /// QuestDB.
    Questdb,
    /// The standard output.
    Stdout,
}

/// What a file needs besides what was inferred.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    pub topic: &'a str,
    /// `None`: from `tidegate.yaml`.
    pub bootstrap: Option<&'a str>,
    pub sink: SinkKind,
}

impl SinkKind {
    pub(super) fn has_strings(self) -> bool {
        self != Self::Prometheus && self != Self::VictoriaMetrics
    }

    pub(super) fn has_unsigned(self) -> bool {
        matches!(self, Self::Influxdb | Self::Influxdb3)
    }

    /// Whether a point must fit on one line.
    pub(super) fn is_lines(self) -> bool {
        self == Self::Stdout
    }

    fn text(self) -> &'static str {
        match self {
            Self::Influxdb => {
                "  influxdb:
    url: '${INFLUX_URL:-http://localhost:8086}'
    org: '${INFLUX_ORG:-acme}'
    bucket: '${INFLUX_BUCKET:-metrics}'
    # In production: '${file:/run/secrets/influx-token}'
    token: '${INFLUX_TOKEN:-set-INFLUX_TOKEN}'
"
            }
            Self::Influxdb3 => {
                "  influxdb:
    version: 3
    url: '${INFLUX_URL:-http://localhost:8181}'
    database: '${INFLUX_DATABASE:-metrics}'
    # In production: '${file:/run/secrets/influx-token}'
    token: '${INFLUX_TOKEN:-set-INFLUX_TOKEN}'
"
            }
            Self::Prometheus => {
                "  prometheus:
    # Prometheus needs --web.enable-remote-write-receiver and an out-of-order window: docs/sinks.md.
    url: '${PROMETHEUS_URL:-http://localhost:9090/api/v1/write}'
"
            }
            Self::VictoriaMetrics => {
                "  influxdb:
    url: '${VICTORIA_METRICS_URL:-http://localhost:8428}'
    org: unused                        # VictoriaMetrics looks at neither
    bucket: unused
    precision: ms                      # what VictoriaMetrics stores
"
            }
            Self::Questdb => {
                "  influxdb:
    url: '${QUESTDB_URL:-http://localhost:9000}'
    org: unused                        # QuestDB looks at neither
    bucket: unused
"
            }
            Self::Stdout => "  stdout: {}\n",
        }
    }
}

impl Inferred {
    /// What is to be looked at before the connector runs, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        match &self.what {
            What::Documents { guesses, has_unnamed_columns, .. } => {
                let mut warnings = guesses.warnings(self.samples);
                if *has_unnamed_columns {
                    warnings.push(
                        "the messages have no row with the columns' names: give them names in \
                         `decode`, and below"
                            .into(),
                    );
                }
                warnings
            }
            What::Points(seen) => seen.warnings(),
        }
    }

    /// The connector file.
    pub fn draft(&self, draft: &Draft<'_>) -> String {
        let topic = quoted(draft.topic);
        let mut text = format!(
            "# A draft by `tidegate init`, from {} message{} of the topic {}. What is guessed has a\n\
             # comment: read it, and try it with `tidegate preview` before it runs.\n",
            self.samples,
            if self.samples == 1 { "" } else { "s" },
            comment(draft.topic),
        );
        // Writing to a String can't fail.
        if let Some(example) = &self.example {
            let _ = write!(text, "#\n# A message:\n#   {}\n", cut(example));
        }
        let _ = writeln!(text, "topics: [{topic}]");
        if let Some(servers) = draft.bootstrap {
            let _ = writeln!(text, "kafka: {{ bootstrap.servers: {} }}", quoted(servers));
        }
        match &self.what {
            What::Documents { format, guesses, .. } => {
                let _ = writeln!(text, "decode: {format}\n\npoint:");
                guesses.explode(&mut text);
                let _ = writeln!(text, "  measurement: {}", quoted(&measurement(draft.topic)));
                guesses.tags(&mut text);
                guesses.fields(&mut text);
                guesses.time(&mut text);
            }
            What::Points(seen) => {
                let _ = writeln!(text, "decode: {}", seen.text);
                seen.remarks(&mut text);
            }
        }
        let _ = write!(text, "\nsink:\n{}", draft.sink.text());
        let dead = dead_letter(draft.topic);
        let _ = write!(
            text,
            "\n# Without this, the first rejected record stops the connector. The topic must exist.\n\
             dead_letter: {{ topic: {} }}\n",
            quoted(&dead),
        );
        text
    }
}

impl Seen {
    fn warnings(&self) -> Vec<String> {
        let many = self.tags.iter().filter(|(_, values)| values.len() > MANY / 2);
        let many = many.map(|(name, values)| {
            format!(
                "the tag {name} has {} values or more in {} messages: each is at least one series of its \
                 own; if there may be very many, `drop` it in `process`, or set a limit (docs/cardinality.md)",
                values.len(),
                self.messages,
            )
        });
        many.collect()
    }

    /// What the points have, in comments: nothing has to be said for it.
    fn remarks(&self, text: &mut String) {
        let some = |values: &BTreeSet<String>| {
            let more = if values.len() > 3 { ", …" } else { "" };
            let first: Vec<_> = values.iter().take(3).map(String::as_str).collect();
            comment(&format!("{}{more}", first.join(", ")))
        };
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (points, kinds) = (self.points, self.measurements.len());
        let _ = writeln!(
            text,
            "# The messages hold points, {points} of {kinds} measurement{}, and need no mapping: {}",
            plural(kinds),
            some(&self.measurements),
        );
        for (name, values) in self.tags.iter().take(MOST_TAGS) {
            let costly =
                if values.len() > MANY / 2 { "; CAUTION: each value is a series" } else { "" };
            let (name, count) = (comment(name), values.len());
            let _ = writeln!(
                text,
                "#   tag {name}: {count} value{}: {}{costly}",
                plural(count),
                some(values)
            );
        }
    }
}

impl Guesses {
    fn warnings(&self, samples: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        for Tag { name, values, is_costly, .. } in &self.tags {
            if *is_costly {
                warnings.push(format!(
                    "the tag {name} has {values} values or more in {samples} messages: each is at least one \
                     series of its own; leave it out, or make it a field of type string, if there \
                     may be very many",
                ));
            }
        }
        let most: usize =
            self.tags.iter().map(|tag| tag.values.max(1)).fold(1, usize::saturating_mul);
        if most > MANY * 100 {
            warnings.push(format!(
                "the tags' values may be combined in up to {most} ways, each a series; look at which \
                 tags are needed",
            ));
        }
        if self.time.is_none() {
            warnings.push(
                "no time was found in the messages, so points have the records' own timestamps"
                    .into(),
            );
        }
        if self.share_a_time {
            warnings.push(
                "all elements of a message have one time: where their tags are the same, too, the last \
                 point takes the others' place; a tag, or `disambiguate`, keeps them apart"
                    .into(),
            );
        }
        if self.counts {
            warnings.push(
                "some messages have no value that could be a field, so each message has the field \
                 messages=1"
                    .into(),
            );
        }
        warnings
    }

    fn explode(&self, text: &mut String) {
        if let Some(path) = &self.explode {
            let rule = format!("  explode: {}", quoted(path));
            line(
                text,
                &rule,
                "a point of each element; paths begin there, and `$.` at the message",
            );
        }
    }

    fn tags(&self, text: &mut String) {
        if !self.tags.is_empty() {
            text.push_str("  tags:\n");
        }
        for Tag { name, path, remark, is_costly, .. } in &self.tags {
            let source = short_or_long(path, "");
            let costly = if *is_costly { "; CAUTION: each value is a series" } else { "" };
            line(text, &format!("    {}: {source}", quoted(name)), &format!("{remark}{costly}"));
        }
    }

    fn fields(&self, text: &mut String) {
        text.push_str("  fields:\n");
        for Field { name, path, kind, coerce, remark } in &self.fields {
            let kind = match kind {
                FieldKind::Float => "",
                FieldKind::Integer => ", type: integer",
                FieldKind::Unsigned => ", type: unsigned",
                FieldKind::Boolean => ", type: boolean",
                FieldKind::String => ", type: string",
            };
            let more = format!("{kind}{}", if *coerce { ", coerce: true" } else { "" });
            let source = short_or_long(path, &more);
            line(text, &format!("    {}: {source}", quoted(name)), remark);
        }
        if self.counts {
            let field = "    messages: { constant: 1, type: integer }";
            line(text, field, "so that every message gives a point");
        }
        for (path, reason) in &self.left_out {
            let _ = writeln!(text, "    # left out: {}: {}", comment(path), comment(reason));
        }
    }

    fn time(&self, text: &mut String) {
        match &self.time {
            None => text.push_str(
                "  # timestamp: the record's own, because none was found in the messages\n",
            ),
            Some(Time { path, unit, remark }) => {
                let unit = match unit {
                    None => "format: rfc3339",
                    Some(TimeUnit::S) => "unit: s",
                    Some(TimeUnit::Ms) => "unit: ms",
                    Some(TimeUnit::Us) => "unit: us",
                    Some(TimeUnit::Ns) => "unit: ns",
                };
                let rule = format!("  timestamp: {{ path: {}, {unit} }}", quoted(path));
                line(text, &rule, remark);
            }
        }
    }
}

/// The topic's name as a measurement: letters, digits and underscores.
fn measurement(topic: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = topic.chars().map(plain).collect();
    match name.trim_matches('_') {
        "" => "messages".into(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("n{name}"),
        name => name.into(),
    }
}

/// Kafka has no longer names than 249.
fn dead_letter(topic: &str) -> String {
    let most = topic.len().min(240);
    format!("{}.dead", &topic[..topic.floor_char_boundary(most)])
}

/// A path in short, unless it would be taken for a template.
fn short_or_long(path: &str, more: &str) -> String {
    if more.is_empty() && !path.contains("{{") && !path.contains("}}") {
        quoted(path)
    } else {
        format!("{{ path: {}{more} }}", quoted(path))
    }
}

fn line(text: &mut String, rule: &str, remark: &str) {
    let room = COMMENTS.saturating_sub(rule.chars().count()).max(1);
    let _ = writeln!(text, "{rule}{:room$}# {}", "", comment(remark));
}

/// A scalar of YAML: plain where nothing can be taken for anything else.
pub(crate) fn quoted(text: &str) -> String {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_word = !matches!(
        text.to_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off"
    );
    if starts && is_word && text.chars().all(plain) {
        return text.to_owned();
    }
    let text = text.replace("${", "$${");
    if text.chars().all(|c| !c.is_control() && (c.is_ascii() || c.is_alphanumeric())) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            c if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out + "\""
}

/// Text for a comment: nothing that could end the line.
fn comment(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = comment(&line).chars().take(LONGEST).collect();
    if line.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}
