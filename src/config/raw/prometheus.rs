//! Remote write, and how points become series.

use std::collections::BTreeMap;

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
    /// What a `null` in the place of a number says.
    #[serde(default)]
    pub nulls: Nulls,
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
    /// Which message is sent.
    #[serde(default)]
    pub protobuf_message: ProtobufMessage,
    /// How request bodies are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// What is known of metrics, by the name that a metric has in the database. Sent with each sample
    /// by remote write 2.0, and once a minute by 1.0, of which Mimir and VictoriaMetrics make use.
    #[serde(default)]
    pub metadata: BTreeMap<String, MetricMetadata>,
    #[serde(flatten)]
    pub http: Http,
}

/// What a `null` in the place of a number says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// Nothing, as if the number were missing.
    #[default]
    Absent,
    /// That the series ends: a stale marker is written, so that queries don't show its last value for
    /// five minutes more. A field that is missing in the message still says nothing.
    Stale,
}

/// Which message is sent, by the names that Prometheus has for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ProtobufMessage {
    /// That of remote write 1.0, which every receiver takes.
    #[default]
    #[serde(rename = "prometheus.WriteRequest")]
    V1,
    /// That of remote write 2.0, for Prometheus 3 and later and Mimir. It is smaller, has the metrics'
    /// types, and the receiver says how many samples it has written.
    #[serde(rename = "io.prometheus.write.v2.Request")]
    V2,
    /// That of 2.0, and that of 1.0 where the receiver does not know it; asked again every hour.
    #[serde(rename = "auto")]
    Auto,
}

/// How request bodies of remote write are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As the protocol demands.
    #[default]
    Snappy,
    /// VictoriaMetrics' own variant, smaller on the network and dearer in CPU; snappy where the
    /// receiver does not know it, and asked again every hour.
    Zstd,
}

/// What is known of a metric.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricMetadata {
    /// What kind of number it is.
    #[serde(rename = "type")]
    pub kind: MetricType,
    /// What it tells, in a sentence.
    pub help: String,
    /// Its unit, such as `celsius`.
    pub unit: String,
}

/// What kind of number a metric is, by the names that Prometheus has for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricType {
    /// It goes up and down. So is a metric that is not named here, for remote write 2.0.
    #[default]
    Gauge,
    /// It only goes up, or begins anew.
    Counter,
    /// A series of a histogram.
    Histogram,
    /// A series of a histogram that goes up and down.
    Gaugehistogram,
    /// A series of a summary.
    Summary,
    /// Always 1; the labels tell.
    Info,
    /// 1 for the state that holds.
    Stateset,
    /// Not known.
    Unknown,
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
    /// Any. For Prometheus 3 and later, VictoriaMetrics, and Mimir if it is set so. Prometheus before
    /// 3 may drop such series without a word.
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
