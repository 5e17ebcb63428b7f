//! A file of a mapping's tests: `sensors.test.yaml` beside `sensors.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Precision, Scalar};

/// A test file: messages, and what a connector must make of each. `${…}` is not expanded in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// The connector's file, seen from the folder of this one. Default: this file's name without
    /// `.test`, so that `sensors.test.yaml` tests `sensors.yaml`.
    pub connector: Option<String>,
    /// What `${NAME}` stands for in the connector's file. The process's own variables come after
    /// these; a secret's file that is not there is taken for the text `secret`.
    #[serde(default)]
    pub environment: BTreeMap<String, Scalar>,
    /// The unit of the timestamps in `points`.
    #[serde(default)]
    pub precision: Precision,
    /// The cases, in order: what the connector remembers of earlier messages, it remembers here.
    pub cases: Vec<TestCase>,
}

/// A message, and what becomes of it: exactly one of `points`, `rejected` and `excluded`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What the case shows.
    pub name: String,
    /// The record's value, written as YAML, and sent as JSON. For a text that is no JSON, and for one
    /// whose spelling matters (`1.10`), `text`.
    pub value: Option<serde_json::Value>,
    /// The record's value as it is.
    pub text: Option<String>,
    /// The record's value in base64, for formats that are no text.
    pub base64: Option<String>,
    /// The record's value in a file, seen from the folder of this one.
    pub file: Option<String>,
    /// The record's key, as text.
    pub key: Option<Scalar>,
    /// The record's headers, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Scalar>,
    /// Default: the first of the connector's topics.
    pub topic: Option<String>,
    /// Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub partition: i64,
    /// Default: the number of the case, from 0.
    #[schemars(range(min = 0))]
    pub offset: Option<i64>,
    /// The record's own timestamp: milliseconds since the epoch, or text such as
    /// `2026-11-22T10:00:00Z`. Default: `2026-01-01T00:00:00Z`.
    pub timestamp: Option<Scalar>,
    /// The points, in any order: lines of line protocol, or a list. A line without a timestamp says
    /// nothing of the time; numbers of a list say nothing of integer or float.
    pub points: Option<ExpectedPoints>,
    /// The record goes to the dead-letter topic.
    pub rejected: Option<ExpectedRejection>,
    /// Nothing is written of the message, and it is no error.
    #[serde(default)]
    pub excluded: bool,
}

/// Points, in one of two forms.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExpectedPoints {
    /// Lines of line protocol, such as `sensor,site=hall-3 temperature=21.4,cycles=3i`.
    Lines(String),
    /// A point each.
    List(Vec<ExpectedPoint>),
}

/// A point.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedPoint {
    /// The measurement.
    pub measurement: String,
    /// All tags, by name.
    #[serde(default)]
    pub tags: BTreeMap<String, Scalar>,
    /// All fields, by name.
    pub fields: BTreeMap<String, Scalar>,
    /// A whole number in the file's `precision`, or text such as `2026-11-22T10:00:00.25Z`. Unset:
    /// any time.
    pub timestamp: Option<Scalar>,
    /// Where it goes, if the sink tells that from the record: the bucket, database or tenant, as
    /// `destinations.allowed` has it. Unset: anywhere.
    pub to: Option<String>,
}

/// Why a record is rejected.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedRejection {
    /// Where on its way. Unset: anywhere.
    pub stage: Option<RejectedAt>,
    /// Text that the reason has in it, in capitals or not.
    pub reason: String,
}

/// Where on its way a record is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectedAt {
    /// The value is no message of the declared format.
    Decode,
    /// The message can't become a point by the mapping.
    Map,
    /// A processor refuses the point.
    Process,
    /// The point is none that the database can take.
    Encode,
}
