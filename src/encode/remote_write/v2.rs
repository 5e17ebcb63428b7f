//! A request of remote write 2.0, made of a batch when it is sent.
//!
//! ```text
//! Request    { repeated string symbols = 4; repeated TimeSeries timeseries = 5 }
//! TimeSeries { repeated uint32 labels_refs = 1; repeated Sample samples = 2; Metadata metadata = 5 }
//! Metadata   { MetricType type = 1; uint32 help_ref = 3; uint32 unit_ref = 4 }
//! ```
//!
//! Symbols are a request's, so what was encoded with them could not be cut. The items stay those of
//! 1.0, each whole in itself, and this is what compression is: done to whatever is sent. A sample is
//! the same in both. The points of a record share their labels, and so do its neighbours', which is
//! why most labels are found where they were in the item before.

use std::collections::HashMap;

use super::metadata::{Metadata, MetricMetadata};
use super::wire::{FIRST, delimited_len, push_len, push_text, push_varint};
use super::{NAME, read};
use crate::batch::Batch;
use crate::config::raw::MetricType;
use crate::hash::Seed;

const SYMBOL: u8 = 0x22;
const SERIES: u8 = 0x2A;
const LABEL_REFS: u8 = 0x0A;
const METADATA: u8 = 0x2A;
const KIND: u8 = 0x08;
const HELP_REF: u8 = 0x18;
const UNIT_REF: u8 = 0x20;

/// The texts of a request, each once.
struct Symbols<'a> {
    encoded: Vec<u8>,
    numbers: HashMap<&'a [u8], u32, Seed>,
    /// By their encoded bytes: one look instead of two.
    labels: HashMap<&'a [u8], Label<'a>, Seed>,
}

/// A label and its symbols.
#[derive(Clone, Copy)]
struct Label<'a> {
    encoded: &'a [u8],
    name: u32,
    value: u32,
    /// The metric's name, if the label is that.
    metric: Option<&'a [u8]>,
}

/// The request's body, uncompressed. `None` for a batch that [`super::RemoteWrite`] has not encoded.
pub(crate) fn request(batch: &Batch, metadata: &Metadata, seed: u64) -> Option<Vec<u8>> {
    let mut symbols = Symbols::new(seed);
    let mut series = Vec::with_capacity(batch.body().len() / 2);
    let (mut refs, mut about) = (Vec::new(), Vec::new());
    // Those of the item before, at their places.
    let mut labels: Vec<Label<'_>> = Vec::new();
    for item in 0..batch.len() {
        // What is left when the labels are passed is the sample, with its header.
        let mut rest = read::series(batch.item(item))?;
        let mut metric = None;
        refs.clear();
        for at in 0.. {
            if rest.first() != Some(&FIRST) {
                break;
            }
            // A label begins with its length, so what begins with another's bytes is the same.
            if labels.get(at).is_none_or(|label| !rest.starts_with(label.encoded)) {
                let label = symbols.label(rest)?;
                match labels.get_mut(at) {
                    Some(place) => *place = label,
                    None => labels.push(label),
                }
            }
            let label = &labels[at];
            push_varint(&mut refs, label.name.into());
            push_varint(&mut refs, label.value.into());
            metric = metric.or(label.metric);
            rest = &rest[label.encoded.len()..];
        }
        put_metadata(&mut about, metadata, metric, &mut symbols);
        series.push(SERIES);
        push_len(&mut series, delimited_len(refs.len()) + rest.len() + delimited_len(about.len()));
        push_text(&mut series, LABEL_REFS, &refs);
        series.extend_from_slice(rest);
        push_text(&mut series, METADATA, &about);
    }
    let mut body = symbols.encoded;
    body.append(&mut series);
    Some(body)
}

fn put_metadata<'a>(
    out: &mut Vec<u8>,
    metadata: &'a Metadata,
    metric: Option<&[u8]>,
    symbols: &mut Symbols<'a>,
) {
    out.clear();
    let metric = metric.filter(|_| !metadata.0.is_empty());
    let metric = metric.and_then(|metric| std::str::from_utf8(metric).ok());
    let known = metric.and_then(|metric| metadata.0.get(metric));
    // A receiver may refuse a series without a type; what a message tells of is most often a gauge.
    let kind = known.map_or(MetricType::Gauge, |known| known.kind);
    out.push(KIND);
    push_varint(out, kind.number());
    if let Some(MetricMetadata { help, unit, .. }) = known {
        out.push(HELP_REF);
        push_varint(out, symbols.number(help.as_bytes()).into());
        out.push(UNIT_REF);
        push_varint(out, symbols.number(unit.as_bytes()).into());
    }
}

impl<'a> Symbols<'a> {
    fn new(seed: u64) -> Self {
        let (numbers, labels) =
            (HashMap::with_hasher(Seed(seed)), HashMap::with_hasher(Seed(seed)));
        let mut symbols = Self { encoded: Vec::new(), numbers, labels };
        // The first is empty, by the specification.
        symbols.number(&[]);
        symbols
    }

    /// The label that these bytes begin with.
    fn label(&mut self, bytes: &'a [u8]) -> Option<Label<'a>> {
        let encoded = read::first_label(bytes)?;
        if let Some(label) = self.labels.get(encoded) {
            return Some(*label);
        }
        let (name, value) = read::labels(encoded).next()?;
        let metric = (name == NAME.as_bytes()).then_some(value);
        let label = Label { encoded, name: self.number(name), value: self.number(value), metric };
        self.labels.insert(encoded, label);
        Some(label)
    }

    fn number(&mut self, text: &'a [u8]) -> u32 {
        // A batch has at most 64 MiB, so the numbers do not end.
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(text).or_insert_with(|| {
            push_text(&mut self.encoded, SYMBOL, text);
            next
        })
    }
}
