//! Inference: from some messages of a topic to a connector file that maps them.
//!
//! ```text
//! messages ──format──▶ documents ──shape──▶ what stands at each path ──guess──▶ tags, fields, time
//!                                                                  YAML ◀──draft──┘
//! ```
//!
//! A guess is a guess: the file says with each line what it was made from, and whoever runs it reads
//! it first. What is guessed is chosen so that each of the messages gives a point.

mod draft;
mod format;
mod guess;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use draft::quoted;
pub use draft::{Draft, SinkKind};

use serde_json::Value as Json;

use format::Format;
use guess::Guesses;
use shape::Shape;

/// A message to learn from.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    pub value: &'a [u8],
    /// When it was written, in milliseconds since the epoch.
    pub timestamp_millis: i64,
}

/// What a topic holds.
#[derive(Debug)]
pub struct Inferred {
    format: Format,
    guesses: Guesses,
    /// How many messages it was made from.
    samples: usize,
    /// One of them, if it is text.
    example: Option<String>,
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
    #[error("{bad} of {all} messages can't be read as {format}, such as {example}")]
    Mixed { bad: usize, all: usize, format: &'static str, example: String },
}

/// What messages hold.
///
/// # Errors
/// When their format is none that is known, or nothing can be learnt from them. A few broken messages
/// among many are passed over.
pub fn infer(samples: &[Sample<'_>], sink: SinkKind) -> Result<Inferred, InferError> {
    let samples: Vec<_> =
        samples.iter().filter(|sample| !sample.value.trim_ascii().is_empty()).collect();
    let first = samples.first().ok_or(InferError::Nothing)?;
    let read = |format: &Format| {
        samples.iter().filter(|sample| format.documents(sample.value).is_some()).count()
    };
    // Of two that read as many, the first: `max_by_key` gives the last.
    let best = Format::ALL.into_iter().rev().map(|format| (read(&format), format));
    let best = best.max_by_key(|(count, _)| *count).filter(|(count, _)| *count > 0);
    let Some((count, format)) = best else {
        return Err(InferError::Format { looks: looks(first.value) });
    };
    let bad = samples.len() - count;
    // One in ten may be broken; more are a part of what the topic holds.
    if bad * 10 > samples.len() {
        let unread = samples.iter().find(|sample| format.documents(sample.value).is_none());
        let example = String::from_utf8_lossy(unread.map_or(b"", |sample| sample.value));
        let (all, example) = (samples.len(), example.chars().take(80).collect());
        return Err(InferError::Mixed { bad, all, format: format.word(), example });
    }
    let (mut shape, mut example) = (Shape::default(), None);
    for sample in samples {
        for document in format.documents(sample.value).into_iter().flatten() {
            let text = std::str::from_utf8(sample.value).ok();
            example = example.or_else(|| text.map(ToOwned::to_owned));
            shape.take(&document, sample.timestamp_millis);
        }
    }
    if shape.messages == 0 {
        return Err(InferError::Nothing);
    }
    Ok(Inferred { format, guesses: Guesses::of(&shape, sink), samples: count, example })
}

/// In words, what a message that is no JSON object may be.
fn looks(value: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(value) else {
        return match value {
            [0, _, _, _, _, ..] => "Avro, Protobuf or JSON with a Schema Registry's header",
            [0x1f, 0x8b, ..] => "gzip",
            [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
            _ => "a binary format",
        };
    };
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Json>();
    match (documents.next(), documents.next()) {
        (Some(Ok(Json::Array(_))), None) => return "JSON arrays",
        (Some(Ok(Json::Number(_))), None) => return "plain numbers",
        _ => {}
    }
    if value.first() == Some(&0) {
        return "Avro, Protobuf or JSON with a Schema Registry's header";
    }
    if crate::trial::lines(text).is_ok_and(|points| !points.is_empty()) {
        return "InfluxDB's line protocol";
    }
    if text.lines().all(|line| line.matches([',', ';', '\t']).count() >= 2) {
        "CSV"
    } else {
        "text"
    }
}
