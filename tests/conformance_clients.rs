//! What Tidegate has stored is read by clients that others wrote: Python's `influxdb-client` and
//! `prometheus-api-client`, and promtool. The binary delivers a topic to each database, and every value is compared.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use pipeline::Pipeline;
use run::{Message, unique};
use serde_json::Value as Json;
use stack::{
    InfluxDb2, Kafka, Prometheus, shared_influxdb2, shared_kafka, shared_mimir,
    shared_victoria_metrics,
};

/// In seconds; a reading each second.
const START: i64 = 1_700_000_000;
const READINGS: i64 = 240;
const DEVICES: [&str; 3] = ["plain", "a b,c=d", "東 \"°\"\\x"];

/// A reading's values, as far from one another as JSON lets them be.
fn reading(number: i64) -> Json {
    let device = DEVICES[usize::try_from(number).expect("a few") % DEVICES.len()];
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let float = match number {
        0 => f64::MAX,
        1 => -1.0 / 3.0,
        2 => 5e-324,
        _ => (number as f64).sqrt() - 7.0,
    };
    serde_json::json!({
        "device": device, "float": float, "integer": number * 8_191 - 4_000_000, "on": number % 3 == 0,
        // No line break: InfluxDB's answers in CSV have another one for it.
        "text": format!("{number} 'ü' \"quoted\", back\\slash = 東"),
        "at": (START + number) * 1000,
    })
}

/// Delivers the readings, with `fields` beside the numbers, by a connector with this sink; the measurement.
fn deliver(kafka: &Kafka, sink: &str, fields: &str) -> String {
    let connector = format!(
        "
point:
  measurement: NAME
  tags: {{ device: device }}
  fields: {{ float: float, integer: {{ path: integer, type: integer }}, on: {{ path: on, type: boolean }}{fields} }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ {sink} }}
batch: {{ linger: 50ms }}
"
    );
    let pipeline = Pipeline::new(kafka, "clients", 1, &connector);
    let readings = (0..READINGS).map(|number| Message::new(reading(number).to_string()));
    pipeline.topic.produce(readings);
    pipeline.deliver();
    pipeline.topic.name
}

/// What a client has printed: an array of JSON a line.
fn lines(command: &mut Command) -> Vec<Vec<Json>> {
    let output = command.output().expect("a client, by tests/stack/install.sh matrix");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn installed(name: &str) -> String {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
    let output = Command::new(install).args(["--where", name]).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

fn python(package: &str, script: &str) -> Command {
    let mut command = Command::new(format!("{}/venv/bin/python", installed(package)));
    command.arg(format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR")));
    command
}

/// Different for any two numbers.
fn number(text: &str) -> String {
    format!("{:?}", text.parse::<f64>().unwrap_or_else(|_| panic!("no number: {text}")))
}

fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

#[test]
fn influxdb_client_reads_every_value() {
    let (kafka, influxdb) = (shared_kafka(), shared_influxdb2());
    let (url, token, org, bucket) =
        (influxdb.url(), InfluxDb2::TOKEN, InfluxDb2::ORG, InfluxDb2::BUCKET);
    let sink =
        format!("influxdb: {{ url: '{url}', org: {org}, bucket: {bucket}, token: {token} }}");
    let measurement = deliver(&kafka, &sink, ", text: { path: text, type: string }");
    let mut client = python("influxdb-client", "read_influxdb.py");
    let read = lines(client.args([url, token, org, bucket, &measurement]));

    let read_values: BTreeSet<Vec<String>> = read
        .iter()
        .map(|value| {
            let mut value: Vec<_> = value.iter().map(text).collect();
            if value[3] == "float" {
                value[4] = number(&value[4]);
            }
            value
        })
        .collect();
    let expected: BTreeSet<Vec<String>> = (0..READINGS)
        .flat_map(|at| {
            let reading = reading(at);
            let on = if reading["on"] == true { "True" } else { "False" };
            [
                ("float", "float", number(&text(&reading["float"]))),
                ("integer", "int", text(&reading["integer"])),
                ("on", "bool", on.to_owned()),
                ("text", "str", text(&reading["text"])),
            ]
            .map(|(field, kind, value)| {
                let (time, device) = (text(&reading["at"]), text(&reading["device"]));
                vec![time, device, field.to_owned(), kind.to_owned(), value]
            })
        })
        .collect();
    assert_eq!(read.len(), expected.len(), "each once");
    assert_same(&read_values, &expected, "all");
}

/// The first that the client has not read, and the first that it should not have, of two large sets.
fn assert_same<T: Ord + std::fmt::Debug>(read: &BTreeSet<T>, expected: &BTreeSet<T>, how: &str) {
    let (missing, extra) = (expected.difference(read).next(), read.difference(expected).next());
    assert_eq!((missing, extra), (None, None), "{how}: the first missing, and the first too much");
}

/// A sample: milliseconds, the device, the metric and the value.
type Sample = (i64, String, String, String);

/// The samples that the readings become.
fn samples(measurement: &str) -> BTreeSet<Sample> {
    (0..READINGS)
        .flat_map(|at| {
            let reading = reading(at);
            let on = if reading["on"] == true { "1" } else { "0" };
            [
                ("float", text(&reading["float"])),
                ("integer", text(&reading["integer"])),
                ("on", on.to_owned()),
            ]
            .map(|(field, value)| {
                let metric = format!("{measurement}_{field}");
                let time = reading["at"].as_i64().expect("a time");
                (time, text(&reading["device"]), metric, number(&value))
            })
        })
        .collect()
}

/// Of a range query a second: for five minutes a series keeps its last value.
fn stepped(samples: &BTreeSet<Sample>) -> BTreeSet<Sample> {
    let mut all = BTreeSet::new();
    let series: BTreeSet<_> = samples.iter().map(|(_, tag, name, _)| (tag, name)).collect();
    for (tag, name) in series {
        let mut last = None;
        for second in START..START + READINGS {
            let is_it =
                |sample: &&Sample| (sample.0, &sample.1, &sample.2) == (second * 1000, tag, name);
            last = samples.iter().find(is_it).map(|sample| sample.3.clone()).or(last);
            all.extend(
                last.iter().map(|value| (second * 1000, tag.clone(), name.clone(), value.clone())),
            );
        }
    }
    all
}

/// All samples by `prometheus-api-client`, raw and by a range query.
fn assert_read(url: &str, tenant: &str, selector: &str, expected: &BTreeSet<Sample>) {
    let (start, end) = (START.to_string(), (START + READINGS - 1).to_string());
    let mut client = python("prometheus-api-client", "read_prometheus.py");
    let read = lines(client.args([url, tenant, &start, &end, selector]));
    for (how, expected) in [("raw", expected), ("range", &stepped(expected))] {
        let read: Vec<Sample> = read
            .iter()
            .filter(|sample| sample[0] == how)
            .map(|sample| {
                let time = sample[1].as_i64().expect("a time");
                (time, text(&sample[2]), text(&sample[3]), number(&text(&sample[4])))
            })
            .collect();
        assert_eq!(read.len(), expected.len(), "{how}: each once");
        assert_same(&read.into_iter().collect(), expected, how);
    }
}

/// The answer of `promtool query`: an instant one at the last moment, or a range with steps of a second.
fn promtool(version: &str, url: &str, options: &[&str], query: &[&str]) -> BTreeSet<Sample> {
    let mut command = Command::new(format!("{}/bin/promtool", installed(version)));
    command
        .args(["query", query[0], "--format", "json"])
        .args(options)
        .args(&query[1..query.len() - 1]);
    let output = command.args([url, query[query.len() - 1]]).output().expect("promtool");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    let series: Vec<Json> = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut all = BTreeSet::new();
    for series in &series {
        let one = vec![series["value"].clone()];
        for pair in series["values"].as_array().unwrap_or(&one) {
            let seconds = pair[0].as_f64().expect("a time");
            #[expect(clippy::cast_possible_truncation, reason = "a whole number of milliseconds")]
            let time = (seconds * 1000.0).round() as i64;
            let (tag, name) =
                (text(&series["metric"]["device"]), text(&series["metric"]["__name__"]));
            all.insert((time, tag, name, number(&text(&pair[1]))));
        }
    }
    all
}

fn assert_promtool_reads(
    version: &str,
    url: &str,
    options: &[&str],
    selector: &str,
    expected: &BTreeSet<Sample>,
) {
    let (start, end) = (START.to_string(), (START + READINGS - 1).to_string());
    let range = ["range", "--start", &start, "--end", &end, "--step", "1s", selector];
    let stepped = stepped(expected);
    let read = promtool(version, url, options, &range);
    assert_same(&read, &stepped, "by a range");
    let last: BTreeSet<_> = stepped
        .iter()
        .filter(|sample| sample.0 == (START + READINGS - 1) * 1000)
        .cloned()
        .collect();
    let read = promtool(version, url, options, &["instant", "--time", &end, selector]);
    assert_same(&read, &last, "at one time");
}

fn all_of(measurement: &str) -> String {
    format!("{{__name__=~\"{measurement}_.*\"}}")
}

fn reads_all_of_prometheus(prometheus: &Prometheus, version: &str) {
    let sink = format!("prometheus: {{ url: '{}' }}", prometheus.write_url());
    let measurement = deliver(&shared_kafka(), &sink, "");
    let expected = samples(&measurement);
    let selector = all_of(&measurement);
    assert_read(prometheus.url(), "", &selector, &expected);
    assert_promtool_reads(version, prometheus.url(), &[], &selector, &expected);
}

#[test]
fn prometheus_api_client_and_promtool_read_every_sample_of_prometheus() {
    reads_all_of_prometheus(&Prometheus::start(), "prometheus");
}

#[test]
fn prometheus_api_client_and_promtool_read_every_sample_of_prometheus_3() {
    reads_all_of_prometheus(&Prometheus::start_version_3(None), "prometheus3");
}

#[test]
fn prometheus_api_client_and_promtool_read_every_sample_of_a_tenant_of_mimir() {
    let (mimir, tenant) = (shared_mimir(), unique("tenant"));
    let push = format!("{}/api/v1/push", mimir.url());
    let sink = format!("prometheus: {{ url: '{push}', headers: {{ X-Scope-OrgID: {tenant} }} }}");
    let measurement = deliver(&shared_kafka(), &sink, "");
    let expected = samples(&measurement);
    let url = format!("{}/prometheus", mimir.url());
    let selector = all_of(&measurement);
    assert_read(&url, &tenant, &selector, &expected);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("http.yml");
    let headers = format!("http_headers: {{ X-Scope-OrgID: {{ values: [{tenant}] }} }}\n");
    fs::write(&file, headers).expect("a file");
    let options = ["--http.config.file", file.to_str().expect("UTF-8")];
    assert_promtool_reads("prometheus3", &url, &options, &selector, &expected);
}

/// The floats apart, of which VictoriaMetrics keeps 12 to 15 digits (docs/sinks.md).
#[test]
fn prometheus_api_client_reads_every_whole_number_of_victoria_metrics() {
    let victoria = shared_victoria_metrics();
    let sink = format!("prometheus: {{ url: '{}/api/v1/write' }}", victoria.url());
    let measurement = deliver(&shared_kafka(), &sink, "");
    victoria.flush();
    let is_whole = |sample: &Sample| !sample.2.ends_with("_float");
    let expected = samples(&measurement).into_iter().filter(is_whole).collect();
    let selector = format!("{{__name__=~\"{measurement}_(integer|on)\"}}");
    assert_read(victoria.url(), "", &selector, &expected);
}
