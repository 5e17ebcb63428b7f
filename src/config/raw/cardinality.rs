//! How many series and values of tags there may be, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is said of many series, and done about more values than a tag may have. All counts are of this process,
/// since its start.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CardinalityRules {
    /// The number of series (estimated, within some per cent) at which the log warns and names the tag with
    /// the most values; at each doubling again.
    #[schemars(range(min = 1))]
    pub warn_at: u64,
    /// The most series. A record of a new one beyond is rejected. Default: no limit. 20 bytes of memory each.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_series: Option<u32>,
    /// The most values of each tag. Default: no limit. 20 bytes of memory each.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_tag_values: Option<u32>,
    /// The most values of single tags, by name, before `max_tag_values`.
    #[schemars(inner(range(min = 1, max = 10_000_000)))]
    pub max_values_of: BTreeMap<String, u32>,
    /// What becomes of a point with a new value of a tag beyond its limit.
    pub over_limit: OverLimit,
}

impl Default for CardinalityRules {
    fn default() -> Self {
        Self {
            warn_at: 100_000,
            max_series: None,
            max_tag_values: None,
            max_values_of: BTreeMap::new(),
            over_limit: OverLimit::default(),
        }
    }
}

/// What becomes of a point with a new value of a tag beyond its limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverLimit {
    /// Its record is rejected.
    #[default]
    Reject,
    /// It is written without the tag.
    DropTag,
    /// It is written with the value `other`.
    Other,
}
