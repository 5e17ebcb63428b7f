//! A message and what becomes of it, as JSON: for `tidegate preview` and for the REST interface.

use base64::Engine as _;
use serde_json::{Map, Value as Json, json};

use super::{Outcome, Value, WholePoint, Written};
use crate::dead_letter::Reject;
use crate::excerpt::Spot;
use crate::record::OwnedRecord;

/// All but the message's own value. `written` is what the sink gets.
pub(crate) fn message(record: &OwnedRecord, outcome: &Outcome, written: &[Written]) -> Json {
    let time = record.timestamp_millis.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
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
            object["written"] = written.iter().map(in_its_form).collect();
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
    object
}

/// Text as text, other bytes as an object that says so.
pub(crate) fn text_or_base64(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
    }
}

fn in_its_form(written: &Written) -> Json {
    json!({ "destination": written.destination, "text": written.text })
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
