//! Debezium's change events, with or without their schema: the document is the event, `before`, `after`,
//! `op`, `source` and `ts_ms`.
//!
//! <https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events>

use super::tree::{self, Value};
use super::{DecodeError, connect};
use crate::config::raw::Deletes;

/// Reads one event; `None` of one that says nothing of a row, and of a delete that isn't wanted.
pub fn decode(payload: &[u8], deletes: Deletes) -> Result<Option<Value<'_>>, DecodeError> {
    let (mut event, _) = connect::unwrapped(tree::json(payload)?)?;
    if event == Value::Null {
        return Ok(None);
    }
    let Some(op) = event.get("op").and_then(Value::as_text) else {
        return Err(DecodeError::new(
            "no change event of Debezium: there is no `op` (an event that a transformation has \
             flattened is `decode: connect_json` or `json`)",
        ));
    };
    match op {
        "c" | "u" | "r" => {}
        "d" if deletes == Deletes::Keep => {}
        // A truncated table, and a message that was written to a log.
        "d" | "t" | "m" => return Ok(None),
        _ => return Err(DecodeError::new("a change event of Debezium with an unknown `op`")),
    }
    for state in ["before", "after"] {
        row(&mut event, state)?;
    }
    Ok(Some(event))
}

/// `MongoDB`'s documents are text with JSON in it.
fn row(event: &mut Value<'_>, state: &str) -> Result<(), DecodeError> {
    let Value::Map(entries) = event else { return Ok(()) };
    for (_, value) in entries.iter_mut().filter(|(key, _)| key == state) {
        if let Value::Text(text) = value {
            *value = tree::json(text.as_bytes())?.into_owned();
        }
    }
    Ok(())
}
