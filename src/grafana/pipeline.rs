//! Alerts for the pipeline itself, over what Tidegate serves at `/metrics`. Each has a page in
//! docs/runbooks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::alert::{Alert, Condition, Severity, Subject};

/// The group's name.
pub const GROUP: &str = "tidegate";

/// Name, query, limit, minutes, severity, and what it says.
type Row = (&'static str, &'static str, f64, u64, Severity, &'static str);

/// Each query has the labels of the connector, or of the instance where one instance can be at fault.
/// `increase` knows nothing of what a new process has counted before it was first scraped, and at a start
/// much can be wrong: of such a process the count itself is what there was within the time.
const ROWS: &[Row] = &[
    (
        "TidegateConnectorFailed",
        "tidegate_connector_state{state=\"failed\"}",
        0.0,
        1,
        Severity::Critical,
        "The connector {{ $labels.connector }} has failed and reads nothing more on {{ $labels.instance }}.",
    ),
    (
        "TidegateWorkerStuck",
        "tidegate_worker_turn_age_seconds",
        60.0,
        1,
        Severity::Critical,
        "A worker of {{ $labels.connector }} has not gone through its loop for a minute on {{ $labels.instance }}.",
    ),
    (
        "TidegateDatabaseRefuses",
        "max by (connector) (tidegate_workers_paused)",
        0.0,
        5,
        Severity::Critical,
        "The database of {{ $labels.connector }} has taken nothing for 5 minutes. Nothing is lost; it is being repeated.",
    ),
    (
        "TidegateNotCommitting",
        "max by (connector) (tidegate_commit_age_seconds and (tidegate_lag_records > 0))",
        300.0,
        5,
        Severity::Critical,
        "{{ $labels.connector }} is behind and has committed nothing for 5 minutes.",
    ),
    (
        "TidegateLagGrows",
        "sum by (connector) (tidegate_lag_records) and (deriv(sum by (connector) (tidegate_lag_records)[15m:1m]) > 0)",
        10_000.0,
        15,
        Severity::Warning,
        "{{ $labels.connector }} is {{ $value }} records behind, and ever more.",
    ),
    (
        "TidegateFreshnessLost",
        "min by (connector) (tidegate_freshness_seconds) and (sum by (connector) (tidegate_lag_records) > 0)",
        900.0,
        5,
        Severity::Warning,
        "The newest point of {{ $labels.connector }} is {{ $value }} seconds old, although there are records to read.",
    ),
    (
        "TidegateDeadLetters",
        "sum by (connector) ((tidegate_dead_letters_total and on (instance) (time() - process_start_time_seconds < 600)) or increase(tidegate_dead_letters_total[10m]))",
        0.0,
        0,
        Severity::Warning,
        "Records of {{ $labels.connector }} are rejected; they are in its dead-letter topic.",
    ),
    (
        "TidegateDeadLettersFail",
        "sum by (connector) (increase(tidegate_dead_letter_failures_total[10m]))",
        0.0,
        10,
        Severity::Critical,
        "The dead-letter topic of {{ $labels.connector }} takes no letters, and so its offsets wait.",
    ),
    (
        "TidegateRecordsLost",
        "sum by (connector) ((tidegate_records_lost_total and on (instance) (time() - process_start_time_seconds < 600)) or increase(tidegate_records_lost_total[10m]))",
        0.0,
        0,
        Severity::Critical,
        "Kafka has deleted records before {{ $labels.connector }} has read them.",
    ),
    (
        "TidegateAbsent",
        "absent(tidegate_build_info)",
        0.0,
        5,
        Severity::Critical,
        "No Tidegate is being scraped: it does not run, or its metrics are not reached.",
    ),
];

/// The alerts.
pub fn alerts() -> Vec<Alert> {
    let alert = |&(name, query, limit, minutes, severity, summary): &Row| Alert {
        name: name.into(),
        subject: Subject::Query(query.into()),
        condition: Condition::Above(limit),
        lasting: Duration::from_mins(minutes),
        severity,
        labels: BTreeMap::new(),
        annotations: BTreeMap::from([
            ("summary".into(), summary.into()),
            ("runbook".into(), format!("docs/runbooks/{}.md", runbook(name))),
        ]),
    };
    ROWS.iter().map(alert).collect()
}

/// `TidegateLagGrows` → `lag-grows`.
pub fn runbook(name: &str) -> String {
    let mut page = String::new();
    for c in name.trim_start_matches("Tidegate").chars() {
        if c.is_uppercase() && !page.is_empty() {
            page.push('-');
        }
        page.extend(c.to_lowercase());
    }
    page
}
