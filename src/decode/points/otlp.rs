//! OpenTelemetry's metrics, in protobuf or JSON: the message of an export request, as the Collector's
//! Kafka exporter writes it (`otlp_proto`, `otlp_json`).
//!
//! Names are those that Prometheus' series have, so that a point can go to either kind of database:
//!
//! | Metric | Point |
//! |---|---|
//! | gauge, sum | `NAME value=…` |
//! | histogram | `NAME count=…,sum=…,min=…,max=…`, and `NAME,le=BOUND bucket=…` for each bucket, cumulative |
//! | exponential histogram | the same, with the bounds of the buckets that have something in them |
//! | summary | `NAME count=…,sum=…`, and `NAME,quantile=Q value=…` |

mod message;

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::Message as _;
use serde_json::Value as Json;

use self::message::{
    Any, AnyValue, Data, ExponentialPoint, HistogramPoint, KeyValue, Metric, Number, NumberPoint,
    Request, Side, SummaryPoint,
};
use super::histogram::{Exponential, bound_text};
use super::{Each, OUT_OF_RANGE, Samples, Tags, VALUE, json, order};
use crate::decode::{DecodeError, Refusal};
use crate::encode::STALE;
use crate::point::{Point, Timestamp};

/// The flag of a point that says that there is none any more.
const NO_RECORDED_VALUE: u32 = 1;

/// JSON begins with a brace, and no request in protobuf does.
pub(super) fn points(payload: &[u8], samples: Samples, each: Each<'_>) -> Result<(), Refusal> {
    let request = if payload.trim_ascii_start().first() == Some(&b'{') {
        json::<Request>(payload)?
    } else {
        Request::decode(payload).map_err(|error| DecodeError::new(error.to_string()))?
    };
    for of_resource in &request.resource_metrics {
        let resource = of_resource.resource.iter().flat_map(|resource| &resource.attributes);
        let resource: Vec<_> = resource.filter_map(tag).collect();
        for metric in of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let out = &mut Out { metric, resource: &resource, samples, each };
            out.metric()?;
        }
    }
    Ok(())
}

/// Where a metric's points go.
struct Out<'a, 'f> {
    metric: &'a Metric,
    /// The tags of all its points.
    resource: &'a [(Cow<'a, str>, Cow<'a, str>)],
    samples: Samples,
    each: Each<'f>,
}

/// What all kinds of points have.
struct Common<'a> {
    attributes: &'a [KeyValue],
    nanos: u64,
    flags: u32,
}

impl Out<'_, '_> {
    fn metric(&mut self) -> Result<(), Refusal> {
        if self.metric.name.is_empty() {
            return Err(DecodeError::new("a metric without a name").into());
        }
        match &self.metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter().try_for_each(|p| self.number(p)),
            Some(Data::Sum(sum)) => sum.data_points.iter().try_for_each(|p| self.number(p)),
            Some(Data::Histogram(metric)) => {
                metric.data_points.iter().try_for_each(|p| self.histogram(p))
            }
            Some(Data::ExponentialHistogram(metric)) => {
                metric.data_points.iter().try_for_each(|p| self.exponential(p))
            }
            Some(Data::Summary(metric)) => {
                metric.data_points.iter().try_for_each(|p| self.summary(p))
            }
            // Of a kind that is younger than this.
            None => Err(DecodeError::new("a metric of an unknown kind").into()),
        }
    }

    fn number(&mut self, point: &NumberPoint) -> Result<(), Refusal> {
        #[expect(clippy::cast_precision_loss, reason = "numbers are floats")]
        let value = match point.value {
            Some(Number::AsDouble(number)) => Some(number),
            Some(Number::AsInt(number)) => Some(number as f64),
            None if point.flags & NO_RECORDED_VALUE != 0 => None,
            None => return Err(DecodeError::new("a number that has none").into()),
        };
        let common = Common {
            attributes: &point.attributes,
            nanos: point.time_unix_nano,
            flags: point.flags,
        };
        self.point(&common, None, &[(VALUE, value)])
    }

    fn histogram(&mut self, point: &HistogramPoint) -> Result<(), Refusal> {
        let common = Common {
            attributes: &point.attributes,
            nanos: point.time_unix_nano,
            flags: point.flags,
        };
        let counts = [
            ("count", Some(float(point.count))),
            ("max", point.max),
            ("min", point.min),
            ("sum", point.sum),
        ];
        self.point(&common, None, &counts)?;
        if !point.bucket_counts.is_empty()
            && point.bucket_counts.len() != point.explicit_bounds.len() + 1
        {
            return Err(DecodeError::new(
                "a histogram with other than one bucket more than bounds",
            )
            .into());
        }
        let bounds = point.explicit_bounds.iter().copied().chain([f64::INFINITY]);
        let mut below = 0;
        for (bound, count) in bounds.zip(&point.bucket_counts) {
            below += count;
            self.point(&common, Some(("le", bound)), &[("bucket", Some(float(below)))])?;
        }
        Ok(())
    }

    fn exponential(&mut self, point: &ExponentialPoint) -> Result<(), Refusal> {
        let common = Common {
            attributes: &point.attributes,
            nanos: point.time_unix_nano,
            flags: point.flags,
        };
        let count = float(point.count);
        let counts =
            [("count", Some(count)), ("max", point.max), ("min", point.min), ("sum", point.sum)];
        self.point(&common, None, &counts)?;
        let histogram = Exponential {
            scale: point.scale,
            zero_threshold: point.zero_threshold,
            zero_count: float(point.zero_count),
            positive: buckets(point.positive.as_ref()),
            negative: buckets(point.negative.as_ref()),
        };
        for (bound, below) in histogram.cumulative().into_iter().chain([(f64::INFINITY, count)]) {
            self.point(&common, Some(("le", bound)), &[("bucket", Some(below))])?;
        }
        Ok(())
    }

    fn summary(&mut self, point: &SummaryPoint) -> Result<(), Refusal> {
        let common = Common {
            attributes: &point.attributes,
            nanos: point.time_unix_nano,
            flags: point.flags,
        };
        self.point(
            &common,
            None,
            &[("count", Some(float(point.count))), ("sum", Some(point.sum))],
        )?;
        for at in &point.quantile_values {
            self.point(&common, Some(("quantile", at.quantile)), &[(VALUE, Some(at.value))])?;
        }
        Ok(())
    }

    /// Hands out one point, with these of its fields that have a value.
    fn point(
        &mut self,
        common: &Common<'_>,
        bound: Option<(&'static str, f64)>,
        fields: &[(&'static str, Option<f64>)],
    ) -> Result<(), Refusal> {
        let is_over = common.flags & NO_RECORDED_VALUE != 0;
        let fields = fields.iter().filter_map(|(name, number)| {
            let number = if is_over { Some(f64::from_bits(STALE)) } else { *number };
            Some((Cow::Borrowed(*name), self.samples.value(number?)?))
        });
        let fields: Vec<_> = fields.collect();
        if fields.is_empty() {
            return Ok(());
        }
        let mut tags: Tags<'_> = common.attributes.iter().filter_map(tag).collect();
        tags.extend(bound.map(|(name, bound)| (Cow::Borrowed(name), bound_text(bound).into())));
        // What a point says itself is nearer to it than what its resource says.
        let own = tags.len();
        for (name, value) in self.resource {
            if tags[..own].iter().all(|(own, _)| own != name) {
                tags.push((Cow::Borrowed(name), Cow::Borrowed(value)));
            }
        }
        order(&mut tags)?;
        let timestamp = match common.nanos {
            0 => self.samples.time()?,
            nanos => Timestamp::from_nanos(nanos.into()).ok_or(DecodeError::new(OUT_OF_RANGE))?,
        };
        let measurement = Cow::Borrowed(&*self.metric.name);
        (self.each)(Point { measurement, tags, fields, timestamp, to: Cow::Borrowed("") })
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers are floats")]
fn float(count: u64) -> f64 {
    count as f64
}

fn buckets(side: Option<&Side>) -> Vec<(i64, f64)> {
    let Some(side) = side else { return Vec::new() };
    (i64::from(side.offset)..).zip(side.bucket_counts.iter().map(|count| float(*count))).collect()
}

/// An attribute as a tag. `None` when it has no value.
fn tag(attribute: &KeyValue) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let value = match attribute.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Cow::Borrowed(text.as_str()),
        Any::BoolValue(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        Any::IntValue(number) => number.to_string().into(),
        Any::DoubleValue(number) => bound_text(*number).into(),
        Any::BytesValue(bytes) => BASE64_STANDARD.encode(bytes).into(),
        nested @ (Any::ArrayValue(_) | Any::KvlistValue(_)) => as_json(nested).to_string().into(),
    };
    Some((Cow::Borrowed(attribute.key.as_str()), value))
}

/// A nested attribute, as the specification wants it where only text can be stored.
fn as_json(value: &Any) -> Json {
    let of = |value: &AnyValue| value.value.as_ref().map_or(Json::Null, as_json);
    match value {
        Any::StringValue(text) => text.as_str().into(),
        Any::BoolValue(truth) => (*truth).into(),
        Any::IntValue(number) => (*number).into(),
        Any::DoubleValue(number) => (*number).into(),
        Any::BytesValue(bytes) => BASE64_STANDARD.encode(bytes).into(),
        Any::ArrayValue(array) => array.values.iter().map(of).collect(),
        Any::KvlistValue(list) => {
            let entries = list.values.iter();
            let entries = entries
                .map(|entry| (entry.key.clone(), entry.value.as_ref().map_or(Json::Null, of)));
            Json::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests;
