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

use super::hash::Seed;
use super::metadata::{Metadata, MetricMetadata};
use super::wire::{delimited_len, push_len, push_text, push_varint};
use super::{NAME, read};
use crate::batch::Batch;
use crate::config::raw::MetricType;

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
}

/// A label as it stood at its place in an item, and its symbols.
struct Label<'a> {
    encoded: &'a [u8],
    name: u32,
    value: u32,
}

/// The request's body, uncompressed. `None` for a batch that [`super::RemoteWrite`] has not encoded.
pub(crate) fn request(batch: &Batch, metadata: &Metadata, seed: u64) -> Option<Vec<u8>> {
    let mut symbols = Symbols::new(seed);
    let (mut series, mut refs, mut about) = (Vec::new(), Vec::new(), Vec::new());
    let mut labels: Vec<Label<'_>> = Vec::new();
    for item in 0..batch.len() {
        let (encoded, sample) = read::parts(batch.item(item))?;
        refs.clear();
        let mut metric: &[u8] = &[];
        for (at, (encoded, name, value)) in read::encoded_labels(encoded).enumerate() {
            if name == NAME.as_bytes() {
                metric = value;
            }
            let label = match labels.get(at) {
                Some(label) if label.encoded == encoded => label,
                _ => {
                    let (name, value) = (symbols.number(name), symbols.number(value));
                    let label = Label { encoded, name, value };
                    if at == labels.len() {
                        labels.push(label);
                    } else {
                        labels[at] = label;
                    }
                    &labels[at]
                }
            };
            push_varint(&mut refs, label.name.into());
            push_varint(&mut refs, label.value.into());
        }
        put_metadata(&mut about, metadata, metric, &mut symbols);
        series.push(SERIES);
        push_len(
            &mut series,
            delimited_len(refs.len()) + sample.len() + delimited_len(about.len()),
        );
        push_text(&mut series, LABEL_REFS, &refs);
        series.extend_from_slice(sample);
        push_text(&mut series, METADATA, &about);
    }
    let mut body = symbols.encoded;
    body.append(&mut series);
    Some(body)
}

fn put_metadata<'a>(
    out: &mut Vec<u8>,
    metadata: &'a Metadata,
    metric: &[u8],
    symbols: &mut Symbols<'a>,
) {
    out.clear();
    let known = std::str::from_utf8(metric).ok().and_then(|metric| metadata.0.get(metric));
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
        let mut symbols = Self { encoded: Vec::new(), numbers: HashMap::with_hasher(Seed(seed)) };
        // The first is empty, by the specification.
        symbols.number(&[]);
        symbols
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
