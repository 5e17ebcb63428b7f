//! Windows and anomaly scores, held against pandas: the binary scores a labelled series that somebody else
//! made, from a real Kafka, pandas computes the same of its file, and every value is compared. What the
//! alarms are worth against the labels is printed. The process is killed on its way and started again, which must
//! show in no value.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use pipeline::Pipeline;
use run::Message;
use serde_json::Value as Json;
use stack::shared_kafka;

/// What pandas is told as well: see `tests/clients/score_pandas.py`.
const SCORES: &str = "
process:
  - anomaly: { field: value, name: ewma, method: ewma, over: 7d, band: true }
  - anomaly: { field: value, name: robust, method: robust, over: 7d, band: true }
  - anomaly: { field: value, name: change, method: change, over: 7d, band: true }
  - anomaly: { field: value, name: bounds, method: bounds, above: 3000, band: true }
  - delta: { fields: [value], within: 1d, counter: false }
  - rate: { fields: [value], per: 1m, within: 1d, counter: false }
";
const DAYS: &str = "
process:
  - window: { size: 1d, fields: { value: [count, sum, min, max, mean, first, last, stddev, p95] } }
";
const SLIDING: &str = "
process:
  - window: { size: 6h, every: 1h, fields: { value: [count, sum, min, max, mean, first, last, stddev, p95] } }
";

/// Sums are taken in another order: so far from each other two values may be, of the larger.
const TOLERANCE: f64 = 1e-9;

/// The fields of points, by their times in milliseconds.
type Points = BTreeMap<i64, BTreeMap<String, f64>>;

#[test]
fn scores_bands_and_growth_are_what_pandas_computes() {
    let pandas = pandas();
    let expected = points(&pandas["points"]);
    let mut scored = through_tidegate(SCORES, expected.len());
    let alarms = take_alarms(&mut scored);
    for fields in scored.values_mut() {
        fields.remove("value");
    }
    assert_same(&scored, &expected);

    let labels: Vec<bool> =
        pandas["labels"].as_array().expect("labels").iter().map(|label| *label == 1).collect();
    assert_eq!((labels.len(), scored.len()), (999, 999));
    println!("{} hours, {} of them labelled", labels.len(), labels.iter().filter(|l| **l).count());
    let worth: Vec<_> =
        alarms.iter().map(|(name, alarms)| (name, Worth::of(alarms, &labels))).collect();
    for (name, worth) in &worth {
        println!("{name:<8} {worth}");
    }
    let change = &worth.iter().find(|(name, _)| *name == "change").expect("the method").1;
    assert_eq!(change.stretches, change.found, "each labelled stretch begins with a jump");
}

#[test]
fn windows_are_what_pandas_computes() {
    let pandas = pandas();
    for (name, connector, size) in [("day", DAYS, 24), ("sliding", SLIDING, 6)] {
        let mut expected = points(&pandas["windows"][name]);
        // What begins with the last hour, or the last but four, is not over yet.
        let newest = *points(&pandas["points"]).keys().next_back().expect("a last hour");
        expected.retain(|start, _| start + size * 3_600_000 <= newest);
        assert!(expected.len() > 40, "{name}: {}", expected.len());
        assert_same(&through_tidegate(connector, expected.len()), &expected);
    }
}

/// What is written of the series by a connector with these processors, of so many points: the process is killed when
/// it has written most.
fn through_tidegate(process: &str, points: usize) -> Points {
    let (kafka, folder) = (shared_kafka(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("points");
    let connector = format!(
        "
point:
  measurement: traffic
  fields: {{ value: value }}
  timestamp: {{ path: at, format: '%Y-%m-%d %H:%M:%S' }}
{process}
sink: {{ file: {{ path: '{}', format: json_lines }} }}
batch: {{ linger: 50ms }}
delivery: {{ drain: 2s }}
",
        file.display()
    );
    let mut pipeline = Pipeline::new(&kafka, "scores", 1, &connector);
    // A member that was killed keeps its partitions so long.
    pipeline.connector =
        pipeline.connector.replacen("kafka: {", "kafka: { session.timeout.ms: 6000,", 1);
    let series = fs::read_to_string(series()).expect("the series, by tests/data/install.sh");
    let mut messages = series.lines().skip(1).map(|row| {
        let [at, value, _] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        Message::new(format!("{{\"at\":\"{at}\",\"value\":{value}}}"))
    });

    let mut tidegate = pipeline.run();
    // More than all horizons together, so that the group commits something.
    pipeline.topic.produce(messages.by_ref().take(900));
    tidegate.until("most is committed", || pipeline.group.committed(&pipeline.topic)[0] > 0);
    drop(tidegate);
    let written = read(&file);
    assert!((1..points).contains(&written.len()), "{} of {points}", written.len());

    pipeline.topic.produce(messages);
    let mut tidegate = pipeline.run();
    tidegate.until("all is written", || read(&file).len() >= points);
    tidegate.stop();
    read(&file)
}

/// A point that is there twice must be the same.
fn read(file: &Path) -> Points {
    let mut points = Points::new();
    let text = fs::read_to_string(file).unwrap_or_default();
    // The last line may be half a one.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let point: Json = serde_json::from_str(line).expect("a JSON object");
        let time = point["time"].as_str().expect("a time").parse::<jiff::Timestamp>();
        let (time, fields) = (time.expect("RFC 3339").as_millisecond(), fields(&point["fields"]));
        if let Some(before) = points.insert(time, fields) {
            assert_eq!(before, points[&time], "written twice");
        }
    }
    points
}

/// The labelled series.
fn series() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/install.sh");
    format!(
        "{}/streamad/util/data/uniDS.csv",
        stdout(Command::new(script).args(["--where", "streamad"]))
    )
}

/// What pandas makes of it.
fn pandas() -> Json {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
    let installed = stdout(Command::new(script).args(["--where", "pandas"]));
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/score_pandas.py");
    let mut python = Command::new(format!("{installed}/venv/bin/python"));
    serde_json::from_str(&stdout(python.args([program, &series()]))).expect("JSON")
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().expect("a program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

fn points(json: &Json) -> Points {
    let points = json.as_object().expect("points by their times").iter();
    points.map(|(time, point)| (time.parse().expect("milliseconds"), fields(point))).collect()
}

/// Booleans as 0 and 1.
fn fields(json: &Json) -> BTreeMap<String, f64> {
    let number = |value: &Json| match value {
        Json::Bool(value) => f64::from(u8::from(*value)),
        value => value.as_f64().expect("a number"),
    };
    let fields = json.as_object().expect("fields").iter();
    fields.map(|(name, value)| (name.clone(), number(value))).collect()
}

/// Takes the `…_anomaly` fields out: by the method, whether each hour has one.
fn take_alarms(scored: &mut Points) -> BTreeMap<String, Vec<bool>> {
    let mut alarms = BTreeMap::new();
    for method in ["ewma", "robust", "change", "bounds"] {
        let name = format!("{method}_anomaly");
        let hours = scored.values_mut().map(|fields| fields.remove(&name) == Some(1.0));
        alarms.insert(method.to_owned(), hours.collect());
    }
    alarms
}

fn assert_same(written: &Points, expected: &Points) {
    assert!(written.keys().eq(expected.keys()), "the same moments");
    let mut values = 0;
    for (time, fields) in expected {
        let found = &written[time];
        assert!(found.keys().eq(fields.keys()), "at {time}: {found:?}, not {fields:?}");
        for (name, value) in fields {
            let scale = value.abs().max(found[name].abs()).max(1e-9);
            let difference = (found[name] - value).abs() / scale;
            assert!(difference <= TOLERANCE, "{name} at {time}: {}, not {value}", found[name]);
            values += 1;
        }
    }
    println!("{values} values of {} points are pandas's", expected.len());
}

/// What alarms are worth against labels.
struct Worth {
    alarms: usize,
    /// In a labelled hour.
    right: usize,
    /// In the hour after a labelled stretch: the way back is a jump, too.
    after: usize,
    labelled: usize,
    stretches: usize,
    /// Stretches with an alarm in them.
    found: usize,
}

impl Worth {
    fn of(alarms: &[bool], labels: &[bool]) -> Self {
        let hours = || alarms.iter().zip(labels);
        let before = |hour: usize| hour > 0 && labels[hour - 1];
        let starts: Vec<_> =
            (0..labels.len()).filter(|hour| labels[*hour] && !before(*hour)).collect();
        let is_found = |start: &&usize| {
            labels[**start..]
                .iter()
                .take_while(|label| **label)
                .zip(&alarms[**start..])
                .any(|(_, a)| *a)
        };
        Self {
            alarms: alarms.iter().filter(|alarm| **alarm).count(),
            right: hours().filter(|(alarm, label)| **alarm && **label).count(),
            after: (0..labels.len())
                .filter(|hour| alarms[*hour] && !labels[*hour] && before(*hour))
                .count(),
            labelled: labels.iter().filter(|label| **label).count(),
            stretches: starts.len(),
            found: starts.iter().filter(is_found).count(),
        }
    }
}

impl std::fmt::Display for Worth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { alarms, right, after, labelled, stretches, found } = self;
        write!(f, "precision {right}/{alarms} (and {after} in the hour after), ")?;
        write!(f, "recall {right}/{labelled} hours, {found}/{stretches} stretches")
    }
}
