//! The mapping from a message to a point.

use std::collections::BTreeSet;

use super::sink::Kind;
use super::{At, Checker, canonical, template};
use crate::config::Decode;
use crate::config::error::quoted;
use crate::config::plain::Type;
use crate::config::raw::{FieldKind, FieldRule, RecordProperty, Scalar, TagRule};
use crate::config::{expand::Expansion, raw};
use crate::map::{Field, Mapping, Piece, PointRule, Source, Tag, Template, TimeSource};
use crate::path::Path;

/// Of a format that is wrong itself, `decode` is `None`: most have documents.
pub(super) fn mapping(
    raw: &raw::ConnectorFile,
    checker: &mut Checker<'_>,
    sink: Option<Kind>,
    decode: Option<&Decode>,
) -> Option<Mapping> {
    match decode {
        Some(Decode::Points(_)) => added(&raw.point, checker, sink),
        _ => rule(&raw.point, checker, sink).map(Mapping::from),
    }
}

/// Of messages that hold points, there is no path to a value.
fn added(raw: &raw::PointRules, checker: &mut Checker<'_>, sink: Option<Kind>) -> Option<Mapping> {
    let others = [
        ("measurement", raw.measurement.is_some()),
        ("fields", !raw.fields.is_empty()),
        ("timestamp", raw.timestamp.is_some()),
    ];
    for (key, is_there) in others {
        if is_there {
            let message = "messages of this format hold points already; only `tags` can be added";
            checker.wrong_key(&["point", key], message);
        }
    }
    let tags: Vec<_> = raw.tags.iter().map(|(name, rule)| tag(name, rule, checker, sink)).collect();
    for tag in tags.iter().flatten().filter(|tag| tag.source.is_of_the_value()) {
        let message = "messages of this format hold points and have no paths; take a `header`, a \
                       `constant` or a property of the `record`";
        checker.wrong_key(&["point", "tags", &tag.name], message);
    }
    Some(Mapping { points: Vec::new(), tags: tags.into_iter().collect::<Option<_>>()? })
}

fn rule(raw: &raw::PointRules, checker: &mut Checker<'_>, sink: Option<Kind>) -> Option<PointRule> {
    let measurement = if let Some(text) = &raw.measurement {
        measurement(text, checker, sink)
    } else {
        let message =
            "the key `measurement` is missing: a constant, or a template such as `{{ topic }}`";
        checker.missing(&["point"], message);
        None
    };
    // Collected after the loop, so that an error in one does not hide those of the next.
    let tags: Vec<_> = raw.tags.iter().map(|(name, rule)| tag(name, rule, checker, sink)).collect();
    let fields: Vec<_> =
        raw.fields.iter().map(|(name, rule)| field(name, rule, checker, sink)).collect();
    if raw.fields.is_empty() {
        checker.missing(&["point", "fields"], "no fields: a point needs at least one");
    }
    let tag_names: BTreeSet<_> = raw.tags.keys().collect();
    for name in raw.fields.keys().filter(|name| tag_names.contains(name)) {
        let message = format!("{} is a tag's name already; rename one of them", quoted(name));
        checker.wrong_key(&["point", "fields", name], message);
    }
    let timestamp = match &raw.timestamp {
        Some(rule) => timestamp(rule, checker),
        None => Some(TimeSource::Record),
    };
    Some(PointRule {
        measurement: measurement?,
        tags: tags.into_iter().collect::<Option<_>>()?,
        fields: fields.into_iter().collect::<Option<_>>()?,
        timestamp: timestamp?,
    })
}

fn measurement(text: &str, checker: &mut Checker<'_>, sink: Option<Kind>) -> Option<Template> {
    let at = &["point", "measurement"];
    if text.trim().is_empty() {
        checker.wrong(at, "the measurement is empty");
        return None;
    }
    let template = parse_template(text, checker, at)?;
    let reserved = matches!(template.0.first(), Some(Piece::Text(text)) if text.starts_with('_'));
    if sink == Some(Kind::InfluxDb) && reserved {
        checker.wrong(at, "InfluxDB keeps names that begin with `_` for itself");
    }
    if template
        .0
        .iter()
        .any(|piece| matches!(piece, Piece::Text(t) if t.contains(char::is_control)))
    {
        checker.wrong(at, "a measurement can't hold a line break or another control character");
    }
    Some(template)
}

pub(super) fn parse_template(
    text: &str,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Template> {
    template::reported(template::parse(text), checker, at)
}

fn tag(name: &str, rule: &TagRule, checker: &mut Checker<'_>, sink: Option<Kind>) -> Option<Tag> {
    let at = &["point", "tags", name];
    check_name("tag", name, checker, at, sink);
    let (source, required) = match rule {
        TagRule::Short(text) if text.contains("{{") || text.contains("}}") => {
            (parse_template(text, checker, at).map(Source::Template), false)
        }
        TagRule::Short(text) => (path(text, checker, at), false),
        TagRule::Long(rule) => {
            let parts = Parts {
                path: rule.path.as_deref(),
                template: rule.template.as_deref(),
                constant: rule.constant.as_ref(),
                header: rule.header.as_deref(),
                record: rule.record,
            };
            (source(&parts, checker, at), rule.required)
        }
    };
    if matches!(&source, Some(Source::Constant(text)) if text.is_empty()) {
        checker.wrong(&["point", "tags", name, "constant"], "a tag's value can't be empty");
    }
    Some(Tag { name: name.into(), source: source?, required })
}

fn field(
    name: &str,
    rule: &FieldRule,
    checker: &mut Checker<'_>,
    sink: Option<Kind>,
) -> Option<Field> {
    let at = &["point", "fields", name];
    check_name("field", name, checker, at, sink);
    let rule = match rule {
        FieldRule::Short(text) if text.contains("{{") => {
            checker.wrong(
                at,
                "a field in short is a path; for a template write `{ template: …, type: … }`",
            );
            return None;
        }
        FieldRule::Short(text) => {
            let (name, source) = (name.into(), path(text, checker, at)?);
            let (kind, coerce, required) = (FieldKind::Float, false, false);
            return Some(Field { name, source, kind, coerce, required });
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
    let source = source(&parts, checker, at);
    let source = match source {
        Some(Source::Constant(_)) => constant(name, rule.kind, checker).map(Source::Constant),
        other => other,
    };
    if rule.record == Some(RecordProperty::Topic) && rule.kind != FieldKind::String {
        checker.wrong(
            &["point", "fields", name, "record"],
            "a topic's name is text; add `type: string`, or make it a tag",
        );
    }
    let (kind, coerce, required) = (rule.kind, rule.coerce, rule.required);
    Some(Field { name: name.into(), source: source?, kind, coerce, required })
}

/// Names that the database keeps for itself, or that can't be written.
fn check_name(what: &str, name: &str, checker: &mut Checker<'_>, at: At<'_>, sink: Option<Kind>) {
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

/// The keys that say where a value comes from.
struct Parts<'r> {
    path: Option<&'r str>,
    template: Option<&'r str>,
    constant: Option<&'r Scalar>,
    header: Option<&'r str>,
    record: Option<RecordProperty>,
}

fn source(parts: &Parts<'_>, checker: &mut Checker<'_>, at: At<'_>) -> Option<Source> {
    const ONE: &str =
        "exactly one of `path`, `template`, `constant`, `header` and `record` is needed";
    let given: Vec<_> = [
        ("path", parts.path.is_some()),
        ("template", parts.template.is_some()),
        ("constant", parts.constant.is_some()),
        ("header", parts.header.is_some()),
        ("record", parts.record.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect();
    let below = |key| [at, &[key]].concat();
    match given.as_slice() {
        [] => {
            checker.missing(at, format!("no source: {ONE}"));
            return None;
        }
        [_] => {}
        [first, second, ..] => {
            checker.wrong_key(&below(second), format!("{} is given, too; {ONE}", quoted(first)));
            return None;
        }
    }
    if let Some(text) = parts.path {
        return path(text, checker, &below("path"));
    }
    if let Some(text) = parts.template {
        let at = below("template");
        let template = parse_template(text, checker, &at)?;
        if !template.0.iter().any(|piece| matches!(piece, Piece::Source(_))) {
            checker.wrong(&at, "a template without `{{ }}`; for fixed text use `constant`");
        }
        return Some(Source::Template(template));
    }
    if parts.constant.is_some() {
        return checker
            .scalar(&below("constant"))
            .map(|scalar| Source::Constant(canonical(scalar)));
    }
    if let Some(name) = parts.header {
        if name.is_empty() {
            checker.wrong(&below("header"), "the header's name is empty");
        }
        return Some(Source::Header(name.into()));
    }
    parts.record.map(|property| match property {
        RecordProperty::Key => Source::Key,
        RecordProperty::Topic => Source::Topic,
        RecordProperty::Partition => Source::Partition,
        RecordProperty::Offset => Source::Offset,
        RecordProperty::Timestamp => Source::Timestamp,
    })
}

fn path(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Source> {
    let error = match text.parse::<Path>() {
        Ok(path) => return Some(Source::Value(path)),
        Err(error) => error,
    };
    if checker.is_expanded(at) {
        checker.wrong(at, "the value is not a path into the message");
    } else {
        let offset = template::byte_of_column(text, error.column);
        let message = format!("{} is not a path into the message: {}", quoted(text), error.what);
        checker.wrong_within(at, offset, message);
    }
    None
}

/// A field's constant, as text that its type takes.
fn constant(name: &str, kind: FieldKind, checker: &mut Checker<'_>) -> Option<String> {
    let at = &["point", "fields", name, "constant"];
    let scalar = checker.scalar(at)?;
    let unquoted = scalar.plain && scalar.expansion != Expansion::Part;
    let written = if unquoted { Type::of(&scalar.text) } else { Type::Text };
    let text = match (kind, written) {
        (FieldKind::String, _) => return Some(scalar.text.clone()),
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
        (FieldKind::Float, Type::Integer(number)) => Some((number as f64).to_string()),
        (FieldKind::Float, Type::Float(number)) if number.is_finite() => Some(number.to_string()),
        (FieldKind::Integer, Type::Integer(number)) => {
            i64::try_from(number).ok().map(|number| number.to_string())
        }
        (FieldKind::Unsigned, Type::Integer(number)) => {
            u64::try_from(number).ok().map(|number| number.to_string())
        }
        (FieldKind::Boolean, Type::Boolean(value)) => Some(value.to_string()),
        _ => None,
    };
    if text.is_none() {
        let message = format!("{} {}", scalar.shown(), misfit(kind, written));
        checker.wrong(at, message);
    }
    text
}

/// Why a constant is not of the declared type, and what to do.
fn misfit(kind: FieldKind, written: Type) -> &'static str {
    match (kind, written) {
        (FieldKind::Float, Type::Float(_)) => "can't be stored: no database holds NaN or infinity",
        (FieldKind::Float, Type::Boolean(_)) => "is no float; add `type: boolean`",
        (FieldKind::Float, _) => {
            "is no float; add `type: string`, or write a number without quotes"
        }
        (FieldKind::Integer, Type::Integer(_)) => "is out of the range of a 64-bit integer",
        (FieldKind::Integer, _) => "is no integer",
        (FieldKind::Unsigned, Type::Integer(_)) => "is out of the range of an unsigned integer",
        (FieldKind::Unsigned, _) => "is no unsigned integer",
        (FieldKind::Boolean, _) => "is no boolean; write `true` or `false`, without quotes",
        (FieldKind::String, _) => "is no text",
    }
}

fn timestamp(rule: &raw::TimestampRule, checker: &mut Checker<'_>) -> Option<TimeSource> {
    let at = &["point", "timestamp"];
    let source = match (&rule.path, &rule.header) {
        (Some(text), None) => path(text, checker, &["point", "timestamp", "path"]),
        (None, Some(name)) => Some(Source::Header(name.clone())),
        (None, None) => {
            checker.missing(
                at,
                "no source: `path` or `header` is needed; for the record's own time leave \
                 `timestamp` out",
            );
            None
        }
        (Some(_), Some(_)) => {
            let at = &["point", "timestamp", "header"];
            checker.wrong_key(at, "`path` is given, too; keep one of them");
            None
        }
    };
    match (rule.unit, rule.format) {
        (Some(unit), None) => Some(TimeSource::Number { source: source?, unit }),
        (None, Some(raw::TimeFormat::Rfc3339)) => Some(TimeSource::Rfc3339 { source: source? }),
        (None, None) => {
            checker.missing(
                at,
                "say `unit: s`, `ms`, `us` or `ns` for a number, or `format: rfc3339` for text; it \
                 is never guessed, because seconds that are read as milliseconds land in January \
                 1970, and nobody notices",
            );
            None
        }
        (Some(_), Some(_)) => {
            let at = &["point", "timestamp", "format"];
            checker.wrong_key(at, "`unit` is for numbers and `format` for text; keep one of them");
            None
        }
    }
}
