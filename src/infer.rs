//! Inference: from some messages of a topic to a connector file that maps them.
//!
//! ```text
//! messages ──shape──▶ what stands at each path ──guess──▶ tags, fields, time ──draft──▶ YAML
//! ```
//!
//! A guess is a guess: the file says with each line what it was made from, and whoever runs it reads
//! it first. What is guessed is chosen so that each of the messages gives a point.

mod draft;
mod guess;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use draft::quoted;
pub use draft::{Draft, SinkKind};

use serde_json::Value as Json;

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
    guesses: Guesses,
    /// How many messages it was made from.
    samples: usize,
    /// One of them, on a line.
    example: String,
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
    #[error("{bad} of {all} messages are no JSON objects, such as {example}")]
    Mixed { bad: usize, all: usize, example: String },
}

/// What messages hold: JSON objects.
///
/// # Errors
/// When they are of another format, or nothing can be learnt from them. A few broken messages among
/// many are passed over.
pub fn infer(samples: &[Sample<'_>], sink: SinkKind) -> Result<Inferred, InferError> {
    let samples: Vec<_> =
        samples.iter().filter(|sample| !sample.value.trim_ascii().is_empty()).collect();
    let first = samples.first().ok_or(InferError::Nothing)?;
    let (mut shape, mut example, mut bad) = (Shape::default(), None, Vec::new());
    for sample in &samples {
        match serde_json::from_slice(sample.value) {
            Ok(Json::Object(object)) => {
                example.get_or_insert_with(|| String::from_utf8_lossy(sample.value).into_owned());
                shape.take(&object, sample.timestamp_millis);
            }
            _ => bad.push(sample.value),
        }
    }
    let Some(example) = example else {
        return Err(InferError::Format { looks: looks(first.value) });
    };
    // One in ten may be broken; more are a part of what the topic holds.
    if bad.len() * 10 > samples.len() {
        let example = String::from_utf8_lossy(bad[0]).chars().take(80).collect();
        return Err(InferError::Mixed { bad: bad.len(), all: samples.len(), example });
    }
    let count = samples.len() - bad.len();
    Ok(Inferred { guesses: Guesses::of(&shape, sink), samples: count, example })
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
        (Some(Ok(Json::Object(_))), Some(Ok(_))) => return "JSON lines",
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
