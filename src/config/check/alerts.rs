//! Alerts: what the schema can't say of them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Checker, units};
use crate::alert::{Alert, Condition, Subject};
use crate::config::error::quoted;
use crate::config::raw::{AlertRule, ConnectorFile, FieldKind};
use crate::map::Mapping;
use crate::process::{Processor, Shape};

/// More alerts of one connector are a mistake.
const MOST: usize = 200;

/// The fields that a connector writes, with their types.
pub(super) struct Written(Vec<(String, FieldKind)>);

impl Written {
    /// `None` where the mapping or a processor is wrong itself.
    pub(super) fn of(mapping: Option<&Mapping>, processors: Option<&[Processor]>) -> Option<Self> {
        let processors = processors?;
        let points = mapping?.points.iter();
        Some(Self(points.flat_map(|point| Shape::of(point, processors).fields).collect()))
    }
}

pub(super) fn alerts(
    raw: &ConnectorFile,
    written: Option<&Written>,
    checker: &mut Checker<'_>,
) -> Option<Vec<Alert>> {
    if raw.alerts.len() > MOST {
        let message = format!("{} alerts; {MOST} are the most", raw.alerts.len());
        checker.wrong_key(&["alerts"], message);
        return None;
    }
    let mut names = BTreeSet::new();
    let alerts: Vec<_> = raw
        .alerts
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let index = index.to_string();
            if !names.insert(rule.name.as_str()) {
                let message = format!("a second alert {}; rename one", quoted(&rule.name));
                checker.wrong(&["alerts", &index, "name"], message);
            }
            alert(rule, &index, written, checker)
        })
        .collect();
    alerts.into_iter().collect()
}

fn alert(
    rule: &AlertRule,
    index: &str,
    written: Option<&Written>,
    checker: &mut Checker<'_>,
) -> Option<Alert> {
    let at = &["alerts", index];
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.');
    if !(1..=100).contains(&rule.name.len()) || !rule.name.chars().all(word) {
        checker.wrong(
            &["alerts", index, "name"],
            "an alert's name must be 1 to 100 letters, digits, spaces, `.`, `_` or `-`",
        );
    }
    let subject = match (&rule.field, &rule.query) {
        (Some(field), None) => field_of(field, index, written, checker).map(Subject::Field),
        (None, Some(query)) if !query.trim().is_empty() => Some(Subject::Query(query.clone())),
        _ => {
            checker.wrong_key(at, "write either `field` or `query`: what the alert looks at");
            None
        }
    };
    let condition = match (rule.above, rule.below) {
        (Some(limit), None) => Some(Condition::Above(limit)),
        (None, Some(limit)) => Some(Condition::Below(limit)),
        _ => {
            checker.wrong_key(at, "write either `above` or `below`: when the alert fires");
            None
        }
    };
    let range = Duration::ZERO..=Duration::from_hours(7 * 24);
    let lasting = units::duration(checker, &["alerts", index, "for"], &rule.lasting, range);
    for (kind, names) in [("labels", rule.labels.keys()), ("annotations", rule.annotations.keys())]
    {
        for name in names {
            label(&["alerts", index, kind, name], name, checker);
        }
    }
    Some(Alert {
        name: rule.name.clone(),
        subject: subject?,
        condition: condition?,
        lasting: lasting?,
        severity: rule.severity,
        labels: rule.labels.clone(),
        annotations: rule.annotations.clone(),
    })
}

fn field_of(
    field: &str,
    index: &str,
    written: Option<&Written>,
    checker: &mut Checker<'_>,
) -> Option<String> {
    let at = &["alerts", index, "field"];
    let fields = &written?.0;
    match fields.iter().find(|(name, _)| *name == field).map(|(_, kind)| kind) {
        Some(FieldKind::String) => {
            let message = format!("{} is text, and an alert compares numbers", quoted(field));
            checker.wrong(at, message);
            None
        }
        Some(_) => Some(field.to_owned()),
        None => {
            let message = if fields.is_empty() {
                "this connector names no fields (its messages hold points already): write `query`"
                    .to_owned()
            } else {
                let names: Vec<_> = fields.iter().map(|(name, _)| quoted(name)).collect();
                format!("no field {}; there are: {}", quoted(field), names.join(", "))
            };
            checker.wrong(at, message);
            None
        }
    }
}

/// A name that Alertmanager takes; `alertname` and `severity` are set already.
fn label(at: &[&str], name: &str, checker: &mut Checker<'_>) {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(legal) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        checker.wrong_key(at, "must be letters, digits and `_`, and begin with no digit");
    } else if matches!(name, "alertname" | "severity" | "connector" | "managed_by") {
        let message = format!("{} is set by Tidegate; use another name", quoted(name));
        checker.wrong_key(at, message);
    }
}
