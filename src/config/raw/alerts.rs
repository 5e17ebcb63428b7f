//! Alerts, declared beside the mapping.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An alert on what this connector writes. Tidegate does not raise it: `tidegate grafana` makes a rule of
/// it, for Prometheus, Grafana or InfluxDB.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Its name, such as `TooHot`; no two in a file.
    pub name: String,
    /// The field that is looked at, by its name after `process`, in each series by itself. Either this or
    /// `query`.
    pub field: Option<String>,
    /// A query in the database's own language instead, such as
    /// `sum by (site) (rate(sensor_cycles[5m]))`: a number for each series. Flux has it in `_value`.
    pub query: Option<String>,
    /// It fires while the value is greater than this. Either this or `below`.
    pub above: Option<f64>,
    /// It fires while the value is less than this.
    pub below: Option<f64>,
    /// How long that must last, such as `5m`, or `0s` for at once.
    #[serde(rename = "for", default = "default_for")]
    pub lasting: String,
    /// How bad it is: the label `severity`.
    #[serde(default)]
    pub severity: Severity,
    /// More labels, by which Alertmanager or Grafana routes it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Texts for people, such as `summary`. `{{ $labels.site }}` and `{{ $value }}` are filled in.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

fn default_for() -> String {
    "5m".into()
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody must get up.
    Critical,
    /// Somebody must look at it today.
    #[default]
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// As in the label `severity`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}
