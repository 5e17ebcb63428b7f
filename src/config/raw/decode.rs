//! The format of a record's value.

use schemars::JsonSchema;
use serde::Deserialize;

/// The format of a record's value: its name, or its name with its settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Decode {
    /// A format as it is by default.
    Word(Format),
    /// A format with its settings: exactly one key.
    Settings(Box<FormatChoice>),
}

impl Default for Decode {
    fn default() -> Self {
        Self::Word(Format::Json)
    }
}

/// A format that needs no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON document a record.
    Json,
}

/// The format of a record's value, with its settings: exactly one key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FormatChoice {
    /// One JSON document a record.
    pub json: Option<Json>,
}

/// One JSON document a record. It has no settings.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Json {}
