//! A connector file from what was understood.

use std::fmt::Write as _;

use crate::infer::quoted;

/// A connector, with what could not be carried over.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// Fit for a file's name.
    pub name: String,
    /// Sentences, for people.
    pub notes: Vec<String>,
    pub(super) source: &'static str,
    pub(super) topics: Vec<String>,
    pub(super) pattern: Option<String>,
    pub(super) group: Option<String>,
    pub(super) workers: Option<u32>,
    pub(super) kafka: Vec<(String, String)>,
    /// A format's name; `json` if it is empty.
    pub(super) decode: &'static str,
    pub(super) measurement: String,
    /// Name and rule, as YAML.
    pub(super) tags: Vec<(String, String)>,
    pub(super) fields: Vec<(String, String)>,
    /// As YAML.
    pub(super) timestamp: Option<String>,
    /// The path of an array, each element of which is a point.
    pub(super) explode: Option<String>,
    /// Tags and fields that are left out of the points.
    pub(super) dropped: Vec<String>,
    /// Keys and values of `influxdb`, as YAML.
    pub(super) influxdb: Vec<(&'static str, String)>,
    pub(super) dead_letter: Option<String>,
}

impl Imported {
    /// Adds a sentence.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// All values of an object (`*`: of the message) were fields, and their names are not in the
    /// configuration; `depth` objects deep.
    pub(super) fn all_fields(&mut self, who: &str, path: &str, depth: u32) {
        let is_taken = self.fields.iter().any(|(name, _)| name == "*");
        let before = path.trim_end_matches('*').replace('.', "_");
        let name = if is_taken { format!("{before}*") } else { "*".into() };
        let rule = if depth > 1 {
            format!("{{ path: {}, depth: {depth} }}", quoted(path))
        } else {
            quoted(path)
        };
        self.fields.push((name, rule));
        self.note(format!(
            "{who} takes every value; `*` here takes every number, at most 100 in a message: name what is \
             text, a boolean or an integer in the database, such as `state: {{ path: state, type: string }}`; \
             `tidegate init --topic …` writes the fields of a topic"
        ));
    }

    /// The connector file.
    pub fn draft(&self) -> String {
        let mut text = format!("# Made by `tidegate import` from {}.\n", self.source);
        if !self.notes.is_empty() {
            text.push_str("#\n# Look at:\n");
        }
        // Writing to a String can't fail.
        for note in &self.notes {
            let note: String = note.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = writeln!(text, "# - {note}");
        }
        let topics: Vec<_> = self.topics.iter().map(|topic| quoted(topic)).collect();
        let _ = match &self.pattern {
            Some(pattern) => writeln!(text, "topics_pattern: {}", quoted(pattern)),
            None => writeln!(text, "topics: [{}]", topics.join(", ")),
        };
        if let Some(group) = &self.group {
            let _ = writeln!(text, "group: {}", quoted(group));
        }
        if let Some(workers) = self.workers {
            let _ = writeln!(text, "workers: {workers}");
        }
        section(
            &mut text,
            "kafka",
            self.kafka.iter().map(|(key, value)| (key.as_str(), quoted(value))),
        );
        let decode = if self.decode.is_empty() { "json" } else { self.decode };
        let measurement = quoted(&self.measurement);
        let _ = writeln!(text, "decode: {decode}\n\npoint:");
        if let Some(path) = &self.explode {
            let _ = writeln!(text, "  explode: {}", quoted(path));
        }
        let _ = writeln!(text, "  measurement: {measurement}");
        for (title, rules) in [("tags", &self.tags), ("fields", &self.fields)] {
            if !rules.is_empty() {
                let _ = writeln!(text, "  {title}:");
            }
            for (name, rule) in rules {
                let _ = writeln!(text, "    {}: {rule}", quoted(name));
            }
        }
        if let Some(rule) = &self.timestamp {
            let _ = writeln!(text, "  timestamp: {rule}");
        }
        if !self.dropped.is_empty() {
            let names: Vec<_> = self.dropped.iter().map(|name| quoted(name)).collect();
            let _ = writeln!(text, "\nprocess:\n  - drop: [{}]", names.join(", "));
        }
        text.push_str("\nsink:\n  influxdb:\n");
        for (key, value) in &self.influxdb {
            let _ = writeln!(text, "    {key}: {value}");
        }
        if let Some(topic) = &self.dead_letter {
            let _ = write!(text, "\ndead_letter: {{ topic: {} }}\n", quoted(topic));
        }
        text
    }
}

fn section<'k>(text: &mut String, title: &str, entries: impl Iterator<Item = (&'k str, String)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_some() {
        let _ = writeln!(text, "{title}:");
    }
    for (key, value) in entries {
        let _ = writeln!(text, "  {key}: {value}");
    }
}

/// A secret is not copied from one file to another: a variable stands for it.
pub(super) fn secret(imported: &mut Imported, key: &str, variable: &str) -> String {
    imported.note(format!("{key} was not copied: set the variable {variable}"));
    format!("'${{{variable}:-set-{variable}}}'")
}

/// Letters, digits, dots, underscores and hyphens.
pub(super) fn file_name(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }
    };
    let name: String = text.chars().map(plain).take(80).collect();
    if name.trim_matches(['.', '-']).is_empty() { "imported".into() } else { name }
}

/// A field's rule, in short where it is a float.
pub(super) fn field(path: &str, kind: Option<&str>) -> String {
    match kind {
        None => quoted(path),
        Some(kind) => format!("{{ path: {}, type: {kind} }}", quoted(path)),
    }
}
