//! Debezium's change events, with or without their schema: the document is the event, `before`, `after`,
//! `op`, `source` and `ts_ms`.
//!
//! <https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events>

use super::connect;
use super::envelope::{Envelopes, Meanings};
use super::json::{self, Json, Look};
use super::tree::{self, Value};
use super::{DecodeError, Slot};
use crate::config::raw::Deletes;
use crate::path::PathTrie;

/// Decodes the messages of a topic.
#[derive(Debug)]
pub struct Debezium {
    deletes: Deletes,
    envelopes: Envelopes,
    json: Json,
    /// At `op`, `before` and `after`.
    look: Look<3>,
}

impl Debezium {
    pub fn new(deletes: Deletes) -> Self {
        Self {
            deletes,
            envelopes: Envelopes::default(),
            json: Json::default(),
            look: Look::new(["op", "before", "after"]),
        }
    }

    /// Fills `slots` with the values at the paths of a trie. Says no of an event that says nothing of a row, and of a
    /// delete that isn't wanted.
    pub fn fill<'a>(
        &mut self,
        message: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Result<bool, DecodeError> {
        if let Some(taken) = self.fill_known(message, paths, slots) {
            return Ok(taken);
        }
        let (event, _) = self.envelopes.read(message, paths)?;
        let event = self.event(event)?;
        Ok(event.map(|event| tree::fill(event, paths, slots)).is_some())
    }

    /// The same of an event that needn't be read whole.
    fn fill_known<'a>(
        &mut self,
        message: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Option<bool> {
        let none = Meanings::default();
        let (event, meanings) = self.envelopes.open(message, paths).unwrap_or((message, &none));
        let [Slot::Text(op), before, after] = self.look.at(event)? else { return None };
        // `MongoDB`'s documents.
        if matches!(before, Slot::Text(_)) || matches!(after, Slot::Text(_)) {
            return None;
        }
        if !is_of_a_row(&op, self.deletes).ok()? {
            return Some(false);
        }
        meanings.fill(&mut self.json, event, paths, slots)?;
        Some(true)
    }

    /// Reads one event whole; `None` of one that says nothing of a row, and of a delete that isn't wanted.
    pub fn decode<'a>(&self, message: &'a [u8]) -> Result<Option<Value<'a>>, DecodeError> {
        self.event(connect::read(message, |_| {})?.0)
    }

    fn event<'a>(&self, mut event: Value<'a>) -> Result<Option<Value<'a>>, DecodeError> {
        if event == Value::Null {
            return Ok(None);
        }
        let Some(op) = event.get("op").and_then(Value::as_text) else {
            return Err(DecodeError::new(
                "no change event of Debezium: there is no `op` (an event that a transformation has \
                 flattened is `decode: connect_json` or `json`)",
            ));
        };
        if !is_of_a_row(op, self.deletes)? {
            return Ok(None);
        }
        for state in ["before", "after"] {
            row(&mut event, state)?;
        }
        Ok(Some(event))
    }
}

/// Whether an event says something of a row that is wanted.
fn is_of_a_row(op: &str, deletes: Deletes) -> Result<bool, DecodeError> {
    match op {
        "c" | "u" | "r" => Ok(true),
        "d" => Ok(deletes == Deletes::Keep),
        // A truncated table, and a message that was written to a log.
        "t" | "m" => Ok(false),
        _ => Err(DecodeError::new("a change event of Debezium with an unknown `op`")),
    }
}

/// `MongoDB`'s documents are text with JSON in it.
fn row(event: &mut Value<'_>, state: &str) -> Result<(), DecodeError> {
    let Value::Map(entries) = event else { return Ok(()) };
    for (_, value) in entries.iter_mut().filter(|(key, _)| key == state) {
        if let Value::Text(text) = value {
            *value = json::whole(text.as_bytes())?.into_owned();
        }
    }
    Ok(())
}
