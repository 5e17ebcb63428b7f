//! When points are written and how writes are repeated, and where rejected records go, as written.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where rejected records go.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    /// The dead-letter topic. It must exist, or the brokers must create topics by themselves.
    pub topic: String,
}

/// When a batch is closed and written: at the first limit that is met.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchRules {
    /// The number of points, or of records. By default 5000; for `prometheus`, where each field of a point is a sample
    /// and counts, 20000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_points: Option<u32>,
    /// The encoded size before compression, or the size of the records it comes from, such as `1MiB` or `500kB`. By
    /// default 1MiB; for `prometheus` 4MiB.
    #[schemars(extend("type" = ["string", "integer"]))]
    pub max_bytes: Option<String>,
    /// The time since the batch's first record, such as `1s` or `200ms`.
    pub linger: String,
}

impl Default for BatchRules {
    fn default() -> Self {
        Self { max_points: None, max_bytes: None, linger: "1s".into() }
    }
}

/// How writes are attempted and repeated.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryRules {
    /// Requests in flight a worker. Prometheus takes samples in order only, so it always has 1.
    #[schemars(range(min = 1, max = 64))]
    pub in_flight: u32,
    /// The time that one request may take.
    pub timeout: String,
    /// The first pause after a failed attempt; it doubles, with jitter.
    pub min_backoff: String,
    /// The longest pause between attempts. There is no last attempt.
    pub max_backoff: String,
    /// On a revoked partition or a stop: how long to wait for what is in flight. Must be shorter
    /// than `session.timeout.ms`.
    pub drain: String,
}

impl Default for DeliveryRules {
    fn default() -> Self {
        Self {
            in_flight: 4,
            timeout: "30s".into(),
            min_backoff: "100ms".into(),
            max_backoff: "30s".into(),
            drain: "20s".into(),
        }
    }
}
