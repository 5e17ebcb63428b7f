//! Telegraf's JSON (`data_format = "json"` of its outputs): a metric, or `{"metrics": […]}` with several.
//!
//! Telegraf writes a float without a fraction as it writes an integer, so the message doesn't say which
//! it was: numbers are floats.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Each, OUT_OF_RANGE, Samples, Tags, json, order};
use crate::config::raw::TimeUnit;
use crate::decode::{DecodeError, Refusal};
use crate::map;
use crate::point::{Point, Timestamp, Value};

/// Either it has `metrics`, or it is a metric.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    metrics: Option<Vec<Metric<'a>>>,
}

#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, Field>,
    /// In a unit that the message doesn't say.
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Number(f64),
    Boolean(bool),
    Text(String),
    Null(()),
}

pub(super) fn points(
    payload: &[u8],
    unit: TimeUnit,
    samples: Samples,
    each: Each<'_>,
) -> Result<(), Refusal> {
    match json::<Message<'_>>(payload)?.metrics {
        Some(metrics) => {
            metrics.into_iter().try_for_each(|metric| metric.point(unit, samples, each))
        }
        None => json::<Metric<'_>>(payload)?.point(unit, samples, each),
    }
}

impl Metric<'_> {
    fn point(self, unit: TimeUnit, samples: Samples, each: Each<'_>) -> Result<(), Refusal> {
        if self.name.is_empty() {
            return Err(DecodeError::new("a metric without a name").into());
        }
        let timestamp = match self.timestamp {
            Some(number) => map::nanos_of(number.get(), unit)
                .and_then(Timestamp::from_nanos)
                .ok_or(DecodeError::new(OUT_OF_RANGE))?,
            None => samples.time()?,
        };
        let tags = self.tags.into_iter().map(|(name, value)| (name.into(), value.into()));
        let mut tags: Tags<'_> = tags.collect();
        order(&mut tags)?;
        let fields = self.fields.into_iter().filter_map(|(name, field)| {
            let value = match field {
                Field::Number(number) => samples.value(number)?,
                Field::Boolean(truth) => Value::Boolean(truth),
                Field::Text(text) => Value::String(text.into()),
                Field::Null(()) => return None,
            };
            Some((name.into(), value))
        });
        let fields: Vec<_> = fields.collect();
        if fields.is_empty() {
            return Ok(());
        }
        each(Point { measurement: self.name, tags, fields, timestamp, to: Cow::Borrowed("") })
    }
}
