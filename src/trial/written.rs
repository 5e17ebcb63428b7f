//! What a record's points are in a request to the database, as text.

use std::fmt::Write as _;

use crate::config;
use crate::decode::{Decoder, Message};
use crate::encode::Encoder;
use crate::encode::remote_write::is_legal_name;
use crate::point::{Point, Value};
use crate::record::Record;

use crate::batch::{Batch, OpenParts};

/// A line of line protocol or of JSON, or a sample of remote write with its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it goes, if that is told from the record.
    pub destination: Option<String>,
    pub text: String,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.destination {
            Some(destination) => write!(f, "{destination}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Closes what is open, and reads it back.
pub(super) fn written<R: Record>(
    encoder: &mut Encoder,
    open: &mut OpenParts,
    record: &R,
) -> Vec<Written> {
    let is_remote_write = matches!(encoder, Encoder::RemoteWrite(_));
    let (parts, _) = open.close(encoder);
    let of = |part: &Batch| {
        let to = part.destination();
        let destination = (!to.is_constant()).then(|| to.to_string());
        let body = part.body();
        let texts = if is_remote_write {
            samples(&body, record)
        } else {
            String::from_utf8_lossy(&body).lines().map(ToOwned::to_owned).collect()
        };
        texts
            .into_iter()
            .map(move |text| Written { destination: destination.clone(), text })
            .collect::<Vec<_>>()
    };
    parts.iter().flat_map(of).collect()
}

/// Each sample as Prometheus writes it in text: `name{label="value"} 21.5 1763805600250`.
fn samples<R: Record>(body: &[u8], record: &R) -> Vec<String> {
    let format = config::Decode::Points(config::Points::RemoteWrite);
    let Decoder::Points(mut reader) = Decoder::new(&format).keeping_not_finite(true) else {
        return Vec::new();
    };
    let mut samples = Vec::new();
    // It was written just now, and is whole.
    let _ = reader.decode(&Message { payload: body, record }, &mut |point| {
        samples.push(sample(&point));
        Ok(())
    });
    samples
}

fn sample(point: &Point<'_>) -> String {
    let mut labels: Vec<_> = point
        .tags
        .iter()
        .map(|(name, value)| {
            let name = if is_legal_name(name, false) { name.to_string() } else { quoted(name) };
            format!("{name}={}", quoted(value))
        })
        .collect();
    let mut text = String::new();
    // Other names stand among the labels, in the notation of Prometheus 3.
    if is_legal_name(&point.measurement, true) {
        text.push_str(&point.measurement);
    } else {
        labels.insert(0, quoted(&point.measurement));
    }
    if !labels.is_empty() {
        // Writing to a String can't fail.
        let _ = write!(text, "{{{}}}", labels.join(","));
    }
    let value = match point.fields.first() {
        Some((_, Value::Float(number))) => number.to_f64().to_string(),
        Some((_, Value::NotFinite(number))) => number.to_f64().to_string(),
        _ => "stale".into(),
    };
    let _ = write!(text, " {value} {}", point.timestamp.millis());
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
