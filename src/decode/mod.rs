//! Decoders: a record's value becomes the slots that the mapping asks for.
//!
//! A new format is one file here and one arm of [`Decoder`].

pub mod json;

use std::borrow::Cow;

use crate::config::raw::Format;
use crate::path::PathTrie;

/// What a decoder found at one path of the mapping; borrows from the record's payload.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Slot<'a> {
    /// The path does not exist in this message.
    #[default]
    Missing,
    Null,
    Boolean(bool),
    /// A number as the message spells it, in JSON's grammar (never `NaN`, `+1`, `.5`), of any
    /// length.
    Number(&'a str),
    /// Text with escapes resolved.
    Text(Cow<'a, str>),
    /// An object or an array stands where the mapping wants a value.
    Container(Container),
}

/// Which of the two kinds of container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Object,
    Array,
}

/// Why a payload is not a message of the declared format: a rejected record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct DecodeError {
    pub offset: usize,
    pub what: &'static str,
}

/// A decoder of one format.
#[derive(Debug, Clone, Copy)]
pub enum Decoder {
    Json,
}

impl Decoder {
    pub fn new(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
        }
    }

    /// Fills the slots of `paths`, one walk over the payload.
    pub fn decode<'a>(
        &self,
        payload: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Result<(), DecodeError> {
        match self {
            Self::Json => json::decode(payload, paths, slots),
        }
    }
}
