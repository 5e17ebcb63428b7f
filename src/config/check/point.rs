//! The mapping from a message to points.

mod condition;
mod source;
mod steps;
mod tables;
mod time;

use std::collections::BTreeMap;

use super::sink::Kind;
use super::{At, Checker, template};
use crate::config::error::quoted;
use crate::config::raw::{FieldKind, FieldRule, RecordProperty, TagRule};
use crate::config::{Decode, raw};
use crate::map::{Field, Mapping, Piece, PointRule, Source, Tag, Template, TimeSource, Wildcard};

pub(super) use condition::condition;
use source::Parts;
pub(super) use source::{Within, of_element};
pub(super) use tables::{Tables, table, tables};
pub(super) use time::zone;

/// Of a format that is wrong itself, `decode` is `None`: most have documents.
pub(super) fn mapping(
    raw: &raw::ConnectorFile,
    checker: &mut Checker<'_>,
    sink: Option<Kind>,
    decode: Option<&Decode>,
    tables: &Tables,
) -> Option<Mapping> {
    let precision = precision(&raw.sink);
    if let Some(Decode::Points(_)) = decode {
        let at = &["point"];
        return Rule { at, checker, sink, precision, tables, explodes: false }.added(&raw.point);
    }
    if raw.points.is_empty() {
        let at = &["point"];
        let rule = Rule { at, checker, sink, precision, tables, explodes: false };
        return rule.rule(&raw.point).map(Mapping::from);
    }
    if checker.node(&["point"]).is_some() {
        checker.wrong_key(&["points"], "`point` is given, too; move it into the list");
    }
    let rules: Vec<_> = rules(raw)
        .map(|(at, raw)| {
            let at: Vec<_> = at.iter().map(String::as_str).collect();
            Rule { at: &at, checker, sink, precision, tables, explodes: false }.rule(raw)
        })
        .collect();
    types(raw, checker);
    Some(Mapping { points: rules.into_iter().collect::<Option<_>>()?, tags: Vec::new() })
}

/// The rules that a file has, each with its place.
pub(super) fn rules(
    raw: &raw::ConnectorFile,
) -> impl Iterator<Item = (Vec<String>, &raw::PointRules)> {
    let place = |index: usize| vec!["points".to_owned(), index.to_string()];
    let list = raw.points.iter().enumerate().map(move |(index, raw)| (place(index), raw));
    let only = raw.points.is_empty().then(|| (vec!["point".to_owned()], &raw.point));
    only.into_iter().chain(list)
}

/// A field of one measurement has one type in the database: the first write fixes it for ever.
fn types(raw: &raw::ConnectorFile, checker: &mut Checker<'_>) {
    let mut known: BTreeMap<(&str, &str), FieldKind> = BTreeMap::new();
    for (at, rule) in rules(raw) {
        let Some(measurement) = &rule.measurement else { continue };
        for (name, field) in &rule.fields {
            let kind = match field {
                FieldRule::Short(_) => FieldKind::Float,
                FieldRule::Long(field) => field.kind,
            };
            let first = *known.entry((measurement, name)).or_insert(kind);
            if first != kind {
                let at: Vec<_> = at.iter().map(String::as_str).collect();
                let message = format!(
                    "the field {} of {} is {} in an earlier point, and {} here; a database fixes a \
                     field's type with the first write",
                    quoted(name),
                    quoted(measurement),
                    word(first),
                    word(kind),
                );
                checker.wrong_key(&[&at, &["fields", name][..]].concat(), message);
            }
        }
    }
}

fn word(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Float => "a float",
        FieldKind::Integer => "an integer",
        FieldKind::Unsigned => "unsigned",
        FieldKind::Boolean => "a boolean",
        FieldKind::String => "a string",
    }
}

/// A rule of the file that is being checked.
struct Rule<'r, 'c> {
    /// Where it stands.
    at: At<'r>,
    checker: &'r mut Checker<'c>,
    sink: Option<Kind>,
    /// The nanoseconds between two times that the database can have.
    precision: i64,
    tables: &'r Tables,
    /// Whether it makes points of the elements of an array, so that paths start there.
    explodes: bool,
}

impl Rule<'_, '_> {
    /// Of messages that hold points, there is no path to a value.
    fn added(mut self, raw: &raw::PointRules) -> Option<Mapping> {
        let others = [
            ("measurement", raw.measurement.is_some()),
            ("fields", !raw.fields.is_empty()),
            ("timestamp", raw.timestamp.is_some()),
            ("when", raw.when.is_some()),
            ("explode", raw.explode.is_some()),
        ];
        for (key, is_there) in others {
            if is_there {
                let message =
                    "messages of this format hold points already; only `tags` can be added";
                self.checker.wrong_key(&["point", key], message);
            }
        }
        let (tags, all) = self.tags(raw)?;
        let names = tags.iter().filter(|tag| tag.source.is_of_the_value()).map(|tag| &tag.name);
        let stars = raw.tags.keys().filter(|name| !all.is_empty() && name.contains('*'));
        for name in names.chain(stars) {
            let message = "messages of this format hold points and have no paths; take a `header`, a \
                           `constant` or a property of the `record`";
            self.checker.wrong_key(&["point", "tags", name], message);
        }
        Some(Mapping { points: Vec::new(), tags })
    }

    fn rule(mut self, raw: &raw::PointRules) -> Option<PointRule> {
        let explode = raw.explode.as_ref().map(|text| {
            let at = [self.at, &["explode"]].concat();
            source::path(text, self.checker, &at)
        });
        self.explodes = explode.is_some();
        let when = raw.when.as_ref().map(|text| self.condition(text));
        let measurement = if let Some(text) = &raw.measurement {
            self.measurement(text)
        } else {
            let message =
                "the key `measurement` is missing: a constant, or a template such as `{{ topic }}`";
            self.checker.missing(self.at, message);
            None
        };
        let tags = self.tags(raw);
        let fields = self.fields(raw);
        if raw.fields.is_empty() {
            let at = [self.at, &["fields"]].concat();
            self.checker.missing(&at, "no fields: a point needs at least one");
        }
        for name in raw.fields.keys().filter(|name| raw.tags.contains_key(*name)) {
            let message = format!("{} is a tag's name already; rename one of them", quoted(name));
            let at = [self.at, &["fields", name]].concat();
            self.checker.wrong_key(&at, message);
        }
        let timestamp = match &raw.timestamp {
            Some(rule) => self.timestamp(rule),
            None => Some(TimeSource::Record),
        };
        let spread = self.spread(raw.timestamp.as_ref());
        let ((tags, all_tags), (fields, all_fields)) = (tags?, fields?);
        Some(PointRule {
            when: when.map_or(Some(None), |when| when.map(Some))?,
            explode: explode.map_or(Some(None), |path| path.map(Some))?,
            measurement: measurement?,
            tags,
            all_tags,
            fields,
            all_fields,
            timestamp: timestamp?,
            disambiguate: spread,
        })
    }

    fn measurement(&mut self, text: &str) -> Option<Template> {
        let at = &[self.at, &["measurement"]].concat();
        if text.trim().is_empty() {
            self.checker.wrong(at, "the measurement is empty");
            return None;
        }
        let template = self.template(text, at)?;
        let reserved =
            matches!(template.0.first(), Some(Piece::Text(text)) if text.starts_with('_'));
        if self.sink == Some(Kind::InfluxDb) && reserved {
            self.checker.wrong(at, "InfluxDB keeps names that begin with `_` for itself");
        }
        if template
            .0
            .iter()
            .any(|piece| matches!(piece, Piece::Text(t) if t.contains(char::is_control)))
        {
            let message = "a measurement can't hold a line break or another control character";
            self.checker.wrong(at, message);
        }
        Some(template)
    }

    /// Tags with a name each, and those under wildcards. All are checked, so that an error in one
    /// doesn't hide those of the next.
    fn tags(&mut self, raw: &raw::PointRules) -> Option<(Vec<Tag>, Vec<Wildcard>)> {
        let (mut tags, mut all) = (Vec::new(), Vec::new());
        for (name, rule) in &raw.tags {
            if is_wildcard(name, rule.path()) {
                all.push(self.all_tags(name, rule));
            } else {
                tags.push(self.tag(name, rule));
            }
        }
        let tags = tags.into_iter().collect::<Option<_>>();
        Some((tags?, all.into_iter().collect::<Option<_>>()?))
    }

    fn fields(&mut self, raw: &raw::PointRules) -> Option<(Vec<Field>, Vec<Wildcard>)> {
        let (mut fields, mut all) = (Vec::new(), Vec::new());
        for (name, rule) in &raw.fields {
            if is_wildcard(name, rule.path()) {
                all.push(self.all_fields(name, rule));
            } else {
                fields.push(self.field(name, rule));
            }
        }
        let fields = fields.into_iter().collect::<Option<_>>();
        Some((fields?, all.into_iter().collect::<Option<_>>()?))
    }

    fn tag(&mut self, name: &str, rule: &TagRule) -> Option<Tag> {
        let at = &[self.at, &["tags", name]].concat();
        check_name("tag", name, self.checker, at, self.sink);
        let rule = match rule {
            TagRule::Short(text) if text.contains("{{") || text.contains("}}") => {
                return Some(Tag::new(name, Source::Template(self.template(text, at)?)));
            }
            TagRule::Short(text) => return Some(Tag::new(name, self.path(text, at)?)),
            TagRule::Long(rule) => rule,
        };
        let parts = Parts {
            path: rule.path.as_deref(),
            template: rule.template.as_deref(),
            constant: rule.constant.as_ref(),
            header: rule.header.as_deref(),
            record: rule.record,
        };
        let source = self.source(&parts, at);
        if matches!(&source, Some(Source::Constant(text)) if text.is_empty()) {
            let at = [at, &["constant"][..]].concat();
            self.checker.wrong(&at, "a tag's value can't be empty");
        }
        let steps = steps::steps(&(&**rule).into(), self.tables, self.checker, at);
        self.refuse_limits(rule.depth, rule.limit, at);
        Some(Tag { name: name.into(), source: source?, steps: steps?, required: rule.required })
    }

    fn field(&mut self, name: &str, rule: &FieldRule) -> Option<Field> {
        let at = &[self.at, &["fields", name]].concat();
        check_name("field", name, self.checker, at, self.sink);
        let rule = match rule {
            FieldRule::Short(text) if text.contains("{{") => {
                self.checker.wrong(
                    at,
                    "a field in short is a path; for a template write `{ template: …, type: … }`",
                );
                return None;
            }
            FieldRule::Short(text) => {
                return Some(Field::new(name, self.path(text, at)?, FieldKind::Float));
            }
            FieldRule::Long(rule) => rule,
        };
        let parts = Parts {
            path: rule.path.as_deref(),
            template: rule.template.as_deref(),
            constant: rule.constant.as_ref(),
            header: rule.header.as_deref(),
            record: rule.record,
        };
        let source = match self.source(&parts, at) {
            Some(Source::Constant(_)) => {
                let at = [at, &["constant"][..]].concat();
                steps::constant(rule.kind, self.checker, &at).map(Source::Constant)
            }
            other => other,
        };
        if rule.record == Some(RecordProperty::Topic) && rule.kind != FieldKind::String {
            let at = [at, &["record"][..]].concat();
            let message = "a topic's name is text; add `type: string`, or make it a tag";
            self.checker.wrong(&at, message);
        }
        let steps = steps::steps(&(&**rule).into(), self.tables, self.checker, at);
        self.refuse_limits(rule.depth, rule.limit, at);
        Some(Field {
            name: name.into(),
            source: source?,
            steps: steps?,
            kind: rule.kind,
            coerce: rule.coerce,
            required: rule.required,
        })
    }

    fn all_tags(&mut self, name: &str, rule: &TagRule) -> Option<Wildcard> {
        let at = &[self.at, &["tags", name]].concat();
        let (steps, depth, limit) = match rule {
            TagRule::Short(_) => (Some(Vec::new()), None, None),
            TagRule::Long(rule) => (
                steps::steps(&(&**rule).into(), self.tables, self.checker, at),
                rule.depth,
                rule.limit,
            ),
        };
        let wildcard = self.wildcard("tag", name, rule.path(), at);
        Some(Wildcard { steps: steps?, ..limited(wildcard?, depth, limit) })
    }

    fn all_fields(&mut self, name: &str, rule: &FieldRule) -> Option<Wildcard> {
        let at = &[self.at, &["fields", name]].concat();
        let wildcard = self.wildcard("field", name, rule.path(), at);
        let FieldRule::Long(rule) = rule else { return wildcard };
        let steps = steps::steps(&(&**rule).into(), self.tables, self.checker, at);
        let (kind, coerce) = (rule.kind, rule.coerce);
        let wildcard = limited(wildcard?, rule.depth, rule.limit);
        Some(Wildcard { steps: steps?, kind, coerce, ..wildcard })
    }

    /// `'r_*': reading.*`: all values of `reading`, their names with `r_` before them.
    fn wildcard(
        &mut self,
        what: &str,
        name: &str,
        path: Option<&str>,
        at: At<'_>,
    ) -> Option<Wildcard> {
        let parts = name.split_once('*').filter(|(_, after)| !after.contains('*'));
        let Some((before, after)) = parts else {
            let message = format!(
                "a path that ends with `*` gives many {what}s, and their names need one `*` for the \
                 keys: `'*': reading.*`, or `'r_*': reading.*`"
            );
            self.checker.wrong_key(at, message);
            return None;
        };
        let at_path = [at, &["path"][..]].concat();
        let at_path = if self.checker.node(&at_path).is_some() { &at_path } else { at };
        let Some(object) = path.and_then(|path| path.strip_suffix('*')) else {
            let message = format!(
                "a {what}'s name with `*` in it needs a path that ends with `*`: `'{name}': \
                 reading.*`, or `'{name}': '*'` for all of the message"
            );
            self.checker.wrong_key(at, message);
            return None;
        };
        let whole = if self.explodes { "." } else { "$" };
        let object = match object.strip_suffix('.').unwrap_or(object) {
            "" => whole,
            object => object,
        };
        Some(Wildcard {
            before: before.into(),
            after: after.into(),
            source: self.path(object, at_path)?,
            depth: 1,
            limit: DEFAULT_LIMIT,
            steps: Vec::new(),
            kind: FieldKind::Float,
            coerce: false,
        })
    }

    fn refuse_limits(&mut self, depth: Option<u32>, limit: Option<u32>, at: At<'_>) {
        for (key, is_there) in [("depth", depth.is_some()), ("limit", limit.is_some())] {
            if is_there {
                let at = [at, &[key][..]].concat();
                self.checker.wrong_key(&at, "only a path that ends with `*` has this");
            }
        }
    }

    fn template(&mut self, text: &str, at: At<'_>) -> Option<Template> {
        let parsed =
            if self.explodes { template::parse_of_element(text) } else { template::parse(text) };
        template::reported(parsed, self.checker, at)
    }
}

/// The nanoseconds between two times that the database can have.
fn precision(sink: &raw::SinkChoice) -> i64 {
    let influxdb = sink.influxdb.as_ref().map(|influxdb| match influxdb.precision {
        raw::Precision::Ns => 1,
        raw::Precision::Us => 1_000,
        raw::Precision::Ms => 1_000_000,
        raw::Precision::S => 1_000_000_000,
    });
    let prometheus = sink.prometheus.as_ref().map(|_| 1_000_000);
    influxdb.or(prometheus).unwrap_or(1)
}

/// The default of `limit`.
const DEFAULT_LIMIT: usize = 100;

fn limited(wildcard: Wildcard, depth: Option<u32>, limit: Option<u32>) -> Wildcard {
    let (depth, limit) = (depth.map(|depth| depth as usize), limit.map(|limit| limit as usize));
    let depth = depth.unwrap_or(wildcard.depth);
    Wildcard { depth, limit: limit.unwrap_or(wildcard.limit), ..wildcard }
}

fn is_wildcard(name: &str, path: Option<&str>) -> bool {
    path.is_some_and(|path| path == "*" || path.ends_with(".*"))
        || (name.contains('*') && path.is_some())
}

/// Names that the database keeps for itself, or that can't be written.
pub(super) fn check_name(
    what: &str,
    name: &str,
    checker: &mut Checker<'_>,
    at: At<'_>,
    sink: Option<Kind>,
) {
    let shown = quoted(name);
    let message = if name.is_empty() {
        format!("a {what}'s name is empty")
    } else if name.contains(char::is_control) {
        format!("a {what}'s name can't hold a line break or another control character")
    } else {
        match sink {
            Some(Kind::InfluxDb) if name == "time" => {
                format!("InfluxDB keeps the name {shown} for the point's time; rename the {what}")
            }
            Some(Kind::InfluxDb) if name.starts_with('_') => {
                format!("InfluxDB keeps names that begin with `_` for itself; rename {shown}")
            }
            Some(Kind::InfluxDb) if name.ends_with('\\') => {
                format!("line protocol can't hold a {what}'s name that ends with a backslash")
            }
            _ => return,
        }
    };
    checker.wrong_key(at, message);
}
