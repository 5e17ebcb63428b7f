//! A rule file of Prometheus, Mimir and `VictoriaMetrics`' vmalert.
//! <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>

use serde_json::{Value, json};

use super::{Group, duration};
use crate::grafana::yaml;

/// A file with the groups.
pub fn file(groups: &[Group]) -> String {
    let groups: Vec<_> = groups.iter().map(group).collect();
    yaml::document(&json!({ "groups": groups }))
}

/// One group, as a ruler's API takes it.
pub fn one(group_of: &Group) -> String {
    yaml::document(&group(group_of))
}

fn group(group: &Group) -> Value {
    let rules = group.rules.iter().map(|rule| {
        let alert = &rule.alert;
        let (operator, limit) = (alert.condition.operator(), alert.condition.limit());
        json!({
            "alert": alert.name,
            // In parentheses, because an operator of the query may bind less tightly.
            "expr": format!("({}) {operator} {limit}", rule.query),
            "for": duration(alert.lasting),
            "labels": rule.labels,
            "annotations": alert.annotations,
        })
    });
    json!({ "name": group.name, "rules": rules.collect::<Vec<_>>() })
}
