//! What is known of a metric besides its samples.

use std::collections::BTreeMap;

use super::wire::{delimited_len, push_len, push_text, push_varint, varint_len};
use crate::config::raw::MetricType;

/// Types, helps and units, by metric.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(pub BTreeMap<String, MetricMetadata>);

/// What is known of one metric.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricMetadata {
    pub kind: MetricType,
    /// Empty if there is none.
    pub help: String,
    /// Empty if there is none.
    pub unit: String,
}

/// The headers of `WriteRequest.metadata` and of the texts in it.
const METADATA: u8 = 0x1A;
const KIND: u8 = 0x08;
const NAME: u8 = 0x12;
const HELP: u8 = 0x22;
const UNIT: u8 = 0x2A;

impl Metadata {
    /// Entries of `WriteRequest.metadata` of remote write 1.0; may be appended to any request.
    pub(crate) fn entries(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (metric, MetricMetadata { kind, help, unit }) in &self.0 {
            let kind = kind.number();
            let texts = [(NAME, metric), (HELP, help), (UNIT, unit)];
            let texts = texts.map(|(header, text)| (header, text.as_bytes()));
            let len: usize = texts.iter().map(|(_, text)| delimited_len(text.len())).sum();
            out.push(METADATA);
            push_len(&mut out, 1 + varint_len(kind) + len);
            out.push(KIND);
            push_varint(&mut out, kind);
            for (header, text) in texts {
                push_text(&mut out, header, text);
            }
        }
        out
    }
}

impl MetricType {
    /// Its number in both protocols.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Counter => 1,
            Self::Gauge => 2,
            Self::Histogram => 3,
            Self::Gaugehistogram => 4,
            Self::Summary => 5,
            Self::Info => 6,
            Self::Stateset => 7,
        }
    }
}
