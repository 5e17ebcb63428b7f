//! Tasks of InfluxDB 2 that write statuses into its bucket `_monitoring`, as its own checks do; notification
//! rules are made on those.
//! <https://docs.influxdata.com/flux/v0/stdlib/influxdata/influxdb/monitor/check/>

use std::fmt::Write as _;
use std::time::Duration;

use super::{Group, Rule};
use crate::alert::{Condition, Severity, Subject};
use crate::config::raw::FieldKind;
use crate::grafana::query::{flux_escaped, flux_field, flux_from, flux_text};
use crate::grafana::series::Series;
use crate::grafana::uid::hash;

/// How often a task runs.
const EVERY: Duration = Duration::from_mins(1);

/// A name and the text of a task for each alert.
pub fn tasks(series: &Series, group: &Group) -> Vec<(String, String)> {
    group.rules.iter().map(|rule| (rule.alert.name.clone(), task(series, group, rule))).collect()
}

fn task(series: &Series, group: &Group, rule: &Rule) -> String {
    let alert = &rule.alert;
    let name = format!("{}: {}", group.name, alert.name);
    let (operator, limit) = (alert.condition.operator(), alert.condition.limit());
    let mut text = format!(
        "import \"influxdata/influxdb/monitor\"\n\noption task = {{name: {}, every: 1m}}\n\n",
        flux_text(&name)
    );
    match &alert.subject {
        Subject::Query(query) => text.push_str(query.trim()),
        Subject::Field(field) => of_field(series, rule, field, &mut text),
    }
    let level = match alert.severity {
        Severity::Critical => "crit",
        Severity::Warning => "warn",
        Severity::Info => "info",
    };
    let tags: Vec<_> =
        rule.labels.iter().map(|(name, value)| format!("{name}: {}", flux_text(value))).collect();
    let _ = write!(
        text,
        "\n    |> map(fn: (r) => ({{r with value: float(v: r._value)}}))\
         \n    |> drop(columns: [\"_value\", \"_field\"])\
         \n    |> monitor.check(\
         \n        {level}: (r) => r.value {operator} {limit:?},\
         \n        messageFn: (r) => {},\
         \n        data: {{_check_id: \"{:016x}\", _check_name: {}, _type: \"threshold\", tags: {{{}}}}},\
         \n    )\n",
        message(rule),
        hash(&name),
        flux_text(&name),
        tags.join(", "),
    );
    text
}

/// The value that decides whether the condition has held all the time: the least for `above`.
fn of_field(series: &Series, rule: &Rule, field: &str, text: &mut String) {
    let lasting = rule.alert.lasting.max(EVERY).as_secs();
    let Some(field) = series.field(field) else { return };
    text.push_str(&flux_from(series, field, &format!("-{lasting}s")));
    flux_field(field, text);
    if field.kind == FieldKind::Boolean {
        text.push_str("\n    |> map(fn: (r) => ({r with _value: if r._value then 1.0 else 0.0}))");
    }
    text.push_str(match (rule.alert.lasting, rule.alert.condition) {
        (Duration::ZERO, _) => "\n    |> last()",
        (_, Condition::Above(_)) => "\n    |> min()",
        (_, Condition::Below(_)) => "\n    |> max()",
    });
}

/// `summary`, with the labels and the value filled in by Flux.
fn message(rule: &Rule) -> String {
    let summary = rule.alert.annotations.get("summary").unwrap_or(&rule.alert.name);
    let mut text = String::new();
    let mut rest = summary.as_str();
    while let Some((before, (inside, after))) =
        rest.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        text.push_str(&flux_escaped(before));
        match inside.trim() {
            "$value" => text.push_str("${string(v: r.value)}"),
            label => {
                let label = label.trim_start_matches("$labels.");
                let _ = write!(text, "${{if exists r.{label} then r.{label} else \"\"}}");
            }
        }
        rest = after;
    }
    text.push_str(&flux_escaped(rest));
    format!("\"{text}\"")
}
