//! Remote write, and how points become series.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Http;

/// Prometheus remote write: Prometheus with its receiver enabled, Mimir, Thanos, VictoriaMetrics.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// The whole address of the receiver, such as `http://localhost:9090/api/v1/write`. A part of its
    /// path may be a template, such as VictoriaMetrics' tenant in
    /// `http://vminsert:8480/insert/{{ header.tenant }}/prometheus/api/v1/write`: see `destinations`.
    pub url: String,
    /// A metric's name, with `{{ measurement }}` and `{{ field }}` in it. Default:
    /// `{{ measurement }}_{{ field }}`, and just the measurement for a field of the name `value`.
    pub metric_name: Option<String>,
    /// Which characters the names of metrics and labels may have.
    #[serde(default)]
    pub metric_name_validation_scheme: NameScheme,
    /// What becomes of fields of `type: string`: remote write carries numbers only.
    #[serde(default)]
    pub strings: Strings,
    /// A record with more labels a series than this (`__name__` among them) is rejected, because a
    /// database may drop such a series without a word. 0: no limit.
    #[serde(default = "default_label_limit")]
    pub label_limit: u32,
    /// A record with a longer name of a label, in bytes, is rejected. 0: no limit.
    #[serde(default = "default_label_name_length_limit")]
    pub label_name_length_limit: u32,
    /// A record with a longer value of a label, or a longer metric's name, in bytes, is rejected.
    /// 0: no limit.
    #[serde(default = "default_label_value_length_limit")]
    pub label_value_length_limit: u32,
    #[serde(flatten)]
    pub http: Http,
}

fn default_label_limit() -> u32 {
    30
}

fn default_label_name_length_limit() -> u32 {
    256
}

fn default_label_value_length_limit() -> u32 {
    4096
}

/// Which characters the names of metrics and labels may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NameScheme {
    /// Letters, digits and underscores, and colons in a metric's name; an underscore takes the place
    /// of any other character. Every receiver takes these.
    #[default]
    Legacy,
    /// Any. For Prometheus 3 and later, VictoriaMetrics, and Mimir if it is set so. Older ones of
    /// Prometheus drop such series without a word.
    Utf8,
}

/// What becomes of fields of `type: string`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strings {
    /// A configuration with one is refused.
    #[default]
    Reject,
    /// They are left out, and counted.
    Drop,
    /// Each is a label of the point's other fields. Every value makes series of its own, so this is
    /// for few values.
    Label,
}
