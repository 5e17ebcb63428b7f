//! A message and what becomes of it, on the screen or as JSON.

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use serde_json::{Map, Value as Json, json};

use super::super::paint::Paint;
use super::super::value::{Spot, lines, printable, short};
use crate::dead_letter::Reject;
use crate::record::{OwnedRecord, TopicPartition};
use crate::trial::{Outcome, Value, WholePoint};

/// How messages are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    pub(super) is_json: bool,
    /// Also those that are not rejected.
    pub(super) input: bool,
    /// Of each message.
    pub(super) max_bytes: usize,
    pub(super) paint: Paint,
}

/// What became of all messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// With points.
    pub(super) messages: usize,
    pub(super) points: usize,
    pub(super) excluded: usize,
    pub(super) rejected: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        let all = self.messages + self.excluded + self.rejected;
        write!(f, "{}: {}", plural(all, "message"), plural(self.points, "point"))?;
        writeln!(f, ", {} rejected, {} excluded", self.rejected, self.excluded)
    }
}

impl Show {
    pub(super) fn message(self, record: &OwnedRecord, outcome: &Outcome) -> String {
        if self.is_json { self.json(record, outcome) } else { self.text(record, outcome) }
    }

    fn text(self, record: &OwnedRecord, outcome: &Outcome) -> String {
        let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
        let time =
            record.timestamp_millis.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let time = time.map(|time| format!("  {time}")).unwrap_or_default();
        let key = record.key.as_deref().map(|key| format!("  key {}", short(key)));
        let head = format!("{partition}@{}{time}{}", record.offset, key.unwrap_or_default());
        let mut text = format!("{}\n", self.paint.faint(&printable(&head)));
        let value = record.value.as_deref();
        if self.input && !matches!(outcome, Outcome::Rejected(_)) {
            push(&mut text, &lines(value.unwrap_or_default(), None, self.max_bytes));
        }
        match outcome {
            Outcome::Points(points) => {
                let points: Vec<_> =
                    points.iter().map(|point| printable(&point.to_string())).collect();
                let points: Vec<_> = points.iter().map(|point| self.paint.good(point)).collect();
                push(&mut text, &points);
            }
            Outcome::Excluded => push(&mut text, &["nothing to write"]),
            Outcome::Rejected(Reject { stage, reason, .. }) => {
                let stage = format!("rejected, {}: ", stage.name());
                push(&mut text, &[format!("{}{}", self.paint.bad(&stage), printable(reason))]);
                let shown =
                    lines(value.unwrap_or_default(), Spot::of(reason).as_ref(), self.max_bytes);
                let mark = |line: &String| {
                    let marked = line.ends_with("◀ here") || line.ends_with("^ here");
                    if marked { self.paint.bad(line).into_owned() } else { line.clone() }
                };
                push(
                    &mut text,
                    &shown.iter().map(|line| format!("  {}", mark(line))).collect::<Vec<_>>(),
                );
            }
        }
        text
    }

    fn json(self, record: &OwnedRecord, outcome: &Outcome) -> String {
        let time =
            record.timestamp_millis.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let mut object = json!({
            "topic": &*record.topic,
            "partition": record.partition,
            "offset": record.offset.0,
            "timestamp": time.map(|time| time.to_string()),
            "key": record.key.as_deref().map(text_or_base64),
        });
        match outcome {
            Outcome::Points(points) => {
                object["outcome"] = "points".into();
                object["points"] = points.iter().map(point).collect();
            }
            Outcome::Excluded => object["outcome"] = "excluded".into(),
            Outcome::Rejected(Reject { stage, reason, .. }) => {
                object["outcome"] = "rejected".into();
                object["stage"] = stage.name().into();
                object["reason"] = reason.as_str().into();
                match Spot::of(reason) {
                    Some(Spot::Byte(byte)) => object["byte"] = byte.into(),
                    Some(Spot::Path(path)) => object["path"] = path.to_string().into(),
                    Some(Spot::Line(..)) | None => {}
                }
            }
        }
        if self.input || matches!(outcome, Outcome::Rejected(_)) {
            object["value"] = record.value.as_deref().map(text_or_base64).into();
        }
        format!("{object}\n")
    }
}

fn push<T: AsRef<str>>(text: &mut String, lines: &[T]) {
    for line in lines {
        // Writing to a String can't fail.
        let _ = writeln!(text, "  {}", line.as_ref());
    }
}

/// Text as text, other bytes as an object that says so.
fn text_or_base64(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
    }
}

/// As the sink `file` writes it in JSON lines, with each field's type.
fn point(point: &WholePoint) -> Json {
    let value = |value: &Value| match value {
        Value::Float(number) => json!(number),
        Value::Integer(number) => json!(number),
        Value::Unsigned(number) => json!(number),
        Value::Boolean(boolean) => json!(boolean),
        Value::String(text) => json!(text),
        Value::Stale => Json::Null,
    };
    let kind = |value: &Value| match value {
        Value::Float(_) => "float",
        Value::Integer(_) => "integer",
        Value::Unsigned(_) => "unsigned",
        Value::Boolean(_) => "boolean",
        Value::String(_) => "string",
        Value::Stale => "stale",
    };
    let fields = point.fields.iter();
    let fields: Map<_, _> = fields.map(|(name, field)| (name.clone(), value(field))).collect();
    let types: Map<_, _> =
        point.fields.iter().map(|(name, field)| (name.clone(), kind(field).into())).collect();
    let time = point.nanos.and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos.into()).ok());
    json!({
        "measurement": point.measurement,
        "tags": point.tags,
        "fields": fields,
        "types": types,
        "time": time.map(|time| time.to_string()),
        "line_protocol": point.to_string(),
    })
}
