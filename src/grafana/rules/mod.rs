//! Alerts as rules of those who raise them: one file a form.

pub mod flux;
pub mod grafana;
pub mod prometheus;

use std::collections::BTreeMap;
use std::time::Duration;

use super::OWNED;
use super::query;
use super::series::{Language, Series};
use crate::alert::Alert;

/// Alerts that belong together, with the language that their queries are in.
#[derive(Debug, Clone)]
pub struct Group {
    /// Unique: a connector's name, or [`super::pipeline::GROUP`].
    pub name: String,
    /// The language of the queries.
    pub language: Language,
    rules: Vec<Rule>,
}

/// An alert with its query.
#[derive(Debug, Clone)]
struct Rule {
    alert: Alert,
    query: String,
    labels: BTreeMap<String, String>,
}

impl Group {
    /// A connector's alerts.
    pub fn of_connector(series: &Series, alerts: &[Alert]) -> Self {
        let rules = alerts.iter().map(|alert| {
            let query = query::of_alert(series, &alert.subject, alert.lasting);
            let mut rule = Rule::new(alert, query);
            rule.labels.insert("connector".into(), series.connector.clone());
            rule
        });
        let name = format!("tidegate-{}", series.connector);
        Self { name, language: series.language, rules: rules.collect() }
    }

    /// The pipeline's own.
    pub fn of_pipeline() -> Self {
        let rules = super::pipeline::alerts().into_iter().map(|alert| {
            let query = match &alert.subject {
                crate::alert::Subject::Query(query) | crate::alert::Subject::Field(query) => {
                    query.clone()
                }
            };
            Rule::new(&alert, query)
        });
        let name = super::pipeline::GROUP.into();
        Self { name, language: Language::PromQl, rules: rules.collect() }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Rule {
    fn new(alert: &Alert, query: String) -> Self {
        let mut labels = alert.labels.clone();
        labels.insert("severity".into(), alert.severity.name().into());
        labels.insert(OWNED.0.into(), OWNED.1.into());
        Self { alert: alert.clone(), query, labels }
    }
}

/// As Prometheus and Grafana write it.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds > 0 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}
