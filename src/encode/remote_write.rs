//! Prometheus remote write 1.0: every numeric field of a point is a series with one sample.
//!
//! An item is one entry of `WriteRequest.timeseries` with its field header, and protobuf takes
//! concatenated entries, so any run of items is a request:
//!
//! ```text
//! WriteRequest { repeated TimeSeries timeseries = 1 }
//! TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2 }
//! Label        { string name = 1; string value = 2 }
//! Sample       { double value = 1; int64 timestamp = 2 }   // milliseconds
//! ```

mod order;
pub(crate) mod read;
mod spread;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

pub use self::spread::{Origins, SpreadSeries};

use self::order::SeriesOrder;
use self::spread::Origin;
use super::EncodeError;
use crate::batch::{Batch, OpenBatch, RecordIndex};
use crate::point::{Point, Value};

const NAME: &str = "__name__";

/// The header of a length-delimited field 1: an entry of `timeseries`, `labels`, or `Label.name`.
const FIRST: u8 = 0x0A;
/// The header of a length-delimited field 2: an entry of `samples`, or `Label.value`.
const SECOND: u8 = 0x12;
const SAMPLE_VALUE: u8 = 0x09;
const SAMPLE_TIMESTAMP: u8 = 0x10;
/// Of a sample: both headers and the value. The timestamp follows.
const SAMPLE_FIXED: usize = 10;

/// Writes points as series of one sample; scratch space and the order of the open batch's samples.
/// One encoder serves one open batch at a time.
#[derive(Debug)]
pub struct RemoteWrite {
    labels: Labels,
    metric: Vec<u8>,
    order: SeriesOrder,
    origins: Arc<Origins>,
    /// The partition that points come from, and its topic.
    origin: Option<Origin>,
    topic: String,
    spread: Spread,
}

/// What was noticed of series that come from several partitions, since it was last asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Samples whose series' last one came from another partition.
    pub samples: u64,
    /// The first such series of a connector, to be told of.
    pub news: Option<SpreadSeries>,
}

/// The labels of one point's tags, encoded, split where `__name__` has its place: labels are sorted
/// bytewise, and capitals sort before an underscore.
#[derive(Debug, Default)]
struct Labels {
    before_name: Vec<u8>,
    after_name: Vec<u8>,
    /// Names made legal, one after the other, for points that have one that isn't.
    names: Vec<u8>,
    /// The part of `names` and the index of each tag.
    sorted: Vec<(Range<usize>, usize)>,
}

impl RemoteWrite {
    /// `origins` is shared by the encoders of a connector.
    pub fn new(origins: Arc<Origins>) -> Self {
        Self {
            labels: Labels::default(),
            metric: Vec::new(),
            order: SeriesOrder::new(origins.seed),
            origins,
            origin: None,
            topic: String::new(),
            spread: Spread::default(),
        }
    }

    /// Says which partition the next points come from.
    pub fn reads_from(&mut self, topic: &str, number: i32) {
        self.origin = Some(Origin::new(self.order.hash(&[topic.as_bytes()]), number));
        if self.topic != topic {
            topic.clone_into(&mut self.topic);
        }
    }

    /// What was noticed since the last time.
    pub fn take_spread(&mut self) -> Spread {
        std::mem::take(&mut self.spread)
    }

    /// Appends the point's series. After an error the caller takes back what was appended.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        if batch.is_empty() {
            self.order.clear();
        }
        if point.measurement.is_empty() {
            return Err(EncodeError("the measurement is empty".into()));
        }
        refuse_equal_fields(point)?;
        self.labels.encode(&point.tags)?;
        let tags = self.order.hash(&[&self.labels.before_name, &self.labels.after_name]);
        self.metric.clear();
        self.metric.extend(legal(&point.measurement, true));
        let measurement = self.metric.len();
        let timestamp = point.timestamp.millis();
        for (field, value) in &point.fields {
            let value = number(field, value)?;
            self.metric.truncate(measurement);
            self.push_field_name(field);
            let series = tags ^ self.order.hash(&[&self.metric]);
            self.order.see(series, timestamp);
            let start = batch.bytes.len();
            push_series(&mut batch.bytes, &self.labels, &self.metric, value, timestamp);
            batch.end_item(record);
            self.see_origin(series, &batch.bytes[start..]);
        }
        Ok(())
    }

    fn see_origin(&mut self, series: u64, item: &[u8]) {
        let Some(origin) = self.origin else { return };
        let Some(before) = self.origins.see(series, origin) else { return };
        self.spread.samples += 1;
        if self.origins.is_news()
            && let Some((labels, _)) = read::sample(item)
        {
            self.spread.news = Some(spread::describe(labels, &self.topic, origin, before));
        }
    }

    /// Finishes the batch: every series' samples in ascending time, one for a moment.
    pub fn close(&mut self, batch: &mut OpenBatch) -> Batch {
        if self.order.is_broken() {
            order::restore(batch);
        }
        self.order.clear();
        batch.close()
    }

    /// `{measurement}_{field}`, and just `{measurement}` for a field of the name `value`, as
    /// `influxdb_exporter` does. Whether the point has other fields plays no part: a series' name must
    /// not change when an optional field is missing.
    fn push_field_name(&mut self, field: &str) {
        if field != "value" {
            self.metric.push(b'_');
            self.metric.extend(field.chars().map(|c| legal_byte(c, true)));
        }
    }
}

impl Labels {
    fn encode(&mut self, tags: &[(&str, Cow<'_, str>)]) -> Result<(), EncodeError> {
        self.before_name.clear();
        self.after_name.clear();
        if tags.iter().all(|(name, _)| is_legal_label(name)) && tags.is_sorted_by_key(|tag| tag.0) {
            for (name, value) in tags {
                self.push(name.as_bytes(), value);
            }
            return match tags.iter().find(|(name, _)| *name == NAME) {
                Some(_) => Err(EncodeError(format!("a tag can't have the name {NAME:?}"))),
                None => Ok(()),
            };
        }
        self.make_legal(tags);
        self.refuse_equal(tags)?;
        for at in 0..self.sorted.len() {
            let (name, tag) = self.sorted[at].clone();
            let side = side(&mut self.before_name, &mut self.after_name, &self.names[name.clone()]);
            push_label(side, &self.names[name], tags[tag].1.as_bytes());
        }
        Ok(())
    }

    fn push(&mut self, name: &[u8], value: &str) {
        push_label(side(&mut self.before_name, &mut self.after_name, name), name, value.as_bytes());
    }

    /// Fills `sorted` with the tags in the order of their legal names.
    fn make_legal(&mut self, tags: &[(&str, Cow<'_, str>)]) {
        self.names.clear();
        self.sorted.clear();
        for (index, (name, _)) in tags.iter().enumerate() {
            let start = self.names.len();
            self.names.extend(legal(name, false));
            self.sorted.push((start..self.names.len(), index));
        }
        let names = &self.names;
        self.sorted.sort_unstable_by(|a, b| {
            names[a.0.clone()].cmp(&names[b.0.clone()]).then(a.1.cmp(&b.1))
        });
    }

    /// Two labels of one name: receivers drop the series with a 204, or keep either label.
    fn refuse_equal(&self, tags: &[(&str, Cow<'_, str>)]) -> Result<(), EncodeError> {
        let name = |entry: &(Range<usize>, usize)| &self.names[entry.0.clone()];
        for (at, entry) in self.sorted.iter().enumerate() {
            let label = String::from_utf8_lossy(name(entry));
            if label == NAME {
                return Err(EncodeError(format!(
                    "tag {:?} becomes the label {NAME:?}, which is the metric's name",
                    tags[entry.1].0
                )));
            }
            if let Some(next) = self.sorted.get(at + 1).filter(|next| name(next) == name(entry)) {
                return Err(EncodeError(format!(
                    "tags {:?} and {:?} both become the label {label:?}",
                    tags[entry.1].0, tags[next.1].0
                )));
            }
        }
        Ok(())
    }
}

/// The labels that a label of this name belongs to.
fn side<'a>(before: &'a mut Vec<u8>, after: &'a mut Vec<u8>, name: &[u8]) -> &'a mut Vec<u8> {
    if name < NAME.as_bytes() { before } else { after }
}

/// Two fields whose metrics would have one name: one value would silently replace the other.
fn refuse_equal_fields(point: &Point<'_>) -> Result<(), EncodeError> {
    let metric = |field: &str| field.chars().map(|c| legal_byte(c, true)).collect::<Vec<_>>();
    for (index, (field, _)) in point.fields.iter().enumerate() {
        // Names are unique, so of two that become equal one at least isn't legal as it is.
        if field.bytes().all(|byte| is_legal(byte, true)) {
            continue;
        }
        let name = metric(field);
        for (other, (second, _)) in point.fields.iter().enumerate() {
            if other != index && metric(second) == name {
                return Err(EncodeError(format!(
                    "fields {field:?} and {second:?} both become the metric {:?}",
                    format!("{}_{}", point.measurement, String::from_utf8_lossy(&name))
                )));
            }
        }
    }
    Ok(())
}

/// What Prometheus stores: a 64-bit float. Integers beyond 2^53 lose their last digits.
fn number(field: &str, value: &Value<'_>) -> Result<f64, EncodeError> {
    #[expect(clippy::cast_precision_loss, reason = "it is all that Prometheus can store")]
    Ok(match value {
        Value::Float(float) => float.to_f64(),
        Value::Integer(number) => *number as f64,
        Value::Unsigned(number) => *number as f64,
        Value::Boolean(truth) => f64::from(u8::from(*truth)),
        Value::String(_) => {
            return Err(EncodeError(format!(
                "field {field:?} is a string, and remote write carries numbers only"
            )));
        }
    })
}

/// Whether a byte may stand in a legacy name; a colon may in a metric's only.
fn is_legal(byte: u8, metric: bool) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || (metric && byte == b':')
}

fn is_legal_label(name: &str) -> bool {
    name.bytes().all(|byte| is_legal(byte, false))
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

fn legal_byte(c: char, metric: bool) -> u8 {
    u8::try_from(c).ok().filter(|&byte| is_legal(byte, metric)).unwrap_or(b'_')
}

/// A name in the legacy alphabet: one underscore for a character outside it, and one in front of a
/// leading digit. Remote write 1.0 has no other names; UTF-8 names came with 2.0.
fn legal(name: &str, metric: bool) -> impl Iterator<Item = u8> + '_ {
    let prefix = name.as_bytes().first().is_none_or(u8::is_ascii_digit).then_some(b'_');
    prefix.into_iter().chain(name.chars().map(move |c| legal_byte(c, metric)))
}

fn push_series(out: &mut Vec<u8>, labels: &Labels, metric: &[u8], value: f64, timestamp: i64) {
    // An int64 is a varint of its two's complement: ten bytes before 1970.
    let timestamp = timestamp.cast_unsigned();
    let sample = SAMPLE_FIXED + varint_len(timestamp);
    let series = labels.before_name.len()
        + delimited_len(label_len(NAME.len(), metric.len()))
        + labels.after_name.len()
        + delimited_len(sample);
    out.push(FIRST);
    push_len(out, series);
    out.extend_from_slice(&labels.before_name);
    push_label(out, NAME.as_bytes(), metric);
    out.extend_from_slice(&labels.after_name);
    out.push(SECOND);
    push_len(out, sample);
    out.push(SAMPLE_VALUE);
    out.extend_from_slice(&value.to_le_bytes());
    out.push(SAMPLE_TIMESTAMP);
    push_varint(out, timestamp);
}

fn push_label(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(FIRST);
    push_len(out, label_len(name.len(), value.len()));
    out.push(FIRST);
    push_len(out, name.len());
    out.extend_from_slice(name);
    out.push(SECOND);
    push_len(out, value.len());
    out.extend_from_slice(value);
}

fn label_len(name: usize, value: usize) -> usize {
    delimited_len(name) + delimited_len(value)
}

/// The size of a field of this length with its header.
fn delimited_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

fn varint_len(number: u64) -> usize {
    // Seven bits a byte, and one byte for 0.
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

fn push_len(out: &mut Vec<u8>, len: usize) {
    push_varint(out, len as u64);
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests;
