//! Which format messages are of: the first that reads them.

use crate::config::raw::Deletes;
use crate::decode::tree::{self, Value};
use crate::decode::{cbor, connect, debezium, msgpack};

/// A format of documents whose values have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    ConnectJson,
    Debezium,
    Json,
    JsonLines,
    MessagePack,
    Cbor,
}

impl Format {
    /// What says the most of a message comes first.
    pub(super) const ALL: [Self; 6] = [
        Self::Debezium,
        Self::ConnectJson,
        Self::Json,
        Self::JsonLines,
        Self::MessagePack,
        Self::Cbor,
    ];

    /// As `decode:` has it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::ConnectJson => "connect_json",
            Self::Debezium => "debezium",
            Self::Json => "json",
            Self::JsonLines => "json_lines",
            Self::MessagePack => "msgpack",
            Self::Cbor => "cbor",
        }
    }

    /// The documents of a message, each a map; none of one that is skipped. `None` where it is no
    /// message of this format.
    pub(super) fn documents(self, value: &[u8]) -> Option<Vec<Value<'_>>> {
        let documents: Vec<_> = match self {
            Self::ConnectJson => connect::decode(value).ok()?.into_iter().collect(),
            Self::Debezium => {
                let event = debezium::decode(value, Deletes::Skip).ok()?;
                let is_event = |event: &Value<'_>| {
                    event.get("source").is_some() && event.get("after").is_some()
                };
                if event.as_ref().is_some_and(|event| !is_event(event)) {
                    return None;
                }
                event.into_iter().collect()
            }
            Self::Json => vec![tree::json(value).ok()?],
            Self::JsonLines => {
                let lines = value.split(|byte| *byte == b'\n');
                let lines = lines.filter(|line| !line.trim_ascii().is_empty());
                lines.map(|line| tree::json(line).ok()).collect::<Option<_>>()?
            }
            Self::MessagePack => vec![msgpack::decode(value).ok()?],
            Self::Cbor => vec![cbor::decode(value).ok()?],
        };
        documents.iter().all(|document| matches!(document, Value::Map(_))).then_some(documents)
    }
}
