//! Inference: from some messages of a topic to a connector file that maps them.
//!
//! ```text
//! messages ──format──▶ documents ──shape──▶ what stands at each path ──guess──▶ tags, fields, time
//!                                                                  YAML ◀──draft──┘
//! ```
//!
//! A guess is a guess: the file says with each line what it was made from, and whoever runs it reads
//! it first. What is guessed is chosen so that each of the messages gives a point.

mod csv;
mod draft;
mod format;
mod guess;
mod points;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use draft::quoted;
pub use draft::{Draft, SinkKind};
pub use format::Given;

use std::borrow::Cow;

use crate::decode::tree::Value;
use crate::decode::{Decompressed, Message};
use crate::record::OwnedRecord;

use format::Format;
use guess::Guesses;
use points::Seen;
use shape::Shape;

/// What a topic holds.
#[derive(Debug)]
pub struct Inferred {
    what: What,
    /// How many messages it was made from.
    samples: usize,
    /// One of them, if it is text.
    example: Option<String>,
}

#[derive(Debug)]
enum What {
    Documents {
        /// As `decode:` has it.
        format: String,
        guesses: Guesses,
        has_unnamed_columns: bool,
    },
    Points(Seen),
}

/// Why nothing can be made of the messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    #[error("there is no message with a value to learn from")]
    Nothing,
    #[error(
        "the messages look like {looks}, of which a connector file has to be written by hand: \
         docs/formats.md and docs/mapping.md say how"
    )]
    Format { looks: &'static str },
    #[error(
        "the messages begin like a schema registry's, and hold no JSON: name the registry with \
         `--registry`"
    )]
    Registry,
    #[error("the messages can't be read as {0}: is it the schema of this topic?")]
    Given(String),
    #[error("{bad} of {all} messages can't be read as {format}, such as {example}")]
    Mixed { bad: usize, all: usize, format: String, example: String },
    #[error("{0}")]
    Unavailable(String),
}

/// What reads messages, and how many of them.
enum Candidate {
    Documents(Format, usize),
    Points(Seen),
}

impl Candidate {
    fn read(&self) -> usize {
        match self {
            Self::Documents(_, read) => *read,
            Self::Points(seen) => seen.messages,
        }
    }
}

/// What messages hold; in one of the formats that are given, if any is.
///
/// # Errors
/// When their format is none that is known, or nothing can be learnt from them. A few broken messages
/// among many are passed over.
pub fn infer(
    records: &[OwnedRecord],
    sink: SinkKind,
    given: &[Given],
) -> Result<Inferred, InferError> {
    let payloads: Vec<_> = records.iter().map(payload).collect();
    let messages = records.iter().zip(&payloads);
    let messages = messages.map(|(record, payload)| Message { payload, record });
    let messages: Vec<_> =
        messages.filter(|message| !message.payload.trim_ascii().is_empty()).collect();
    let first = messages.first().ok_or(InferError::Nothing)?;
    let best = best(&messages, given)?;
    let Some(best) = best else {
        return Err(match given {
            [] if first.payload.first() == Some(&0) => InferError::Registry,
            [] => InferError::Format { looks: looks(first.payload) },
            [first, ..] => InferError::Given(first.text.clone()),
        });
    };
    let samples = best.read();
    match best {
        Candidate::Points(seen) => {
            let unread = seen.unread.and_then(|index| messages.get(index));
            refuse_mixed(messages.len(), samples, &seen.text, unread)?;
            let mut texts = messages.iter().filter_map(|message| text(message));
            Ok(Inferred { samples, example: texts.next(), what: What::Points(seen) })
        }
        Candidate::Documents(mut format, _) => {
            let mut documents = Vec::new();
            for message in &messages {
                let found = format.documents(message).map_err(InferError::Unavailable)?;
                documents.push((message, found));
            }
            let unread = documents.iter().find(|(_, found)| found.is_none());
            let unread = unread.map(|(message, _)| *message);
            refuse_mixed(messages.len(), samples, &format.text, unread)?;
            documents_of(&documents, &format, sink, samples)
        }
    }
}

fn text(message: &Message<'_>) -> Option<String> {
    std::str::from_utf8(message.payload).ok().map(Into::into)
}

fn documents_of(
    messages: &[(&Message<'_>, Option<Vec<Value<'_>>>)],
    format: &Format,
    sink: SinkKind,
    samples: usize,
) -> Result<Inferred, InferError> {
    let read = messages.iter().filter_map(|(message, found)| Some((message, found.as_ref()?)));
    let all: Vec<_> = read.clone().flat_map(|(_, found)| found.iter().cloned()).collect();
    let mut shape = Shape::before(&all, format.is_array());
    for (message, found) in read.clone() {
        for document in found {
            shape.take(document, message.record.timestamp_millis().unwrap_or_default());
        }
    }
    if shape.messages == 0 {
        return Err(InferError::Nothing);
    }
    let mut texts =
        read.filter(|(_, found)| !found.is_empty()).filter_map(|(message, _)| text(message));
    let what = What::Documents {
        format: format.text.clone(),
        guesses: Guesses::of(&shape, sink),
        has_unnamed_columns: format.has_unnamed_columns(),
    };
    Ok(Inferred { what, samples, example: texts.next() })
}

/// What reads the most messages; of two that read as many, what says the most of them.
fn best(messages: &[Message<'_>], given: &[Given]) -> Result<Option<Candidate>, InferError> {
    let points = |seen: Vec<Seen>| seen.into_iter().map(Candidate::Points);
    let (before, after) = if given.is_empty() {
        (points::of_json(messages), points::of_text(messages))
    } else {
        (Vec::new(), Vec::new())
    };
    let formats: Vec<_> = if given.is_empty() {
        Format::all(messages)
    } else {
        given.iter().map(Format::given).collect()
    };
    let mut of_documents = Vec::new();
    let mut of_numbers = Vec::new();
    for mut format in formats {
        let mut read = 0;
        for message in messages {
            let found = format.documents(message).map_err(InferError::Unavailable)?;
            read += usize::from(found.is_some());
        }
        let list = if format.comes_last() { &mut of_numbers } else { &mut of_documents };
        list.push(Candidate::Documents(format, read));
    }
    let all = points(before).chain(of_documents).chain(points(after)).chain(of_numbers);
    // `max_by_key` gives the last.
    let all: Vec<_> = all.filter(|candidate| candidate.read() > 0).collect();
    Ok(all.into_iter().rev().max_by_key(Candidate::read))
}

/// One in ten messages may be broken; more are a part of what the topic holds.
fn refuse_mixed(
    all: usize,
    read: usize,
    format: &str,
    unread: Option<&Message<'_>>,
) -> Result<(), InferError> {
    let bad = all - read;
    if bad * 10 <= all {
        return Ok(());
    }
    let example = String::from_utf8_lossy(unread.map_or(b"", |message| message.payload));
    let (format, example) = (format.to_owned(), example.chars().take(80).collect());
    Err(InferError::Mixed { bad, all, format, example })
}

/// A record's value, decompressed; as it is, where that fails.
fn payload(record: &OwnedRecord) -> Cow<'_, [u8]> {
    let value = record.value.as_deref().unwrap_or_default();
    match Decompressed::default().open(value) {
        Ok(opened) if !std::ptr::eq(opened, value) => Cow::Owned(opened.to_owned()),
        _ => Cow::Borrowed(value),
    }
}

/// In words, what a message may be that nothing reads.
fn looks(value: &[u8]) -> &'static str {
    match std::str::from_utf8(value) {
        Ok(text) if text.trim_start().starts_with('[') => "JSON arrays of no objects",
        Ok(_) => "text",
        Err(_) => "a binary format without a schema; `--schema` names a file with one",
    }
}
