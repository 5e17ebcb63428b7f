//! collectd's JSON, as its plugins `write_kafka` and `write_http` send it: an array of value lists.
//!
//! As Telegraf's `collectd` parser joins it: the plugin is the measurement, what tells its value lists
//! apart are tags, and each of `dsnames` is a field.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Each, OUT_OF_RANGE, Samples, json, order, seconds};
use crate::decode::{DecodeError, Refusal};
use crate::point::Point;

#[derive(Deserialize)]
struct ValueList<'a> {
    /// Null where it is not a number.
    values: Vec<Option<f64>>,
    dsnames: Vec<String>,
    /// Seconds, of which each digit counts.
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    host: Cow<'a, str>,
    #[serde(borrow)]
    plugin: Cow<'a, str>,
    #[serde(borrow, default)]
    plugin_instance: Cow<'a, str>,
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    type_instance: Cow<'a, str>,
}

pub(super) fn points(payload: &[u8], samples: Samples, each: Each<'_>) -> Result<(), Refusal> {
    for list in json::<Vec<ValueList<'_>>>(payload)? {
        let timestamp = match list.time {
            Some(time) => seconds(time.get()).ok_or(DecodeError::new(OUT_OF_RANGE))?,
            None => samples.time()?,
        };
        if list.values.len() != list.dsnames.len() || list.plugin.is_empty() {
            let what = "a value list without a plugin, or with other than one name for each value";
            return Err(DecodeError::new(what).into());
        }
        let tags = [
            ("host", list.host),
            ("instance", list.plugin_instance),
            ("type", list.kind),
            ("type_instance", list.type_instance),
        ];
        let mut tags = tags.map(|(name, value)| (Cow::Borrowed(name), value)).to_vec();
        order(&mut tags)?;
        let fields = list.dsnames.into_iter().zip(list.values);
        let fields = fields.filter_map(|(name, value)| Some((name.into(), samples.value(value?)?)));
        let fields: Vec<_> = fields.collect();
        if !fields.is_empty() {
            each(Point {
                measurement: list.plugin,
                tags,
                fields,
                timestamp,
                to: Cow::Borrowed(""),
            })?;
        }
    }
    Ok(())
}
