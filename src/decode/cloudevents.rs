//! `CloudEvents` 1.0 in both of the modes of its Kafka binding: the document has the event's attributes and,
//! under `data`, what it carries.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::json::{self, Json, Look};
use super::tree::{self, Value};
use super::{Container, DecodeError, Message, Slot};
use crate::path::{Node, PathTrie};
use crate::record::Record;

const STRUCTURED: &str = "application/cloudevents";

/// Decodes the messages of a topic.
#[derive(Debug)]
pub struct CloudEvents {
    json: Json,
    /// At `specversion` and `data_base64`, of a structured event.
    look: Look<2>,
    /// The paths within what an event carries, and the trie that they are of.
    data: Option<(u64, PathTrie)>,
    data_json: Json,
}

impl Default for CloudEvents {
    fn default() -> Self {
        Self {
            json: Json::default(),
            look: Look::new(["specversion", "data_base64"]),
            data: None,
            data_json: Json::default(),
        }
    }
}

impl CloudEvents {
    /// Fills `slots` with the values at the paths of a trie.
    pub fn fill<'a>(
        &mut self,
        message: &Message<'a>,
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Result<(), DecodeError> {
        let filled = match Mode::of(message.record) {
            Mode::Structured => self.fill_structured(message.payload, paths, slots),
            Mode::Binary(kind) => self.fill_binary(message, kind, paths, slots),
        };
        if filled.is_none() {
            tree::fill(decode(message)?, paths, slots);
        }
        Ok(())
    }

    /// None where the event has to be read whole.
    fn fill_structured<'a>(
        &mut self,
        payload: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Option<()> {
        let [version, encoded] = self.look.at(payload)?;
        if version == Slot::Missing || encoded != Slot::Missing {
            return None;
        }
        self.json.decode(payload, paths, slots).ok()
    }

    /// The same.
    fn fill_binary<'a>(
        &mut self,
        message: &Message<'a>,
        kind: Option<&'a str>,
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Option<()> {
        let root = paths.root();
        if root.gathers() || !is_json(kind) {
            return None;
        }
        if self.data.as_ref().is_none_or(|(of, _)| *of != paths.id()) {
            self.data = Some((paths.id(), paths.below("data")));
        }
        let (_, data) = self.data.as_ref()?;
        self.data_json.decode(message.payload, data, slots).ok()?;
        for attribute in attributes(message.record, kind) {
            let (name, value) = attribute.ok()?;
            // What the event carries is in its place already.
            if name != "data"
                && let Some(slot) = root.keys().find(name.as_bytes()).and_then(Node::slot)
            {
                slots[slot].set(Slot::Text(Cow::Borrowed(value)));
            }
        }
        if let Some(slot) = root.slot() {
            slots[slot].set(Slot::Container(Container::Object));
        }
        Some(())
    }
}

/// How an event is put into a record.
enum Mode<'a> {
    /// All of it is the value.
    Structured,
    /// Its attributes are headers, and the value what it carries, of a content type.
    Binary(Option<&'a str>),
}

impl<'a> Mode<'a> {
    fn of(record: &'a dyn Record) -> Self {
        let kind = record.header("content-type").and_then(|kind| std::str::from_utf8(kind).ok());
        let is_structured = kind.is_some_and(|kind| kind.starts_with(STRUCTURED));
        // Some producers leave the content type out.
        if is_structured || record.header("ce_specversion").is_none() {
            Self::Structured
        } else {
            Self::Binary(kind)
        }
    }
}

/// Reads one event whole.
pub fn decode<'a>(message: &Message<'a>) -> Result<Value<'a>, DecodeError> {
    let content_type = match Mode::of(message.record) {
        Mode::Structured => return structured(message.payload),
        Mode::Binary(content_type) => content_type,
    };
    let mut event = Vec::new();
    for attribute in attributes(message.record, content_type) {
        let (name, value) = attribute?;
        event.push((name.into(), Value::Text(value.into())));
    }
    event.push(("data".into(), data(message.payload, content_type)?));
    Ok(Value::Map(event))
}

/// What the headers of an event in binary mode say, by its attributes' names.
fn attributes<'a>(
    record: &'a dyn Record,
    content_type: Option<&'a str>,
) -> impl Iterator<Item = Result<(&'a str, &'a str), DecodeError>> {
    let attributes = record.headers().into_iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("ce_")?;
        let value = std::str::from_utf8(value.unwrap_or_default());
        let wrong = |_| DecodeError::new(format!("the header ce_{name} is not UTF-8"));
        Some(value.map(|value| (name, value)).map_err(wrong))
    });
    attributes.chain(content_type.map(|kind| Ok(("datacontenttype", kind))))
}

fn structured(payload: &[u8]) -> Result<Value<'_>, DecodeError> {
    let mut event = json::whole(payload)?;
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
    if is_json(content_type) {
        return json::whole(bytes);
    }
    match content_type {
        Some(kind) if kind.starts_with("text/") => super::text::decode(bytes),
        _ => Ok(Value::bytes(bytes)),
    }
}

/// Whether an event of a content type, or of none, carries JSON.
fn is_json(content_type: Option<&str>) -> bool {
    let kind = content_type.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kind.is_none_or(|kind| kind.ends_with("/json") || kind.ends_with("+json"))
}

#[cfg(test)]
#[path = "cloudevents_tests.rs"]
mod tests;
