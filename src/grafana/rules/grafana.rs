//! Grafana-managed rules, for its provisioning from files and by its API.
//! <https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/>

use serde_json::{Value, json};

use super::{Group, Rule, duration};
use crate::alert::Condition;
use crate::grafana::query::FRESH;
use crate::grafana::series::Language;
use crate::grafana::{FOLDER, FOLDER_UID, uid, yaml};

/// How often rules are looked at, in seconds.
const INTERVAL: u64 = 60;

/// A provisioning file with the groups; `data_source` is the uid of the one that is asked.
pub fn file(groups: &[Group], data_source: &str) -> String {
    let groups: Vec<_> = groups
        .iter()
        .map(|group| {
            json!({
                "orgId": 1,
                "name": group.name,
                "folder": FOLDER,
                "interval": format!("{INTERVAL}s"),
                "rules": rules(group, data_source),
            })
        })
        .collect();
    yaml::document(&json!({ "apiVersion": 1, "groups": groups }))
}

/// The body of `PUT /api/v1/provisioning/folder/:folder/rule-groups/:group`.
pub fn group(group: &Group, data_source: &str) -> Value {
    let rules: Vec<_> = rules(group, data_source)
        .into_iter()
        .map(|mut rule| {
            rule["folderUID"] = Value::from(FOLDER_UID);
            rule["ruleGroup"] = Value::from(group.name.as_str());
            rule["orgID"] = Value::from(1);
            rule
        })
        .collect();
    json!({ "title": group.name, "folderUid": FOLDER_UID, "interval": INTERVAL, "rules": rules })
}

fn rules(group: &Group, data_source: &str) -> Vec<Value> {
    group.rules.iter().map(|rule| one(group, rule, data_source)).collect()
}

/// A query, its last number of each series, and the comparison.
fn one(group: &Group, rule: &Rule, data_source: &str) -> Value {
    let alert = &rule.alert;
    let mut query = match group.language {
        Language::PromQl => json!({ "expr": rule.query, "instant": true, "range": false }),
        Language::Flux => json!({ "query": rule.query }),
        Language::InfluxQl => {
            json!({ "query": rule.query, "rawQuery": true, "resultFormat": "time_series" })
        }
    };
    query["refId"] = Value::from("A");
    let evaluator = match alert.condition {
        Condition::Above(limit) => json!({ "type": "gt", "params": [limit] }),
        Condition::Below(limit) => json!({ "type": "lt", "params": [limit] }),
    };
    let reduce = json!({ "refId": "B", "type": "reduce", "expression": "A", "reducer": "last",
        "settings": { "mode": "dropNN" } });
    let compare = json!({ "refId": "C", "type": "threshold", "expression": "B",
        "conditions": [{ "evaluator": evaluator }] });
    let seconds = alert.lasting.max(FRESH).as_secs();
    let annotations: serde_json::Map<_, _> = alert
        .annotations
        .iter()
        // Grafana's `$value` is a text of all that was computed.
        .map(|(name, text)| (name.clone(), Value::from(text.replace("$value", "$values.B.Value"))))
        .collect();
    json!({
        "uid": uid(&[&group.name, &alert.name]),
        "title": alert.name,
        "condition": "C",
        "data": [data("A", data_source, seconds, &query), data("B", EXPRESSION, 0, &reduce),
            data("C", EXPRESSION, 0, &compare)],
        "for": duration(alert.lasting),
        // A series that is gone fires nothing, as in Prometheus.
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": rule.labels,
        "annotations": annotations,
        "isPaused": false,
    })
}

/// The uid of Grafana's own expressions.
const EXPRESSION: &str = "__expr__";

fn data(reference: &str, data_source: &str, seconds: u64, model: &Value) -> Value {
    json!({ "refId": reference, "datasourceUid": data_source,
        "relativeTimeRange": { "from": seconds, "to": 0 }, "model": model })
}
