//! Prometheus remote write: every numeric field of a point is a series with one sample.
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
//!
//! That is 1.0; [`v2`] makes 2.0 of it.

mod items;
mod labels;
mod metadata;
mod names;
mod order;
pub(crate) mod read;
mod sources;
mod spread;
pub(crate) mod v2;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

pub use self::metadata::{Metadata, MetricMetadata};
pub(crate) use self::names::is_legal_name;
pub use self::names::{LabelLimits, NamePiece, SeriesRules};
pub use self::sources::SharedMetric;
pub use self::spread::{Origins, SpreadSeries};

use self::items::{Items, Series, Time};
use self::labels::{Labels, check_metric};
use self::order::SeriesOrder;
use self::sources::{Made, Seen};
use self::spread::Origin;
use self::wire::push_series;
use self::wire::varint_len;
use super::EncodeError;
use super::known::{Known, Place};
use crate::batch::{Batch, OpenBatch, RecordIndex};
use crate::cardinality;
use crate::config::raw::Strings;
use crate::point::{Float, KnownValue, Point, Timestamp, Value};
use crate::series::SeriesKey;

/// Points of so many series are kept; 12 MiB at most, by the length of their keys and items.
const KNOWN: usize = 2048;

const NAME: &str = "__name__";
/// The NaN that ends a series (`StaleNaN` in Prometheus' `model/value/value.go`).
pub(crate) const STALE: u64 = 0x7FF0_0000_0000_0002;

/// Writes points as series of one sample; scratch space and the order of the open batch's samples.
/// One encoder serves one open batch at a time.
#[derive(Debug)]
pub struct RemoteWrite {
    rules: Arc<SeriesRules>,
    labels: Labels,
    metric: Vec<u8>,
    /// Of the last point that was not known.
    series: Vec<Series>,
    /// `None` for one destination of many, whose encoder is gone with its batch.
    known: Option<Known<Items>>,
    /// Room for a point's.
    pub(super) key: SeriesKey,
    order: SeriesOrder,
    origins: Arc<Origins>,
    /// The partition that points come from, and its topic.
    origin: Option<Origin>,
    topic: String,
    seen: Seen,
    noticed: Box<Noticed>,
}

/// What was noticed since it was last asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Samples whose series' last one came from another partition.
    pub in_several_partitions: u64,
    /// The first such series of a connector, to be told of.
    pub news: Option<SpreadSeries>,
    /// String fields that were left out, as the configuration wants it.
    pub strings_dropped: u64,
    /// Metrics that were found to be made of more than one measurement and field.
    pub shared_metrics: u64,
    /// The first of them of a connector, to be told of.
    pub shared: Vec<SharedMetric>,
}

impl Noticed {
    /// Adds what another encoder of the same worker has noticed.
    pub fn add(&mut self, more: Self) {
        self.in_several_partitions += more.in_several_partitions;
        self.news = self.news.take().or(more.news);
        self.strings_dropped += more.strings_dropped;
        self.shared_metrics += more.shared_metrics;
        self.shared.extend(more.shared);
    }
}

impl RemoteWrite {
    /// `origins` is shared by the encoders of a connector.
    pub fn new(rules: Arc<SeriesRules>, origins: Arc<Origins>) -> Self {
        Self {
            rules,
            labels: Labels::default(),
            metric: Vec::new(),
            series: Vec::new(),
            known: Some(Known::new(KNOWN)),
            key: SeriesKey::default(),
            order: SeriesOrder::new(origins.seed),
            origins,
            origin: None,
            topic: String::new(),
            seen: Seen::default(),
            noticed: Box::default(),
        }
    }

    /// For another destination, where the same labels are another series.
    pub(super) fn apart(&self, key: &str) -> Self {
        let seed = self.order.hash(&[key.as_bytes()]);
        Self {
            order: SeriesOrder::new(seed),
            known: None,
            ..Self::new(Arc::clone(&self.rules), Arc::clone(&self.origins))
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
    pub fn take_noticed(&mut self) -> Noticed {
        std::mem::take(&mut *self.noticed)
    }

    /// Whether it keeps series, and [`RemoteWrite::encode_known`] is worth a try with the next point.
    #[inline]
    pub(super) fn keeps_series(&mut self) -> bool {
        self.known.as_mut().is_some_and(Known::is_on)
    }

    /// Appends the point's series, and keeps nothing of them. After an error the caller takes back what was appended.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        self.encode_new(&SeriesKey::default(), point, record, batch)
    }

    /// Appends the series of a point of which the values and the time are all that is new, if `passes` lets
    /// its series through. After `false` all is as it was before.
    pub fn encode_known<'v>(
        &mut self,
        key: &SeriesKey,
        values: impl Iterator<Item = KnownValue<'v>> + Clone,
        timestamp: Timestamp,
        record: RecordIndex,
        batch: &mut OpenBatch,
        passes: impl FnOnce(cardinality::Key) -> bool,
    ) -> bool {
        // Of a batch before, which may have been given up.
        if batch.is_empty() {
            self.order.clear();
        }
        // Taken out while it is read, because all else here is written to.
        let Some(known) = self.known.take() else { return false };
        let timestamp = timestamp.millis();
        let time = varint_len(timestamp.cast_unsigned());
        let place = known.find(key).filter(|place| {
            place.written.hold(self.order.numbering(), time)
                // Texts may become labels.
                && !values.clone().any(|value| matches!(value, KnownValue::Value(Value::String(_))))
                && passes(place.guarded)
        });
        if let Some(place) = place {
            self.put(place, values, timestamp, record, batch);
        }
        let is_known = place.is_some();
        self.known = Some(known);
        is_known
    }

    fn put<'v>(
        &mut self,
        known: &Place<Items>,
        values: impl Iterator<Item = KnownValue<'v>>,
        timestamp: i64,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) {
        let time = Time::new(timestamp);
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(known.bytes());
        let mut start_of_item = start;
        for (item, value) in known.written.each.iter().zip(values.filter_map(known_number)) {
            let end = start + item.end as usize;
            time.put(&mut batch.bytes[start_of_item..end], value);
            batch.end_item_at(end, record);
            self.order.see(item.series.number, timestamp);
            self.see_origin(item.series.hash, &batch.bytes[start_of_item..end]);
            start_of_item = end;
        }
    }

    /// Appends the point's series, and keeps them for the next point with this key. After an error the
    /// caller takes back what was appended.
    pub(super) fn encode_new(
        &mut self,
        key: &SeriesKey,
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
        let start = batch.items.len();
        self.append(point, record, batch)?;
        // Texts may become labels.
        let has_text = point.fields.iter().any(|(_, value)| matches!(value, Value::String(_)));
        if let (false, Some(known)) = (has_text, &mut self.known)
            && let Some(bytes) = Items::kept(batch, start)
            && let Some((kept, items)) = known.learn(key, point, bytes.len())
        {
            kept.extend_from_slice(bytes);
            let time = varint_len(point.timestamp.millis().cast_unsigned());
            let (each, numbering) = (&batch.items[start..], self.order.numbering());
            items.refill(bytes.len(), each, &self.series, numbering, time);
        }
        Ok(())
    }

    fn append(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        refuse_equal_fields(&self.rules, point)?;
        let dropped = self.encode_labels(point)?;
        let tags = self.order.hash(&[&self.labels.before_name, &self.labels.after_name]);
        let timestamp = point.timestamp.millis();
        self.series.clear();
        for (field, value) in &point.fields {
            let Some(value) = number(value) else { continue };
            self.rules.put_metric(&mut self.metric, &point.measurement, field);
            check_metric(&self.metric, &self.rules.limits)?;
            let metric = self.order.hash(&[&self.metric]);
            self.see_source(metric, &point.measurement, field);
            let hash = tags ^ metric;
            let series = Series { hash, number: self.order.number(hash) };
            self.series.push(series);
            self.order.see(series.number, timestamp);
            let start = batch.bytes.len();
            push_series(&mut batch.bytes, &self.labels, &self.metric, value, timestamp);
            batch.end_item(record);
            self.see_origin(hash, &batch.bytes[start..]);
        }
        if self.series.is_empty() {
            return Err(EncodeError(
                "no field is a number, and remote write carries numbers only".into(),
            ));
        }
        self.noticed.strings_dropped += dropped;
        Ok(())
    }

    /// Encodes the labels, and says how many strings are left out.
    fn encode_labels(&mut self, point: &Point<'_>) -> Result<u64, EncodeError> {
        let mut strings = point.fields.iter().filter_map(|(field, value)| match value {
            Value::String(text) => Some((field.as_ref(), text.as_ref())),
            _ => None,
        });
        let (mut labels, mut dropped) = (Vec::new(), 0);
        match self.rules.strings {
            Strings::Reject => {
                if let Some((field, _)) = strings.next() {
                    return Err(EncodeError(format!(
                        "field {field:?} is a string, and remote write carries numbers only \
                         (`strings: label` or `strings: drop`)"
                    )));
                }
            }
            Strings::Drop => dropped = strings.count() as u64,
            // An empty value is a label that isn't there.
            Strings::Label => labels.extend(strings.filter(|(_, text)| !text.is_empty())),
        }
        self.labels.encode(&self.rules, &point.tags, &labels)?;
        Ok(dropped)
    }

    fn see_source(&mut self, metric: u64, measurement: &str, field: &str) {
        let as_is = self.rules.keeps(measurement) && self.rules.keeps(field);
        let (measurement, field) = self.rules.parts(measurement, field);
        let made = Made { metric, measurement, field, as_is };
        if self.seen.is_new(made) {
            self.origins.sources.see(made, &self.metric, &mut self.noticed);
        }
    }

    fn see_origin(&mut self, series: u64, item: &[u8]) {
        let Some(origin) = self.origin else { return };
        let Some(before) = self.origins.see(series, origin) else { return };
        self.noticed.in_several_partitions += 1;
        if self.origins.is_news()
            && let Some((labels, _)) = read::sample(item)
        {
            self.noticed.news = Some(spread::describe(labels, &self.topic, origin, before));
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
}

/// Two fields whose metrics would have one name: one value would silently replace the other.
fn refuse_equal_fields(rules: &SeriesRules, point: &Point<'_>) -> Result<(), EncodeError> {
    let is_number = |value: &Value<'_>| !matches!(value, Value::String(_));
    for (at, (field, value)) in point.fields.iter().enumerate() {
        // Names are unique, so of two that become equal one at least isn't legal as it is.
        if !is_number(value) || (rules.tells_fields_apart() && rules.keeps(field)) {
            continue;
        }
        let same = |(_, (other, value)): &(usize, &(Cow<'_, str>, Value<'_>))| {
            is_number(value) && rules.are_one_metric(field, other)
        };
        let mut others = point.fields.iter().enumerate().filter(|(other, _)| *other != at);
        if let Some((_, (second, _))) = others.find(same) {
            return Err(EncodeError(format!(
                "fields {field:?} and {second:?} both become the metric {:?}",
                rules.metric(&point.measurement, field)
            )));
        }
    }
    Ok(())
}

#[inline]
fn known_number(value: KnownValue<'_>) -> Option<f64> {
    match value {
        KnownValue::Spelled(text) => Some(Float::Text(text).to_f64()),
        KnownValue::Value(value) => number(value),
    }
}

/// What Prometheus stores: a 64-bit float. Integers beyond 2^53 lose their last digits.
fn number(value: &Value<'_>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "it is all that Prometheus can store")]
    match value {
        Value::Float(float) => Some(float.to_f64()),
        Value::Integer(number) => Some(*number as f64),
        Value::Unsigned(number) => Some(*number as f64),
        Value::Boolean(truth) => Some(f64::from(u8::from(*truth))),
        Value::Stale => Some(f64::from_bits(STALE)),
        Value::NotFinite(number) => Some(number.to_f64()),
        Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests;
