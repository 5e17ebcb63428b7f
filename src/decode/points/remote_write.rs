//! Prometheus remote write, 1.0 and 2.0, as a record's value: what a Kafka adapter takes over from an
//! HTTP request, with or without its snappy.
//!
//! A sample is a point whose measurement is the metric's name; to a receiver of remote write it goes
//! on as the same series. A native histogram becomes the series of a classic one: `_bucket` with `le`,
//! `_sum` and `_count`. Metadata and exemplars are read past.

use std::borrow::Cow;

use super::histogram::{Exponential, bound_text};
use super::{Each, OUT_OF_RANGE, Sample, Samples, Tags, order};
use crate::decode::compression::snappy_block;
use crate::decode::wire::{Field, Fields, zigzag};
use crate::decode::{DecodeError, Refusal};
use crate::encode::STALE;
use crate::point::Timestamp;

/// The schema of a native histogram whose bounds are told one by one.
const CUSTOM_BUCKETS: i64 = -53;

pub(super) fn points(payload: &[u8], samples: Samples, each: Each<'_>) -> Result<(), Refusal> {
    match snappy_block(payload) {
        Some(plain) => request(&plain, samples, each),
        None => request(payload, samples, each),
    }
}

/// Fields 1 and 3 are those of 1.0, and 4 and 5 those of 2.0, so that no request is taken for the other.
fn request(request: &[u8], samples: Samples, each: Each<'_>) -> Result<(), Refusal> {
    let mut symbols = Vec::new();
    for field in Fields(request) {
        if let (4, text) = field? {
            symbols.push(text.text()?);
        }
    }
    let mut labels = Vec::new();
    for field in Fields(request) {
        match field? {
            (1, series) => {
                Series::read(series, V1, &symbols, &mut labels)?.points(samples, each)?;
            }
            (5, series) => {
                Series::read(series, V2, &symbols, &mut labels)?.points(samples, each)?;
            }
            // Metadata, and the symbols again.
            (3 | 4, _) => {}
            _ => {
                return Err(
                    DecodeError::new("neither a remote write request of 1.0 nor of 2.0").into()
                );
            }
        }
    }
    Ok(())
}

/// Where a version has what in a series.
#[derive(Clone, Copy, PartialEq)]
struct Version {
    histograms: u32,
}

const V1: Version = Version { histograms: 4 };
const V2: Version = Version { histograms: 3 };

/// A series with its samples, these as they are encoded.
struct Series<'a> {
    name: Cow<'a, str>,
    labels: Tags<'a>,
    samples: Vec<&'a [u8]>,
    histograms: Vec<&'a [u8]>,
}

impl<'a> Series<'a> {
    fn read(
        series: Field<'a>,
        version: Version,
        symbols: &[&'a str],
        references: &mut Vec<u64>,
    ) -> Result<Self, DecodeError> {
        let mut read = Self {
            name: Cow::Borrowed(""),
            labels: Tags::new(),
            samples: Vec::new(),
            histograms: Vec::new(),
        };
        references.clear();
        for field in Fields(series.bytes().unwrap_or_default()) {
            match field? {
                (1, label) if version == V1 => read.labels.push(label_of(label)?),
                (1, field) => field.numbers(references)?,
                (2, sample) => read.samples.extend(sample.bytes()),
                (number, histogram) if number == version.histograms => {
                    read.histograms.extend(histogram.bytes());
                }
                _ => {}
            }
        }
        for pair in references.chunks(2) {
            let symbol = |at: Option<&u64>| {
                let symbol = at.and_then(|at| symbols.get(usize::try_from(*at).ok()?));
                symbol
                    .map(|text| Cow::Borrowed(*text))
                    .ok_or(DecodeError::new("a label without its symbol"))
            };
            read.labels.push((symbol(pair.first())?, symbol(pair.get(1))?));
        }
        let name = read.labels.iter().position(|(name, _)| name == "__name__");
        read.name = name.map(|at| read.labels.remove(at).1).unwrap_or_default();
        if read.name.is_empty() {
            return Err(DecodeError::new("a series without a metric's name"));
        }
        order(&mut read.labels)?;
        Ok(read)
    }

    fn points(&self, samples: Samples, each: Each<'_>) -> Result<(), Refusal> {
        for sample in &self.samples {
            let (mut number, mut millis) = (0.0, 0);
            for field in Fields(sample) {
                match field? {
                    (1, value) => number = value.double().unwrap_or(number),
                    (2, time) => millis = time.number().unwrap_or(millis),
                    _ => {}
                }
            }
            self.point("", None, number, millis, samples, each)?;
        }
        for histogram in &self.histograms {
            let histogram = Histogram::read(histogram)?;
            let millis = histogram.millis;
            for (bound, count) in histogram.cumulative() {
                self.point("_bucket", Some(bound), count, millis, samples, each)?;
            }
            self.point("_bucket", Some(f64::INFINITY), histogram.count(), millis, samples, each)?;
            self.point("_sum", None, histogram.sum, millis, samples, each)?;
            self.point("_count", None, histogram.count(), millis, samples, each)?;
        }
        Ok(())
    }

    fn point(
        &self,
        suffix: &str,
        bound: Option<f64>,
        number: f64,
        millis: u64,
        samples: Samples,
        each: Each<'_>,
    ) -> Result<(), Refusal> {
        let timestamp = Timestamp::from_millis(millis.cast_signed());
        let timestamp = timestamp.ok_or(DecodeError::new(OUT_OF_RANGE))?;
        let name = if suffix.is_empty() {
            Cow::Borrowed(&*self.name)
        } else {
            Cow::Owned(format!("{}{suffix}", self.name))
        };
        let mut labels = borrow(&self.labels);
        if let Some(bound) = bound {
            labels.push((Cow::Borrowed("le"), Cow::Owned(bound_text(bound))));
            order(&mut labels)?;
        }
        samples.hand_out(Sample { name, labels, number, timestamp }, each)
    }
}

fn borrow<'b>(labels: &'b Tags<'_>) -> Tags<'b> {
    labels.iter().map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))).collect()
}

fn label_of(label: Field<'_>) -> Result<(Cow<'_, str>, Cow<'_, str>), DecodeError> {
    let (mut name, mut value) = ("", "");
    for field in Fields(label.bytes().unwrap_or_default()) {
        match field? {
            (1, text) => name = text.text()?,
            (2, text) => value = text.text()?,
            _ => {}
        }
    }
    Ok((Cow::Borrowed(name), Cow::Borrowed(value)))
}

/// A native histogram; 1.0 and 2.0 have the same.
#[derive(Default)]
struct Histogram {
    count: f64,
    sum: f64,
    schema: i64,
    zero_threshold: f64,
    zero_count: f64,
    positive: Buckets,
    negative: Buckets,
    custom_bounds: Vec<f64>,
    millis: u64,
}

/// Runs of buckets, and what is in each: whole numbers as differences, or the counts themselves.
#[derive(Default)]
struct Buckets {
    /// How many buckets are skipped before a run, and how long it is.
    spans: Vec<(i64, u64)>,
    deltas: Vec<u64>,
    counts: Vec<f64>,
}

impl Histogram {
    fn read(encoded: &[u8]) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        for field in Fields(encoded) {
            let (number, field) = field?;
            #[expect(clippy::cast_precision_loss, reason = "Prometheus stores floats")]
            let whole = field.number().unwrap_or_default() as f64;
            match number {
                1 => read.count = whole,
                2 => read.count = field.double().unwrap_or_default(),
                3 => read.sum = field.double().unwrap_or_default(),
                4 => read.schema = zigzag(field.number().unwrap_or_default()),
                5 => read.zero_threshold = field.double().unwrap_or_default(),
                6 => read.zero_count = whole,
                7 => read.zero_count = field.double().unwrap_or_default(),
                8 => read.negative.spans.push(span(field)?),
                9 => field.numbers(&mut read.negative.deltas)?,
                10 => field.doubles(&mut read.negative.counts),
                11 => read.positive.spans.push(span(field)?),
                12 => field.numbers(&mut read.positive.deltas)?,
                13 => field.doubles(&mut read.positive.counts),
                15 => read.millis = field.number().unwrap_or_default(),
                16 => field.doubles(&mut read.custom_bounds),
                _ => {}
            }
        }
        Ok(read)
    }

    /// The end of a series is told by the sum.
    fn is_stale(&self) -> bool {
        self.sum.to_bits() == STALE
    }

    fn count(&self) -> f64 {
        if self.is_stale() { self.sum } else { self.count }
    }

    fn cumulative(&self) -> Vec<(f64, f64)> {
        if self.is_stale() {
            return Vec::new();
        }
        if self.schema == CUSTOM_BUCKETS {
            return self.custom();
        }
        // Here a bucket has the index of its upper bound, and there of its lower.
        let lower = |buckets: &Buckets| {
            buckets.counts().into_iter().map(|(index, count)| (index - 1, count)).collect()
        };
        let exponential = Exponential {
            scale: i32::try_from(self.schema).unwrap_or_default(),
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            positive: lower(&self.positive),
            negative: lower(&self.negative),
        };
        exponential.cumulative()
    }

    fn custom(&self) -> Vec<(f64, f64)> {
        let mut below = 0.0;
        let counts = self.positive.counts().into_iter();
        let buckets = counts.filter_map(|(index, count)| {
            below += count;
            // What is above the last bound is in the count.
            Some((*self.custom_bounds.get(usize::try_from(index).ok()?)?, below))
        });
        buckets.collect()
    }
}

impl Buckets {
    /// Each bucket's index and its count.
    fn counts(&self) -> Vec<(i64, f64)> {
        let mut whole: i64 = 0;
        #[expect(clippy::cast_precision_loss, reason = "Prometheus stores floats")]
        let from_deltas = self.deltas.iter().map(|delta| {
            whole = whole.wrapping_add(zigzag(*delta));
            whole as f64
        });
        let mut counts = from_deltas.chain(self.counts.iter().copied());
        let (mut index, mut buckets) = (0_i64, Vec::new());
        for (skipped, length) in &self.spans {
            index = index.saturating_add(*skipped);
            for count in counts.by_ref().take(usize::try_from(*length).unwrap_or(usize::MAX)) {
                buckets.push((index, count));
                index = index.saturating_add(1);
            }
        }
        buckets
    }
}

fn span(field: Field<'_>) -> Result<(i64, u64), DecodeError> {
    let mut span = (0, 0);
    for field in Fields(field.bytes().unwrap_or_default()) {
        match field? {
            (1, offset) => span.0 = zigzag(offset.number().unwrap_or_default()),
            (2, length) => span.1 = length.number().unwrap_or_default(),
            _ => {}
        }
    }
    Ok(span)
}

#[cfg(test)]
#[path = "remote_write_tests.rs"]
mod tests;
