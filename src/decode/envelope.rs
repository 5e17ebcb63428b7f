//! Kafka Connect's envelopes, whose schemas are mostly longer than what they describe and nearly always those of a
//! message before: all up to the payload is then compared at once, and the schema is not read again.
//!
//! Of a schema that was read is kept which of a mapping's values it gives another meaning.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::connect::{self, Logical, has_text_for_keys};
use super::json::Json;
use super::tree::Value;
use super::{DecodeError, Slot};
use crate::path::{Node, PathTrie};

/// A connector's topics may be a family of tables, with a few schemas each; a look for one compares some bytes of all.
const MOST: usize = 128;
/// Of all together. What would take a longer one is read each time.
const MOST_BYTES: usize = 1 << 20;

/// What messages began with.
#[derive(Debug, Default)]
pub(super) struct Envelopes {
    known: Vec<Known>,
    /// Of the last message.
    last: usize,
}

#[derive(Debug)]
struct Known {
    /// Such as `{"schema":{…},"payload":`.
    front: Box<[u8]>,
    /// The trie that it was read for.
    paths: u64,
    /// None where the message has to be read whole.
    meanings: Option<Meanings>,
}

/// The slots whose values a schema gives another meaning.
#[derive(Debug, Default)]
pub(super) struct Meanings(Vec<(usize, Logical)>);

impl Envelopes {
    /// The payload of an envelope, and what its schema says of the slots. None where the message has to be read whole.
    ///
    /// All of the message is valid if its payload is one document.
    pub(super) fn open<'a>(
        &mut self,
        message: &'a [u8],
        paths: &PathTrie,
    ) -> Option<(&'a [u8], &Meanings)> {
        self.last = self.find(message, paths)?;
        let Known { front, meanings, .. } = self.known.get(self.last)?;
        let payload = message.get(front.len()..)?.trim_ascii_end().strip_suffix(b"}")?;
        Some((payload, meanings.as_ref()?))
    }

    /// Reads a message whole, as [`connect::read`] does, and keeps what it begins with for the next one.
    #[cold]
    pub(super) fn read<'a>(
        &mut self,
        message: &'a [u8],
        paths: &PathTrie,
    ) -> Result<(Value<'a>, bool), DecodeError> {
        connect::read(message, |schema| self.learn(message, schema, paths))
    }

    fn learn(&mut self, message: &[u8], schema: &Value<'_>, paths: &PathTrie) {
        if self.find(message, paths).is_some() {
            return;
        }
        let Some(front) = front(message).filter(|front| front.len() <= MOST_BYTES) else { return };
        let kept: usize = self.known.iter().map(|known| known.front.len()).sum();
        if self.known.len() == MOST || kept + front.len() > MOST_BYTES {
            self.known.clear();
        }
        let meanings = Meanings::of(schema, paths);
        self.known.push(Known { front: front.into(), paths: paths.id(), meanings });
    }

    fn find(&self, message: &[u8], paths: &PathTrie) -> Option<usize> {
        let is_it = |known: &Known| known.paths == paths.id() && message.starts_with(&known.front);
        if self.known.get(self.last).is_some_and(is_it) {
            return Some(self.last);
        }
        self.known.iter().position(is_it)
    }
}

/// What stands before an envelope's payload. None where the schema stands behind it.
fn front(message: &[u8]) -> Option<&[u8]> {
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let Envelope { payload } = serde_json::from_slice(message).ok()?;
    let start = payload.get().as_ptr().addr().checked_sub(message.as_ptr().addr())?;
    let behind = message.get(start + payload.get().len()..)?;
    (behind.trim_ascii() == b"}").then(|| &message[..start])
}

impl Meanings {
    /// None where more than the slots' own values has to be looked at.
    fn of(schema: &Value<'_>, paths: &PathTrie) -> Option<Self> {
        let mut meanings = Self::default();
        meanings.look(schema, paths.root())?;
        Some(meanings)
    }

    fn look(&mut self, schema: &Value<'_>, node: &Node) -> Option<()> {
        if let Some(logical) = Logical::of(schema) {
            // It may be an object that is no such thing any more.
            let is_scalar = node.is_leaf() && !matches!(logical, Logical::VariableScaleDecimal);
            self.0.extend(node.slot().map(|slot| (slot, logical)));
            return is_scalar.then_some(());
        }
        let kind = schema.get("type").and_then(Value::as_text);
        if kind == Some("struct") && !node.gathers() {
            for (key, node) in node.each_key() {
                if let Some(field) = field(schema, key) {
                    self.look(field, node)?;
                }
            }
            return Some(());
        }
        is_plain(schema).then_some(())
    }

    /// Fills `slots` with what a payload, read by `json`, has at the paths of a trie. None where it has to be read
    /// whole, for what it is or for what is wrong with it.
    pub(super) fn fill<'a>(
        &self,
        json: &mut Json,
        payload: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Option<()> {
        json.decode(payload, paths, slots).ok()?;
        for &(slot, logical) in &self.0 {
            let value = match &slots[slot] {
                Slot::Missing | Slot::Null => continue,
                Slot::Number(number) => Value::Number(*number),
                Slot::Text(Cow::Borrowed(text)) => Value::Text(Cow::Borrowed(text)),
                _ => return None,
            };
            slots[slot].set(logical.read(value)?.into());
        }
        Some(())
    }
}

/// The schema of a field of a struct.
fn field<'s, 'a>(schema: &'s Value<'a>, key: &[u8]) -> Option<&'s Value<'a>> {
    let Some(Value::Array(fields)) = schema.get("fields") else { return None };
    let is_it = |field: &&Value<'_>| {
        field.get("field").and_then(Value::as_text).is_some_and(|name| name.as_bytes() == key)
    };
    fields.iter().find(is_it)
}

/// Whether all values are what they are in JSON.
fn is_plain(schema: &Value<'_>) -> bool {
    if Logical::of(schema).is_some() {
        return false;
    }
    match schema.get("type").and_then(Value::as_text) {
        Some("map") => has_text_for_keys(schema) && schema.get("values").is_none_or(is_plain),
        Some("array") => schema.get("items").is_none_or(is_plain),
        Some("struct") => match schema.get("fields") {
            Some(Value::Array(fields)) => fields.iter().all(is_plain),
            _ => true,
        },
        _ => true,
    }
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
