//! `tidegate audit` says exactly what a database lacks. Everything here is real: the binary, Kafka, and
//! the databases. A topic is delivered, then something is taken out of the database.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeSet;
use std::process::Output;

use pipeline::{Pipeline, command};
use run::Message;
use serde_json::Value as Json;
use stack::{
    InfluxDb1, InfluxDb2, InfluxDb3, Kafka, Prometheus, shared_influxdb1, shared_influxdb2,
    shared_kafka, shared_victoria_metrics,
};

const PARTITIONS: i32 = 2;
const SERIES: i64 = 8;
const READINGS: i64 = 1200;
/// A second each.
const START: i64 = 1_700_000_000_000;
/// Every reading has this many fields that a database without texts can hold.
const NUMBERS: i64 = 2;

/// A topic of readings that one connector delivers.
struct Readings<'k> {
    pipeline: Pipeline<'k>,
    /// The end of each partition.
    ends: [i64; PARTITIONS as usize],
}

/// A reading's place in the topic.
type Place = (i64, i64);

impl<'k> Readings<'k> {
    fn new(kafka: &'k Kafka, sink: &str, fields: &str) -> Self {
        let connector = format!(
            "
point:
  measurement: NAME
  tags: {{ series: s, 'odd, name': odd }}
  fields: {{ v: {{ path: v, required: true }}, n: {{ path: n, type: integer }}{fields} }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ {sink} }}
batch: {{ linger: 50ms }}
"
        );
        let pipeline = Pipeline::new(kafka, "audit", PARTITIONS, &connector);
        Self { pipeline, ends: [0; PARTITIONS as usize] }
    }

    fn name(&self) -> String {
        self.pipeline.topic.name.clone()
    }

    /// Produces readings; says where each stands.
    fn produce(&mut self, numbers: std::ops::Range<i64>) -> Vec<Place> {
        let places = numbers.clone().map(|number| self.next_place(number % SERIES % 2)).collect();
        self.pipeline.topic.produce(numbers.map(reading));
        places
    }

    fn next_place(&mut self, partition: i64) -> Place {
        let end = &mut self.ends[usize::try_from(partition).expect("0 or 1")];
        *end += 1;
        (partition, *end - 1)
    }

    /// Produces readings with two rejected records and a tombstone among them, and has it all delivered.
    fn deliver(&mut self) -> Vec<Place> {
        let mut places = self.produce(0..READINGS / 2);
        for odd_one in [
            Message::new("no json"),
            Message::new(r#"{"s":"s0","v":null,"at":1700000000000}"#),
            Message::tombstone().key("s0"),
        ] {
            self.pipeline.topic.produce([odd_one.at(START).in_partition(0)]);
            self.next_place(0);
        }
        places.extend(self.produce(READINGS / 2..READINGS));
        self.pipeline.deliver();
        assert_eq!(self.pipeline.dead.ends(), [2], "dead letters");
        places
    }

    fn audit(&self, arguments: &[&str]) -> (i32, Json) {
        let output = audit(&self.pipeline.connector, arguments);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {output:?}");
        });
        (output.status.code().expect("an exit code"), report)
    }

    /// All is there: exit code 0, and every count right.
    #[track_caller]
    fn assert_complete(&self, fields: i64) {
        let (code, report) = self.audit(&[]);
        let totals = &report["totals"];
        let count = |name: &str| totals[name].as_i64().expect(name);
        assert_eq!((code, &report["complete"]), (0, &true.into()), "{report:#}");
        assert_eq!(count("records"), READINGS + 3, "{report:#}");
        assert_eq!((count("excluded"), count("rejected")), (1, 2), "{report:#}");
        assert_eq!((count("expected"), count("found")), (READINGS * fields, READINGS * fields));
        for nothing in
            ["missing", "different", "extra", "duplicates", "collisions", "rejected_without_letter"]
        {
            assert_eq!(count(nothing), 0, "{nothing}: {report:#}");
        }
    }

    /// Exactly these values are missing and different.
    #[track_caller]
    fn assert_lacks(&self, missing: &[(Place, &str)], different: &[(Place, &str)]) -> Json {
        let (code, report) = self.audit(&["--limit", "5000"]);
        assert_eq!((code, &report["complete"]), (1, &false.into()));
        for (kind, expected) in [("missing", missing), ("different", different)] {
            let named = named(&report[kind]);
            let expected: BTreeSet<_> =
                expected.iter().map(|(place, field)| (*place, (*field).to_owned())).collect();
            assert_eq!(named, expected, "{kind}");
            assert_eq!(report["totals"][kind], named.len(), "{kind}");
        }
        report
    }
}

/// The place and the field (`v`, `n` …) of each finding.
fn named(findings: &Json) -> BTreeSet<(Place, String)> {
    let one = |finding: &Json| {
        let number = |key: &str| finding[key].as_i64().expect(key);
        let series = finding["series"].as_str().expect("a series");
        // `name_v{…}`, or `name,tag=value v` of InfluxDB.
        let field = match series.split_once('{').filter(|_| series.ends_with('}')) {
            Some((metric, _)) => metric.rsplit('_').next(),
            None => series.rsplit(' ').next(),
        };
        ((number("partition"), number("offset")), field.expect("a field").to_owned())
    };
    findings.as_array().expect("a list").iter().map(one).collect()
}

fn audit(connector: &str, arguments: &[&str]) -> Output {
    command(connector, &[&["audit", "--output", "json"], arguments].concat())
}

/// Reading number n, of a series that stays in one partition.
fn reading(n: i64) -> Message {
    let (series, at) = (n % SERIES, START + n * 1000);
    let text = format!(
        r#"{{"s":"s{series}","odd":"a, b=\"c\" ${{d}}","v":{n}.25,"n":{n},"ok":{},"note":"note {n}\n\"x\"","at":{at}}}"#,
        n % 2 == 0
    );
    let partition = i32::try_from(series % 2).expect("0 or 1");
    Message::new(text).at(at).in_partition(partition)
}

/// The values of some fields of the readings of which something is so.
fn values<'f>(
    places: &[Place],
    fields: &[&'f str],
    is_so: impl Fn(i64) -> bool,
) -> Vec<(Place, &'f str)> {
    (0..)
        .zip(places)
        .filter(|(number, _)| is_so(*number))
        .flat_map(|(_, place)| fields.iter().map(|field| (*place, *field)))
        .collect()
}

// ------------------------------------------------------------------------------------- VictoriaMetrics

/// `tag` is what the tag with the odd name has become, as line protocol spells it.
fn victoria_metrics(sink: &str, tag: &str) {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let mut readings = Readings::new(&kafka, &sink.replace("URL", database.url()), "");
    let mut places = readings.deliver();
    readings.assert_complete(NUMBERS);

    // A lost series, a changed value (the greater of two is kept), and records that nobody has delivered.
    let name = readings.name();
    database.delete(&format!(r#"{name}_n{{series="s3"}}"#));
    let changed =
        format!(r#"{name},{tag}=a\,\ b\="c"\ ${{d}},series=s1 v=999999 {}"#, START + 9000);
    database.write_lines(&changed);
    database.flush();
    places.extend(readings.produce(READINGS..READINGS + 10));
    let mut missing = values(&places, &["n"], |number| number % SERIES == 3 && number < READINGS);
    missing.extend(values(&places, &["n", "v"], |number| number >= READINGS));
    let report = readings.assert_lacks(&missing, &[(places[9], "v")]);
    assert_eq!(report["different"][0]["expected"], "9.25");
    assert_eq!(report["different"][0]["found"], "999999");
    assert_eq!(report["database"], "VictoriaMetrics");
    assert_eq!(report["series"][0]["missing"], READINGS / SERIES + 1, "{report:#}");

    // Time bounds records by their own timestamps: before those that lack something, all is there.
    let (code, report) =
        readings.audit(&["--from", "2023-11-14T22:13:20Z", "--to", "2023-11-14T22:13:23Z"]);
    assert_eq!((code, &report["totals"]["expected"]), (0, &(3 * NUMBERS).into()), "{report:#}");
    let (code, report) =
        readings.audit(&["--from", "2023-11-14T22:13:23Z", "--to", "2023-11-14T22:13:24Z"]);
    assert_eq!((code, &report["totals"]["missing"]), (1, &1.into()), "{report:#}");
}

#[test]
fn what_victoria_metrics_lacks_by_lines_is_named() {
    victoria_metrics(
        "influxdb: { url: 'URL', org: none, bucket: none, precision: ms }",
        r"odd\,\ name",
    );
}

#[test]
fn what_victoria_metrics_lacks_by_remote_write_is_named() {
    victoria_metrics("prometheus: { url: 'URL/api/v1/write' }", "odd__name");
}

// ------------------------------------------------------------------------------------------ Prometheus

#[test]
fn what_prometheus_lacks_is_named() {
    let (kafka, database) = (shared_kafka(), Prometheus::start());
    let sink = format!("prometheus: {{ url: '{}' }}", database.write_url());
    let mut readings = Readings::new(&kafka, &sink, "");
    let places = readings.deliver();
    readings.assert_complete(NUMBERS);

    let name = readings.name();
    let seconds = |number: f64| 1_700_000_000.0 + number;
    database.delete(&format!(r#"{name}_v{{series="s5"}}"#), seconds(100.0), seconds(200.0));
    let missing =
        values(&places, &["v"], |number| number % SERIES == 5 && (100..=200).contains(&number));
    assert!(!missing.is_empty());
    let report = readings.assert_lacks(&missing, &[]);
    assert_eq!(report["database"], "Prometheus");
}

#[test]
fn what_the_database_has_refused_is_explained_by_its_dead_letter() {
    let (kafka, database) = (shared_kafka(), Prometheus::start());
    let sink = format!("prometheus: {{ url: '{}' }}", database.write_url());
    let mut readings = Readings::new(&kafka, &sink, "");
    // Behind the first 2 × max_points a batch is no repeat, and a refused sample gets a letter.
    let connector = &mut readings.pipeline.connector;
    *connector = connector.replace("batch: { ", "batch: { max_points: 10, ");
    readings.produce(0..100);
    let pipeline = &readings.pipeline;
    let mut tidegate = pipeline.run();
    tidegate.until_committed(&pipeline.group, &pipeline.topic);
    // Older than what is stored: Prometheus refuses it without a window for such samples.
    let late = format!(r#"{{"s":"s0","odd":"x","v":1,"n":1,"at":{}}}"#, START - 100_000_000);
    pipeline.topic.produce([Message::new(late).at(START).in_partition(0)]);
    tidegate.until_committed(&pipeline.group, &pipeline.topic);
    tidegate.stop();
    assert_eq!(pipeline.dead.ends(), [1], "dead letters");
    let (code, report) = readings.audit(&[]);
    let totals = &report["totals"];
    assert_eq!((code, &totals["dead_lettered"]), (0, &NUMBERS.into()), "{report:#}");
    assert_eq!(totals["missing"], 0, "{report:#}");
}

// -------------------------------------------------------------------------------------------- InfluxDB

#[test]
fn what_influxdb2_lacks_is_named() {
    if std::env::var_os("TIDEGATE_TEST_INFLUXDB2").is_none() {
        eprintln!("skipped: no InfluxDB 2; `make conformance` has one");
        return;
    }
    let (kafka, database) = (shared_kafka(), shared_influxdb2());
    let sink = format!(
        "influxdb: {{ url: '{}', org: {}, bucket: {}, token: {} }}",
        database.url(),
        InfluxDb2::ORG,
        InfluxDb2::BUCKET,
        InfluxDb2::TOKEN
    );
    let fields = ", ok: { path: ok, type: boolean }, note: { path: note, type: string }";
    let mut readings = Readings::new(&kafka, &sink, fields);
    let places = readings.deliver();
    readings.assert_complete(4);

    let name = readings.name();
    let predicate = format!(r#"_measurement="{name}" AND "series"="s2""#);
    // START is 22:13:20.
    database.delete("2023-11-14T22:14:00Z", "2023-11-14T22:15:00Z", &predicate);
    database.write(&format!(
        r#"{name},odd\,\ name=a\,\ b\="c"\ ${{d}},series=s1 n=7i,note="other" {}000000"#,
        START + 9000
    ));
    let missing = values(&places, &["n", "note", "ok", "v"], |number| {
        number % SERIES == 2 && (40..100).contains(&number)
    });
    assert!(!missing.is_empty());
    let report = readings.assert_lacks(&missing, &[(places[9], "n"), (places[9], "note")]);
    assert_eq!(report["database"], "InfluxDB 2");
}

#[test]
fn what_influxdb1_lacks_is_named() {
    if std::env::var_os("TIDEGATE_TEST_INFLUXDB1").is_none() {
        eprintln!("skipped: no InfluxDB 1; `make conformance` has one");
        return;
    }
    let (kafka, database) = (shared_kafka(), shared_influxdb1());
    let sink = format!(
        "influxdb: {{ version: 1, url: '{}', database: {}, retention_policy: '{{{{ topic }}}}', \
         create: {{}}, destinations: {{ allowed: ['*'] }}, \
         basic_auth: {{ username: {}, password: {} }} }}",
        database.url(),
        InfluxDb1::DATABASE,
        InfluxDb1::USER,
        InfluxDb1::PASSWORD
    );
    let fields = ", ok: { path: ok, type: boolean }, note: { path: note, type: string }";
    let mut readings = Readings::new(&kafka, &sink, fields);
    let places = readings.deliver();
    readings.assert_complete(4);

    let name = readings.name();
    // START is 22:13:20. A deletion is of all policies of the database.
    database.query(&format!(
        "DELETE FROM \"{name}\" WHERE \"series\" = 's2' \
         AND time >= '2023-11-14T22:14:00Z' AND time <= '2023-11-14T22:15:00Z'"
    ));
    // Another value in the place of one.
    database.query(&format!(
        "SELECT \"v\" + 1 AS \"v\" INTO \"{name}\".\"{name}\" FROM \"{name}\".\"{name}\" \
         WHERE \"series\" = 's1' AND time = {}000000 GROUP BY *",
        START + 9000
    ));
    let missing = values(&places, &["n", "note", "ok", "v"], |number| {
        number % SERIES == 2 && (40..=100).contains(&number)
    });
    assert!(!missing.is_empty());
    let report = readings.assert_lacks(&missing, &[(places[9], "v")]);
    assert_eq!(report["different"][0]["found"], "10.25");
    assert_eq!(report["database"], "InfluxDB 1");
}

#[test]
fn what_influxdb3_lacks_is_named() {
    if !stack::is_installed("datafusion") {
        eprintln!("skipped: nothing stands for an InfluxDB 3; `make conformance` has it");
        return;
    }
    let (kafka, database) = (shared_kafka(), InfluxDb3::start());
    let sink = format!(
        "influxdb: {{ version: 3, url: '{}', database: {}, token: {} }}",
        database.url(),
        InfluxDb3::DATABASE,
        InfluxDb3::TOKEN
    );
    let fields = ", ok: { path: ok, type: boolean }, note: { path: note, type: string }, \
                  u: { path: n, type: unsigned }";
    let mut readings = Readings::new(&kafka, &sink, fields);
    let places = readings.deliver();
    readings.assert_complete(5);

    let name = readings.name();
    // START is 22:13:20.
    let minute = "time >= '2023-11-14T22:14:00Z' AND time < '2023-11-14T22:15:00Z'";
    database.forget(&name, &format!("series = 's2' AND {minute}"));
    let one = "series = 's1' AND time = '2023-11-14T22:13:29Z'";
    database.change(&name, one, "n", &7.into());
    database.change(&name, one, "note", &Json::Null);
    let mut missing = values(&places, &["n", "note", "ok", "u", "v"], |number| {
        number % SERIES == 2 && (40..100).contains(&number)
    });
    assert!(!missing.is_empty());
    missing.push((places[9], "note"));
    let report = readings.assert_lacks(&missing, &[(places[9], "n")]);
    let different = &report["different"][0];
    assert_eq!((&different["expected"], &different["found"]), (&"9i".into(), &"7i".into()));
    assert_eq!(report["database"], "InfluxDB 3");
}

// ------------------------------------------------------------------------------------- what goes wrong

#[test]
fn a_rejected_record_without_a_letter_is_a_loss() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let sink = format!("influxdb: {{ url: '{}', org: none, bucket: none }}", database.url());
    let mut readings = Readings::new(&kafka, &sink, "");
    readings.deliver();
    readings.pipeline.topic.produce([Message::new("[1, 2").at(START).in_partition(1)]);
    let (partition, offset) = readings.next_place(1);
    let (code, report) = readings.audit(&[]);
    assert_eq!((code, &report["totals"]["rejected_without_letter"]), (1, &1.into()));
    let finding = &report["rejected_without_letter"][0];
    assert_eq!((&finding["partition"], &finding["offset"]), (&partition.into(), &offset.into()));
}

#[test]
fn what_can_not_be_read_is_no_loss() {
    let kafka = shared_kafka();
    let nobody = "influxdb: { url: 'http://127.0.0.1:1', org: none, bucket: none }";
    let mut readings = Readings::new(&kafka, nobody, "");
    readings.produce(0..10);
    let output = audit(&readings.pipeline.connector, &["--timeout", "2s"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("can't connect to 127.0.0.1:1"), "{said}");

    let database = shared_victoria_metrics();
    let bootstrap = kafka.bootstrap().to_owned();
    let connector = readings
        .pipeline
        .connector
        .replace("http://127.0.0.1:1", database.url())
        .replace(&bootstrap, "127.0.0.1:1");
    let output = audit(&connector, &["--timeout", "2s"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("Kafka: "), "{said}");

    let output = audit(&connector, &["--from", "yesterday"]);
    assert_eq!(output.status.code(), Some(2));
}
