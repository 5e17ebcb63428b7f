//! The dashboard of Tidegate itself, over what it serves at `/metrics`.

use serde_json::{Value, json};

use super::dashboard::{Chart, data_source, frame, panel, target};
use super::series::Language;

/// The file's name, and the end of its uid.
pub const NAME: &str = "operations";

/// A panel: title, what to read from it, unit, and queries of PromQL with their legends.
type Row = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const ROWS: &[Row] = &[
    (
        "Behind",
        "Records in Kafka that are not durable in the database yet. Should fall back to near nothing.",
        "short",
        &[(
            "sum by (connector) (tidegate_lag_records{connector=~\"$connector\"})",
            "{{connector}}",
        )],
    ),
    (
        "Age of the newest point",
        "By the point's own time. It also grows while the topic is silent.",
        "s",
        &[(
            "min by (connector) (tidegate_freshness_seconds{connector=~\"$connector\"})",
            "{{connector}}",
        )],
    ),
    (
        "Records in",
        "Taken from Kafka.",
        "cps",
        &[(
            "sum by (connector) (rate(tidegate_records_consumed_total{connector=~\"$connector\"}[$__rate_interval]))",
            "{{connector}}",
        )],
    ),
    (
        "Points out",
        "Acknowledged as durable.",
        "cps",
        &[(
            "sum by (connector) (rate(tidegate_points_written_total{connector=~\"$connector\"}[$__rate_interval]))",
            "{{connector}}",
        )],
    ),
    (
        "Rejected and dead-lettered",
        "By the stage that rejected them and the kind of the reason; letters are confirmed in their topic.",
        "short",
        &[
            (
                "sum by (connector, stage, reason) (increase(tidegate_records_rejected_total{connector=~\"$connector\"}[$__rate_interval]))",
                "{{connector}} rejected: {{stage}}, {{reason}}",
            ),
            (
                "sum by (connector) (increase(tidegate_dead_letters_total{connector=~\"$connector\"}[$__rate_interval]))",
                "{{connector}} dead letters",
            ),
        ],
    ),
    (
        "Writes by result",
        "Attempts, and what they came to.",
        "reqps",
        &[(
            "sum by (connector, result) (rate(tidegate_writes_total{connector=~\"$connector\"}[$__rate_interval]))",
            "{{connector}} {{result}}",
        )],
    ),
    (
        "Duration of a write",
        "Median and 99th percentile.",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (connector, le) (rate(tidegate_write_duration_seconds_bucket{connector=~\"$connector\"}[$__rate_interval])))",
                "{{connector}} median",
            ),
            (
                "histogram_quantile(0.99, sum by (connector, le) (rate(tidegate_write_duration_seconds_bucket{connector=~\"$connector\"}[$__rate_interval])))",
                "{{connector}} p99",
            ),
        ],
    ),
    (
        "Workers waiting for the database",
        "Their partitions are paused, because it takes nothing.",
        "short",
        &[(
            "sum by (connector) (tidegate_workers_paused{connector=~\"$connector\"})",
            "{{connector}}",
        )],
    ),
    (
        "Since the last commit",
        "Grows while there is nothing to commit as well.",
        "s",
        &[(
            "max by (connector) (tidegate_commit_age_seconds{connector=~\"$connector\"})",
            "{{connector}}",
        )],
    ),
    (
        "State",
        "1 for the state that a connector is in; instances are added up.",
        "short",
        &[(
            "sum by (connector, state) (tidegate_connector_state{connector=~\"$connector\"})",
            "{{connector}} {{state}}",
        )],
    ),
    (
        "CPU",
        "Cores, of each process.",
        "short",
        &[(
            "rate(process_cpu_seconds_total[$__rate_interval]) and on (instance) tidegate_build_info",
            "{{instance}}",
        )],
    ),
    (
        "Memory",
        "Resident, of each process.",
        "bytes",
        &[("process_resident_memory_bytes and on (instance) tidegate_build_info", "{{instance}}")],
    ),
];

/// The dashboard.
pub fn dashboard() -> Value {
    let panels = ROWS.iter().enumerate().map(|(index, (title, description, unit, queries))| {
        let targets = queries.iter().enumerate().map(|(number, (query, legend))| {
            let mut target = target(Language::PromQl, ["A", "B"][number], query);
            target["legendFormat"] = Value::from(*legend);
            target
        });
        let targets: Vec<_> = targets.collect();
        panel(index, title, description, &Chart::Line { unit }, "prometheus", &targets)
    });
    let connectors = json!({
        "name": "connector", "label": "Connector", "type": "query",
        "query": { "qryType": 1, "query": "label_values(tidegate_connector_state, connector)",
            "refId": "PrometheusVariableQueryEditor-VariableQuery" },
        "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "includeAll": true, "allValue": ".*", "multi": true,
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        "refresh": 2, "sort": 1, "hide": 0,
    });
    let variables = [data_source("prometheus"), connectors];
    let panels: Vec<_> = panels.collect();
    frame("tidegate-operations", "Tidegate: operations", &variables, &panels)
}
