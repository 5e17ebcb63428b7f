//! Which format documents are of: the first that reads the messages.

use std::time::Duration;

use serde_json::Number;
use tokio::time::Instant;

use super::csv;
use crate::config;
use crate::config::raw::Deletes;
use crate::decode::connect::Connect;
use crate::decode::csv::Csv;
use crate::decode::debezium::Debezium;
use crate::decode::json::{self, Json};
use crate::decode::tree::Value;
use crate::decode::{Documents, Message, Refusal};

/// A schema registry that has not answered by then is down.
const PATIENCE: Duration = Duration::from_secs(10);

/// A format of documents whose values have names, with what reads it.
#[derive(Debug)]
pub(super) struct Format {
    /// As `decode:` has it.
    pub(super) text: String,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    /// Documents that this holds of.
    Whole(Documents, fn(&Value<'_>) -> bool),
    /// Documents in the array that a message is.
    Array,
    Lines,
    Csv(Csv),
    /// A number alone.
    Number,
}

/// A format that whoever asks has named, because messages don't show it.
#[derive(Debug, Clone)]
pub struct Given {
    /// As `decode:` has it.
    pub text: String,
    pub decode: config::Documents,
}

impl Format {
    /// What says the most of a message comes first.
    pub(super) fn all(messages: &[Message<'_>]) -> Vec<Self> {
        let whole = |text: &str, documents, holds| Self {
            text: text.into(),
            reader: Reader::Whole(documents, holds),
        };
        let mut all = vec![
            whole(
                "debezium",
                Documents::Debezium(Box::new(Debezium::new(Deletes::Skip))),
                is_event,
            ),
            whole("connect_json", Documents::ConnectJson(Connect::default()), is_map),
            whole("cloudevents", Documents::CloudEvents(Box::default()), is_map),
            whole("json", Documents::Json(Json::default()), is_map),
            Self { text: "json".into(), reader: Reader::Array },
            Self { text: "json_lines".into(), reader: Reader::Lines },
            whole("json_schema", Documents::JsonSchema(Json::default()), is_map),
            whole("msgpack", Documents::MessagePack, is_map),
            whole("cbor", Documents::Cbor, is_map),
            Self { text: "text".into(), reader: Reader::Number },
        ];
        if let Some((text, csv)) = csv::told(messages) {
            all.push(Self { text, reader: Reader::Csv(csv) });
        }
        all
    }

    pub(super) fn given(given: &Given) -> Self {
        let decoder = Documents::new(&given.decode);
        Self { text: given.text.clone(), reader: Reader::Whole(decoder, is_map) }
    }

    /// Whether a message is an array of documents.
    pub(super) fn is_array(&self) -> bool {
        matches!(self.reader, Reader::Array)
    }

    /// Whether text of nearly any kind may be this: all that says more comes before.
    pub(super) fn comes_last(&self) -> bool {
        matches!(self.reader, Reader::Number | Reader::Csv(_))
    }

    /// Whether the columns' names are made up.
    pub(super) fn has_unnamed_columns(&self) -> bool {
        matches!(&self.reader, Reader::Csv(csv) if csv.columns.as_ref().is_some_and(|names| csv::are_made_up(names)))
    }

    /// The documents of a message; none of one that is skipped. `None` where it is no message of this format.
    ///
    /// # Errors
    /// What it takes to read it can't be reached.
    pub(super) fn documents<'a>(
        &mut self,
        message: &Message<'a>,
    ) -> Result<Option<Vec<Value<'a>>>, String> {
        let payload = message.payload;
        Ok(match &mut self.reader {
            Reader::Whole(decoder, holds) => {
                let documents = patient(decoder, message)?;
                documents.filter(|documents| documents.iter().all(&*holds))
            }
            Reader::Array => match json::whole(payload) {
                Ok(Value::Array(elements)) if elements.iter().all(is_map) => Some(elements),
                _ => None,
            },
            Reader::Lines => {
                let lines = payload.split(|byte| *byte == b'\n');
                let lines = lines.filter(|line| !line.trim_ascii().is_empty());
                let lines: Option<Vec<_>> = lines.map(|line| json::whole(line).ok()).collect();
                lines.filter(|lines| lines.iter().all(is_map))
            }
            Reader::Csv(csv) => csv::documents(csv, payload),
            Reader::Number => {
                let number = std::str::from_utf8(payload).ok().and_then(number);
                number.map(|number| vec![number])
            }
        })
    }
}

/// By a decoder that may have to ask for a schema first; `None` where it is no message of it.
fn patient<'a>(
    decoder: &mut Documents,
    message: &Message<'a>,
) -> Result<Option<Vec<Value<'a>>>, String> {
    let begun = Instant::now();
    loop {
        match decoder.document(message) {
            Ok(document) => return Ok(Some(document.into_iter().collect())),
            Err(Refusal::Rejected(_)) => return Ok(None),
            Err(Refusal::Unavailable(reason)) if begun.elapsed() > PATIENCE => return Err(reason),
            Err(Refusal::Unavailable(_)) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn is_map(document: &Value<'_>) -> bool {
    matches!(document, Value::Map(_))
}

fn is_event(document: &Value<'_>) -> bool {
    document.get("source").is_some() && document.get("after").is_some()
}

/// The number that a text spells, in JSON's grammar.
pub(super) fn number<'a>(text: &str) -> Option<Value<'a>> {
    let number: Number = serde_json::from_str(text.trim()).ok()?;
    let whole = number.as_i64().map(Value::Integer);
    let whole = whole.or_else(|| number.as_u64().map(Value::Unsigned));
    whole.or_else(|| number.as_f64().filter(|number| number.is_finite()).map(Value::Float))
}
