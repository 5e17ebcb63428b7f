//! The rules of processors that have more than a list.

use schemars::JsonSchema;
use serde::Deserialize;

use std::collections::BTreeMap;

use crate::config::raw::FieldKind;

/// One record of so many.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleRules {
    /// The points of one record in so many go on. Which ones is told by a hash of their offsets, so that
    /// a replay takes the same.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub every: u64,
}

/// Points that have come before.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeduplicateRules {
    /// How far behind the partition's clock a point is remembered, such as `10m`.
    pub within: String,
    /// How many points of a series are remembered: the newest.
    #[serde(default = "a_thousand")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub points: u32,
    /// How many series of a partition are remembered. A record with another one is rejected.
    #[serde(default = "ten_thousand")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_series: u32,
}

/// How fast fields grow.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateRules {
    /// Fields with numbers. Each `FIELD` gets a `FIELD_rate` beside it, a float.
    pub fields: Vec<String>,
    /// The unit of time: `1s` gives a growth a second.
    #[serde(default = "a_second")]
    pub per: String,
    /// How far behind the partition's clock the point before may be. A point without one gets no rate.
    pub within: String,
    /// `true`: the fields are counters; one that falls has begun anew at zero. `false`: they may fall, and
    /// the rate is negative then.
    #[serde(default = "yes")]
    pub counter: bool,
    /// How many series of a partition are remembered. A record with another one is rejected.
    #[serde(default = "a_hundred_thousand")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_series: u32,
}

/// By how much fields have grown.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeltaRules {
    /// Fields with numbers. Each `FIELD` gets a `FIELD_delta` beside it, a float.
    pub fields: Vec<String>,
    /// How far behind the partition's clock the point before may be. A point without one gets no delta.
    pub within: String,
    /// `true`: the fields are counters; one that falls has begun anew at zero. `false`: they may fall, and
    /// the delta is negative then.
    #[serde(default = "yes")]
    pub counter: bool,
    /// How many series of a partition are remembered. A record with another one is rejected.
    #[serde(default = "a_hundred_thousand")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_series: u32,
}

/// Tags and fields from a table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrichRules {
    /// One of `tables`.
    pub table: String,
    /// The tag or field whose value is the key of the row.
    pub by: String,
    /// Columns that become tags of their names. A tag that the point has already stays.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Columns that become fields of their names, each with its type. A field that the point has already
    /// stays.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldKind>,
    /// Reject the record where there is no row. Otherwise nothing is added.
    #[serde(default)]
    pub required: bool,
}

/// How unusual a field's value is. Adds `FIELD_score`, a float, and `FIELD_anomaly`, a boolean.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnomalyRules {
    /// A field with numbers.
    pub field: String,
    /// What the added fields are named by instead of `field`: `step` gives `step_score` and
    /// `step_anomaly`. For a second look at the same field.
    pub name: Option<String>,
    /// What a value is held against.
    pub method: AnomalyMethod,
    /// Also add `FIELD_low` and `FIELD_high`, floats: a value below the one or above the other is an
    /// anomaly. Dashboards shade what is between them.
    #[serde(default)]
    pub band: bool,
    /// All but `bounds`: how far behind the partition's clock the points are that a value is held
    /// against. Default: `1h`.
    pub over: Option<String>,
    /// All but `bounds`: how many points of a series a value is held against: the newest before it.
    /// Default: 500.
    #[schemars(range(min = 1, max = 10_000))]
    pub points: Option<u32>,
    /// All but `bounds`: with fewer points before it, a value gets no score. Default: 20.
    #[schemars(range(min = 1, max = 10_000))]
    pub warmup: Option<u32>,
    /// All but `bounds`: a score beyond this, or below its negative, is an anomaly. Default: 3.5.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub threshold: Option<f64>,
    /// All but `bounds`: the least deviation that counts, in the field's unit (for `change`, in its unit a
    /// second). Keeps a value that hardly ever moves from being an anomaly when it does. Default: 0.
    #[schemars(range(min = 0))]
    pub min_deviation: Option<f64>,
    /// `ewma`: the weight of the newest value. Each one before weighs `1 - alpha` of the one after it.
    /// Default: 0.1.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub alpha: Option<f64>,
    /// `bounds`: a greater value is an anomaly.
    pub above: Option<f64>,
    /// `bounds`: a smaller value is an anomaly.
    pub below: Option<f64>,
    /// `bounds`: other bounds at some hours or on some weekdays. The first that fits counts, and then
    /// nothing else.
    #[serde(default)]
    pub bands: Vec<BandRules>,
    /// `bounds`: the zone of hours and weekdays, such as `Europe/Berlin`. Default: UTC.
    pub zone: Option<String>,
    /// All but `bounds`: how many series of a partition are remembered. A record with another one is
    /// rejected. Default: 10,000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_series: Option<u32>,
}

/// What a value is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyMethod {
    /// The mean of the values before it, the newer the weightier: the score is the distance in standard
    /// deviations.
    Ewma,
    /// The median of the values before it: the score is the distance in standard deviations, which are
    /// taken from the median of distances. A few wild values don't move it.
    Robust,
    /// As `robust`, but of how fast the value changes instead of the value.
    Change,
    /// Bounds that are given: the score is how far the value is beyond them.
    Bounds,
}

/// Bounds of some hours or weekdays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BandRules {
    /// From when to before when, such as `8-18`, `06:30-22:00` or `22-6`. Default: all day.
    pub hours: Option<String>,
    /// Such as `[sat, sun]`. Default: every day.
    pub weekdays: Vec<DayOfWeek>,
    /// A greater value is an anomaly.
    pub above: Option<f64>,
    /// A smaller value is an anomaly.
    pub below: Option<f64>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "their names say it")]
pub enum DayOfWeek {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

fn a_second() -> String {
    "1s".into()
}

fn yes() -> bool {
    true
}

fn a_thousand() -> u32 {
    1000
}

fn ten_thousand() -> u32 {
    10_000
}

fn a_hundred_thousand() -> u32 {
    100_000
}
