//! What people meet before a connector runs: `tidegate init`, `preview` and `test`, as documented, and on a
//! real Kafka.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that has no server can only panic"
)]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use run::{Message, Topic, unique};
use stack::{Kafka, shared_kafka};

const WITHIN: Duration = Duration::from_mins(1);
/// 2026-11-22T10:00:00Z.
const START: i64 = 1_795_341_600_000;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn tidegate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("TIDEGATE_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What both streams say, and the exit code.
fn said(output: &Output) -> (String, i32) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (String::from_utf8(text).unwrap(), output.status.code().unwrap())
}

// ----------------------------------------------------------------------------------------- the pages

/// A page's fenced blocks: what stands behind the opening fence, and the text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(repository().join("docs").join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => open = Some((info.trim().to_owned(), String::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((info, text))) => open = Some((info, text + line + "\n")),
            (None, None) => {}
        }
    }
    blocks
}

/// The moment at which a page was written is another than that of the test.
fn without_now(text: &str) -> String {
    let now = Regex::new(r"(@\d+  |timestamp\x22:\x22)\d{4}-\d\d-\d\dT[0-9:.]+Z").unwrap();
    now.replace_all(text, "${1}NOW").into_owned()
}

/// In a folder of its own: a block with a file's name is written to it, each command of a `console` block
/// says what stands below it, and what `expect=` names is then there.
fn follow(page: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut followed = 0;
    for (info, text) in blocks(page) {
        let (language, rest) = info.split_once(' ').unwrap_or((&info, ""));
        if let Some(file) = rest.strip_prefix("expect=") {
            let found = fs::read_to_string(folder.path().join(file)).unwrap();
            assert_eq!(found, text, "{page}: {file}");
        } else if !rest.is_empty() {
            fs::write(folder.path().join(rest), &text).unwrap();
        } else if language == "console" {
            for command in text.split("$ tidegate ").skip(1) {
                let (command, expected) = command.split_once('\n').unwrap();
                let arguments: Vec<_> = command.split_whitespace().collect();
                let (found, _) = said(&tidegate(folder.path(), &arguments));
                assert_eq!(without_now(&found), without_now(expected), "{page}: {command}");
                followed += 1;
            }
        }
    }
    assert!(followed > 0, "{page} has no command");
}

#[test]
fn the_page_on_tests_shows_what_happens() {
    follow("test.md");
}

#[test]
fn the_page_on_the_preview_shows_what_happens() {
    follow("preview.md");
}

#[test]
fn the_page_on_the_first_connector_shows_what_happens() {
    follow("first-connector.md");
}

#[test]
fn the_page_on_the_import_shows_what_happens() {
    follow("import.md");
}

#[test]
fn every_ready_connector_has_tests_and_they_hold() {
    let output =
        tidegate(&repository(), &["test", "--config", "connectors/tidegate.yaml", "connectors"]);
    let (text, code) = said(&output);
    assert_eq!(code, 0, "{text}");
    for file in fs::read_dir(repository().join("connectors")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let stem =
            name.strip_suffix(".yaml").filter(|stem| *stem != "tidegate" && !stem.contains('.'));
        if let Some(stem) = stem {
            assert!(text.contains(&format!("{stem}.test.yaml:")), "{name} has no tests:\n{text}");
        }
    }
}

// --------------------------------------------------------------------------------------- the results

#[test]
fn a_failure_is_an_exit_code_and_a_junit_report_that_holds_any_text() {
    let folder = tempfile::tempdir().unwrap();
    let connector = "topics: [a]
point: { measurement: m, fields: { v: v, s: { path: s, type: string } } }
sink: { blackhole: {} }
";
    fs::write(folder.path().join("a.yaml"), connector).unwrap();
    let tests = r#"cases:
  - { name: good, value: { v: 1 }, points: m v=1 }
  - { name: "bad <&\" \u0007", value: { v: 1, s: "x\u0007]]>" }, points: [] }
  - { name: not rejected, value: { v: 1 }, rejected: { reason: never } }
"#;
    fs::write(folder.path().join("a.test.yaml"), tests).unwrap();
    let (text, code) = said(&tidegate(folder.path(), &["test", ".", "--junit", "report.xml"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.ends_with("2 of 3 cases failed\n"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    let report = fs::read_to_string(folder.path().join("report.xml")).unwrap();
    assert!(report.contains(r#"tests="3" failures="2""#), "{report}");
    assert!(report.contains("name=\"bad &lt;&amp;&quot; \u{fffd}\""), "{report}");
    assert!(report.contains("]]&gt;"), "{report}");
    let (text, code) = said(&tidegate(folder.path(), &["test", ".", "--filter", "GOOD"]));
    assert_eq!((code, text.lines().count()), (0, 2), "{text}");
}

#[test]
fn a_wrong_test_file_is_told_with_its_place_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tests = "cases:
  - { name: a, vlue: { v: 1 }, points: m v=1 }
  - { name: b, value: {}, points: m v }
  - { name: c, value: {} }
  - { name: d, text: x, base64: '*', excluded: true }
";
    fs::write(folder.path().join("a.test.yaml"), tests).unwrap();
    let (text, code) = said(&tidegate(folder.path(), &["test", "a.test.yaml"]));
    assert_eq!(code, 2, "{text}");
    for part in [
        "a.test.yaml:2:16: unknown key `vlue`; did you mean `value`?",
        "a.test.yaml:3:35: line 1 of the points is no line protocol: an `=` should follow the name",
        "a.test.yaml:4:5: a case needs exactly one of `points`, `rejected` and `excluded: true`",
        "a.test.yaml:5:5: a case needs exactly one of `value`, `text`, `base64` and `file`",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert_eq!(text.matches("\na.test.yaml:").count(), 3, "{text}");
}

// ------------------------------------------------------------------------------------------ on Kafka

/// A topic of readings, the last of which is broken.
struct Readings<'k> {
    topic: Topic<'k>,
    folder: TempDir,
}

impl<'k> Readings<'k> {
    fn new(kafka: &'k Kafka) -> Self {
        let topic = Topic::create(kafka, unique("readings"), 2);
        let reading = |n: i64| {
            let (site, at) = (n % 3, START + n * 1000);
            let value = format!(
                r#"{{"site":"hall-{site}","at":{at},"reading":{{"temperature":{}.5,"count":{n}}}}}"#,
                20 + n % 5
            );
            Message::new(value)
                .key(format!("k{n}"))
                .at(at)
                .in_partition(i32::try_from(n % 2).unwrap())
        };
        let broken = Message::new(r#"{"site":"hall-1","at":"#).at(START + 60_000).in_partition(1);
        topic.produce((0..20).map(reading).chain([broken]));
        Self { topic, folder: tempfile::tempdir().unwrap() }
    }

    fn init(&self, more: &[&str]) -> (String, i32) {
        let servers = self.topic.kafka.bootstrap();
        let (topic, own) = (self.topic.name.as_str(), ["--sink", "stdout", "-o", "draft.yaml"]);
        let arguments = ["init", "--topic", topic, "--bootstrap", servers];
        said(&tidegate(self.folder.path(), &[&arguments[..], &own, more].concat()))
    }

    fn preview(&self, more: &[&str]) -> (Vec<Value>, i32) {
        let arguments = ["preview", "draft.yaml", "--output", "json"];
        let output = tidegate(self.folder.path(), &[&arguments[..], more].concat());
        let (text, code) = said(&output);
        let lines = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        (lines, code)
    }

    /// The groups that the brokers know of, and that have this topic's name.
    fn groups(&self) -> Vec<String> {
        let servers = self.topic.kafka.bootstrap();
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        let groups = consumer.fetch_group_list(None, WITHIN).unwrap();
        let names = groups.groups().iter().map(|group| group.name().to_owned());
        names.filter(|name| name.contains("tidegate-reader") || name.contains("draft")).collect()
    }
}

/// `tidegate run`; dropped, it is killed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_drafted_connector_previews_and_runs_on_a_real_topic() {
    let kafka = shared_kafka();
    let readings = Readings::new(&kafka);
    let (text, code) = readings.init(&[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("20 of 21 messages give a point with it"), "{text}");
    let (text, code) = readings.init(&[]);
    assert!(code == 2 && text.contains("--force"), "{code}: {text}");
    let draft = fs::read_to_string(readings.folder.path().join("draft.yaml")).unwrap();
    assert!(draft.contains("timestamp: { path: at, unit: ms }"), "{draft}");

    // The newest: the last four of the readings in either partition, and the broken one.
    let (messages, code) = readings.preview(&["-n", "5"]);
    assert_eq!((messages.len(), code), (5, 1), "{messages:#?}");
    let outcomes: Vec<_> = messages.iter().map(|m| m["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["points", "points", "points", "points", "rejected"]);
    assert_eq!((&messages[4]["stage"], &messages[4]["byte"]), (&"decode".into(), &22.into()));
    let measurement = &readings.topic.name;
    let expected =
        format!("{measurement},site=hall-1 count=19i,temperature=24.5 1795341619000000000");
    assert_eq!(messages[3]["points"][0]["line_protocol"], expected.as_str());
    assert_eq!(messages[3]["key"], "k19");

    // From the beginning, from an offset of a partition, and from a time.
    let offsets = |messages: &[Value]| -> Vec<(i64, i64)> {
        let number = |value: &Value| value.as_i64().unwrap();
        messages.iter().map(|m| (number(&m["partition"]), number(&m["offset"]))).collect()
    };
    let (messages, code) = readings.preview(&["--from", "earliest", "-n", "100"]);
    assert_eq!((messages.len(), code), (21, 1));
    let (messages, code) = readings.preview(&["--from", "3", "--partition", "0", "-n", "2"]);
    assert_eq!((offsets(&messages), code), (vec![(0, 3), (0, 4)], 0));
    let at = ["--from", "2026-11-22T10:00:18Z", "--partition", "0"];
    let (messages, _) = readings.preview(&at);
    assert_eq!(offsets(&messages), [(0, 9)]);
    assert_eq!(readings.groups(), Vec::<String>::new(), "no group is joined or committed to");

    runs(&readings);
}

/// The draft, unchanged but for a dead-letter topic that is there, writes every good reading.
fn runs(readings: &Readings<'_>) {
    let folder = readings.folder.path();
    Topic::create(readings.topic.kafka, format!("{}.dead", readings.topic.name), 1);
    let lines = folder.join("lines");
    let process = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["run", "draft.yaml"])
        .current_dir(folder)
        .env_remove("TIDEGATE_CONFIG")
        .stdin(Stdio::null())
        .stdout(File::create(&lines).unwrap())
        .stderr(File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let _process = Running(process);
    let deadline = Instant::now() + WITHIN;
    loop {
        let text = fs::read_to_string(&lines).unwrap();
        if text.lines().count() == 20 {
            return;
        }
        let log = || fs::read_to_string(folder.join("log")).unwrap();
        assert!(Instant::now() < deadline, "{text}\n{}", log());
        thread::sleep(Duration::from_millis(200));
    }
}
