//! What is done with points between the mapping and the database.

mod rules;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::FieldKind;
pub use rules::*;

/// A processor: exactly one key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessStep {
    /// Which points go on, such as `temperature > -50 and site != 'lab'`: the grammar that `when` has,
    /// over the point's own fields and tags by their names, and `measurement`. A field comes before a tag
    /// of the same name. Others are left out.
    pub filter: Option<String>,
    /// New names of tags and fields, by the old ones: `{ temp: temperature }`. All at once.
    pub rename: Option<BTreeMap<String, String>>,
    /// Other types of fields, by their names: `{ cycles: integer }`. A value that has no equal of the type
    /// rejects the record.
    pub cast: Option<BTreeMap<String, FieldKind>>,
    /// Tags and fields that are left out, by their names. A point without a field left is none.
    pub drop: Option<Vec<String>>,
    /// A part of the records is enough.
    pub sample: Option<SampleRules>,
    /// Points that have come before are left out: of the same series and time, with the same fields.
    pub deduplicate: Option<DeduplicateRules>,
    /// How fast fields have grown since the point before of the series.
    pub rate: Option<RateRules>,
    /// By how much fields have grown since the point before of the series.
    pub delta: Option<DeltaRules>,
    /// Tags and fields from a table.
    pub enrich: Option<EnrichRules>,
    /// Which of several places points go to: the first rule that fits gives the name that the sink has
    /// `{{ route }}` for, as in `bucket: '{{ route }}'`. The last rule has no `when`.
    pub route: Option<Vec<RouteRule>>,
    /// How unusual a field's value is.
    pub anomaly: Option<AnomalyRules>,
    /// The points of a series within a span of event time become one.
    pub window: Option<WindowRules>,
}

/// A name for the points that a condition holds of.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// Which points go there, in the grammar of `filter`, such as `temperature > 80`. Only the last rule has
    /// none: it takes all that is left.
    pub when: Option<String>,
    /// What the sink's `{{ route }}` stands for.
    pub to: String,
}

/// Windows by event time. A window closes when a point of its partition is newer than its end and
/// `lateness`: so while a partition gets no points its last window stays open.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowRules {
    /// How long a window is, such as `5m`.
    pub size: String,
    /// A window begins this often, such as `1m`, at multiples of this since 1970 in UTC; so a point may lie
    /// in several, at most 100. Default: the size, so that each point lies in one.
    pub every: Option<String>,
    /// How long after its end a window waits for points that come out of order, such as `30s`.
    #[serde(default = "no_time")]
    pub lateness: String,
    /// By a field's name, what its values come to: `count`, `sum`, `min`, `max`, `mean`, `first`, `last`,
    /// `stddev`, and quantiles such as `p50`, `p95` or `p99.9`. `temperature: [mean]` gives the field
    /// `temperature_mean`. Other fields are left out.
    pub fields: BTreeMap<String, Vec<String>>,
    /// Whether a window's point has the time of its start or of its end.
    #[serde(default)]
    pub timestamp: WindowTime,
    /// Write the points themselves as well.
    #[serde(default)]
    pub keep: bool,
    /// What becomes of a point that comes when all windows that it lies in have closed.
    #[serde(default)]
    pub late: LatePoints,
    /// A record that would bring more series into one window of its partition is rejected. Default:
    /// 100000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_series: Option<u32>,
    /// For quantiles a window keeps its values, of 8 bytes each. A record that would bring more into one
    /// window of its partition, over all series, is rejected. Default: 1000000.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_values: Option<u32>,
}

fn no_time() -> String {
    "0s".into()
}

/// The time of a window's point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowTime {
    /// The window's first moment.
    #[default]
    Start,
    /// The first moment that is no longer in it.
    End,
}

/// What becomes of points that come too late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LatePoints {
    /// They are left out, and counted.
    #[default]
    Drop,
    /// Their records are rejected.
    Reject,
}
