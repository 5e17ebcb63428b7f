//! `CloudEvents` 1.0 in both of the modes of its Kafka binding: the document has the event's attributes and,
//! under `data`, what it carries.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::tree::{self, Value};
use super::{DecodeError, Message};

const STRUCTURED: &str = "application/cloudevents";

/// Reads one event.
pub fn decode<'a>(message: &Message<'a>) -> Result<Value<'a>, DecodeError> {
    let record = message.record;
    let content_type =
        record.header("content-type").and_then(|kind| std::str::from_utf8(kind).ok());
    if content_type.is_some_and(|kind| kind.starts_with(STRUCTURED)) {
        return structured(message.payload);
    }
    if record.header("ce_specversion").is_none() {
        // Some producers leave the content type out.
        return structured(message.payload);
    }
    let mut event = Vec::new();
    for (name, value) in record.headers() {
        let Some(name) = name.strip_prefix("ce_") else { continue };
        let value = std::str::from_utf8(value.unwrap_or_default());
        let value =
            value.map_err(|_| DecodeError::new(format!("the header ce_{name} is not UTF-8")))?;
        event.push((name.into(), Value::Text(value.into())));
    }
    if let Some(kind) = content_type {
        event.push(("datacontenttype".into(), Value::Text(kind.into())));
    }
    event.push(("data".into(), data(message.payload, content_type)?));
    Ok(Value::Map(event))
}

fn structured(payload: &[u8]) -> Result<Value<'_>, DecodeError> {
    let mut event = tree::json(payload)?;
    if event.get("specversion").is_none() {
        return Err(DecodeError::new(
            "no CloudEvent: neither the header `ce_specversion` nor `specversion` in the message",
        ));
    }
    if let Some(Value::Text(encoded)) = event.remove("data_base64") {
        let bytes = BASE64_STANDARD.decode(encoded.as_bytes());
        let bytes = bytes.map_err(|_| DecodeError::new("`data_base64` is not base64"))?;
        let kind = event.get("datacontenttype").and_then(Value::as_text);
        let data = data(&bytes, kind)?.into_owned();
        if let Value::Map(entries) = &mut event {
            entries.push(("data".into(), data));
        }
    }
    Ok(event)
}

/// What an event carries, by its content type.
fn data<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Result<Value<'a>, DecodeError> {
    let kind = content_type.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    match kind {
        None => tree::json(bytes),
        Some(kind) if kind.ends_with("/json") || kind.ends_with("+json") => tree::json(bytes),
        Some(kind) if kind.starts_with("text/") => super::text::decode(bytes),
        Some(_) => Ok(Value::bytes(bytes)),
    }
}
