use std::path::Path;

use serde_json::Value;

use super::rules::{self, Group};
use super::{Language, Series, dashboard, operations, pipeline, uid, yaml};
use crate::config::{Connector, Environment, Process, load_text};

const ALERTS: &str = "
alerts:
  - name: TooHot
    field: temperature
    above: 80
    for: 5m
    severity: critical
    labels: { team: plant }
    annotations: { summary: 'Device {{ $labels.device }} has {{ $value }} °C' }
  - { name: Stopped, field: running, below: 0.5, for: 0s }
";

fn connector(sink: &str, measurement: &str) -> Connector {
    processed(sink, measurement, "[]")
}

fn processed(sink: &str, measurement: &str, process: &str) -> Connector {
    let text = format!(
        "name: sensors
topics: [sensors]
point:
  measurement: '{measurement}'
  tags: {{ site: site, device.id: device.id }}
  fields:
    temperature: t
    running: {{ path: running, type: boolean }}
    duration_ms: ms
process: {process}
sink: {sink}
kafka: {{ bootstrap.servers: localhost:9092 }}
{ALERTS}"
    );
    load_text("sensors.yaml", &text, &Process::default(), &Environment::process())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

const PROMETHEUS: &str = "{ prometheus: { url: 'http://localhost:9090/api/v1/write' } }";
const INFLUX2: &str = "{ influxdb: { url: 'http://localhost:8086', org: o, bucket: plant } }";
const INFLUX1: &str = "{ influxdb: { version: 1, url: 'http://localhost:8086', database: plant } }";

fn series(sink: &str, measurement: &str) -> Series {
    Series::of(&connector(sink, measurement), None, None).unwrap()
}

fn queries(dashboard: &Value) -> Vec<&str> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .map(|panel| {
            let target = &panel["targets"][0];
            target["expr"].as_str().or(target["query"].as_str()).unwrap()
        })
        .collect()
}

#[test]
fn promql_has_the_names_that_remote_write_sends() {
    let dashboard = dashboard::dashboard(&series(PROMETHEUS, "plant-sensor"));
    assert_eq!(
        queries(&dashboard),
        [
            "plant_sensor_duration_ms{device_id=~\"$device_id\",site=~\"$site\"}",
            "plant_sensor_running{device_id=~\"$device_id\",site=~\"$site\"}",
            "plant_sensor_temperature{device_id=~\"$device_id\",site=~\"$site\"}",
        ]
    );
    assert_eq!(dashboard["panels"][0]["fieldConfig"]["defaults"]["unit"], "ms");
}

#[test]
fn a_measurement_that_the_record_tells_is_a_pattern() {
    let told = series(PROMETHEUS, "a.{{ value.kind }}");
    let query = queries(&dashboard::dashboard(&told))[2].to_owned();
    assert!(query.starts_with("{__name__=~\"^a_.+_temperature$\","), "{query}");
    let told = series(INFLUX1, "a.{{ value.kind }}");
    let query = queries(&dashboard::dashboard(&told))[2].to_owned();
    assert!(query.contains("FROM /^a\\..+$/ WHERE"), "{query}");
}

#[test]
fn victoria_metrics_is_asked_by_the_names_of_its_line_protocol() {
    let connector = connector(INFLUX2, "plant-sensor");
    let series = Series::of(&connector, Some(Language::PromQl), None).unwrap();
    let query = queries(&dashboard::dashboard(&series))[2].to_owned();
    assert!(query.starts_with("{__name__=\"plant-sensor_temperature\",\"device.id\"=~"), "{query}");
}

#[test]
fn a_band_is_shaded_behind_its_field_and_has_no_panel_of_its_own() {
    let banded = |sink, rules: &str| {
        let process = format!("[{{ anomaly: {{ field: temperature, band: true, {rules} }} }}]");
        let series = Series::of(&processed(sink, "sensor", &process), None, None).unwrap();
        dashboard::dashboard(&series)
    };
    let robust = banded(INFLUX2, "method: robust");
    golden("band.json", &format!("{robust:#}\n"));
    let titles: Vec<_> = robust["panels"].as_array().unwrap().iter().map(|p| &p["title"]).collect();
    let fields =
        ["duration_ms", "running", "temperature", "temperature_score", "temperature_anomaly"];
    assert_eq!(titles, fields);

    let panel = &banded(PROMETHEUS, "method: robust")["panels"][2];
    let selected = "{device_id=~\"$device_id\",site=~\"$site\"}";
    for (index, name, query) in [
        (1, "Low", format!("min(sensor_temperature_low{selected})")),
        (2, "High", format!("max(sensor_temperature_high{selected})")),
    ] {
        let target = &panel["targets"][index];
        assert_eq!((&target["refId"], &target["expr"]), (&name.into(), &query.into()));
    }
    let query = &banded(INFLUX1, "method: robust")["panels"][2]["targets"][2]["query"];
    assert_eq!(
        query,
        "SELECT max(\"temperature_high\") FROM \"sensor\" WHERE $timeFilter AND \"device.id\" =~ /^$device_id$/ \
         AND \"site\" =~ /^$site$/ GROUP BY time($__interval) fill(none)"
    );

    let one_sided = banded(PROMETHEUS, "method: bounds, above: 80");
    let overrides = one_sided["panels"][2]["fieldConfig"]["overrides"].to_string();
    assert!(overrides.contains("Upper bound") && overrides.contains("dash"), "{overrides}");
    assert!(!overrides.contains("Lower bound"), "there is nothing to shade to: {overrides}");
}

#[test]
fn each_language_has_its_alerts_in_its_form() {
    let flux = series(INFLUX2, "sensor");
    let alerts = &connector(INFLUX2, "sensor").alerts;
    let tasks = rules::flux::tasks(&flux, &Group::of_connector(&flux, alerts));
    assert_eq!(tasks[0].0, "TooHot");
    golden("TooHot.flux", &tasks[0].1);
    let prometheus = series(PROMETHEUS, "sensor");
    let group = Group::of_connector(&prometheus, alerts);
    golden("prometheus.yaml", &rules::prometheus::file(std::slice::from_ref(&group)));
    golden("grafana.yaml", &rules::grafana::file(&[group], "uid-of-prometheus"));
}

#[test]
fn the_charts_files_are_what_is_exported() {
    let chart = Path::new("helm/tidegate/files");
    let rules = rules::prometheus::file(&[Group::of_pipeline()]);
    same(&chart.join("pipeline-rules.yaml"), &rules);
    let operations = format!("{:#}\n", operations::dashboard());
    same(&chart.join("dashboards/operations.json"), &operations);
}

#[test]
fn every_alert_of_the_pipeline_has_a_runbook_and_names_metrics_that_there_are() {
    let metrics = crate::telemetry::exposition::reference_page();
    let word = regex::Regex::new("tidegate_[a-z_]+").unwrap();
    for alert in pipeline::alerts() {
        let page = root().join(&alert.annotations["runbook"]);
        let text = std::fs::read_to_string(&page).unwrap_or_default();
        assert!(text.contains(&alert.name), "{} does not name {}", page.display(), alert.name);
        let crate::alert::Subject::Query(query) = &alert.subject else { panic!("{alert:?}") };
        for metric in word.find_iter(query) {
            assert!(metrics.contains(&format!("`{}`", metric.as_str())), "{}", metric.as_str());
        }
    }
}

#[test]
fn operations_names_metrics_that_there_are() {
    let metrics = crate::telemetry::exposition::reference_page();
    let word = regex::Regex::new("(tidegate|process)_[a-z_]+").unwrap();
    let dashboard = operations::dashboard().to_string();
    for metric in word.find_iter(&dashboard) {
        let name = metric.as_str().trim_end_matches("_bucket");
        assert!(metrics.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn uids_fit_grafana_and_tell_long_and_odd_names_apart() {
    assert_eq!(uid(&["tidegate", "sensors"]), "tidegate-sensors");
    let long = |end: &str| uid(&["tidegate", &"x".repeat(60), end]);
    assert!(long("a").len() <= 40);
    assert_ne!(long("a"), long("b"));
    assert_ne!(uid(&["a.b"]), uid(&["a b"]));
}

#[test]
fn yaml_quotes_what_could_be_taken_for_something_else() {
    let value =
        serde_json::json!({ "a": ["yes", "5m", "x: y", {}], "b": { "c": 1.5 }, "d": "plain" });
    assert_eq!(
        yaml::document(&value),
        "a:\n  - \"yes\"\n  - \"5m\"\n  - \"x: y\"\n  - {}\nb:\n  c: 1.5\nd: plain\n"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden(name: &str, text: &str) {
    same(&Path::new("src/grafana/testdata").join(name), text);
}

/// Compares with a file of the repository, or writes it where `TIDEGATE_WRITE_GRAFANA` is set.
fn same(file: &Path, text: &str) {
    let path = root().join(file);
    if std::env::var_os("TIDEGATE_WRITE_GRAFANA").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{} differs: make generated, and look at the difference",
        file.display()
    );
}
