//! How a message of a schema registry says which schema it has: in its first bytes, or in a header.
//!
//! The bytes are those of Confluent's wire format
//! (<https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>):
//! a zero and the schema's number. The header and the byte 1 before a schema's GUID are what newer clients
//! write (`SchemaId` in confluent-kafka-python's `schema_registry/common/serde.py`).

use super::input::Input;
use super::{DecodeError, Message};
use crate::registry::Id;

/// The header of a value's schema.
const HEADER: &str = "__value_schema_id";
/// A schema's file has fewer messages in a message.
const MOST_INDEXES: usize = 64;

/// What stands before a message's own bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub id: Id,
    /// Where in the payload the rest begins.
    pub end: usize,
    /// Of Protobuf: where the message's type stands among its file's, where the header says so.
    indexes: Option<&'a [u8]>,
}

/// Reads the frame.
pub fn read<'a>(message: &Message<'a>) -> Result<Frame<'a>, DecodeError> {
    if let Some(header) = message.record.header(HEADER) {
        let mut input = Input::new(header);
        let wrong = |_| DecodeError::new(format!("the header {HEADER} is no schema's id"));
        let id = id(&mut input).map_err(wrong)?;
        return Ok(Frame { id, end: 0, indexes: Some(input.rest()) });
    }
    let mut input = Input::new(message.payload);
    let id = id(&mut input)?;
    Ok(Frame { id, end: input.at(), indexes: None })
}

fn id(input: &mut Input<'_>) -> Result<Id, DecodeError> {
    match input.byte()? {
        0 => Ok(Id::Number(u32::from_be_bytes(input.array()?))),
        1 => Ok(Id::Guid(input.array()?)),
        _ => Err(DecodeError::at(
            0,
            "no frame of a schema registry: a message begins with a zero byte and its schema's id",
        )),
    }
}

impl Frame<'_> {
    /// Where the message's type stands: in the file, then in the message before. The rest of the payload
    /// begins behind it.
    pub fn message_indexes(&mut self, payload: &[u8]) -> Result<Vec<usize>, DecodeError> {
        if let Some(header) = self.indexes {
            let wrong = |_| DecodeError::new(format!("the header {HEADER} names no message"));
            return indexes(&mut Input::new(header)).map_err(wrong);
        }
        let mut input = Input::from(payload, self.end);
        let found = indexes(&mut input)?;
        self.end = input.at();
        Ok(found)
    }
}

fn indexes(input: &mut Input<'_>) -> Result<Vec<usize>, DecodeError> {
    let count = super::avro::long(input)?;
    match usize::try_from(count) {
        // What is written for the first message alone.
        Ok(0) => Ok(vec![0]),
        Ok(count) if count <= MOST_INDEXES => (0..count)
            .map(|_| {
                usize::try_from(super::avro::long(input)?)
                    .or_else(|_| input.fail("a message's index that is negative"))
            })
            .collect(),
        _ => input.fail("a list of message indexes that is none"),
    }
}
