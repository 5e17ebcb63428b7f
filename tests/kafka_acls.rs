//! Brokers that let a user do what it has been allowed to do, and nothing else.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use run::{Group, Message, Tidegate, Topic, unique};
use stack::secured::SecuredKafka;
use stack::{VictoriaMetrics, shared_victoria_metrics};

const GOOD: &str = r#"{"v":1,"at":1700000000000}"#;
const BAD: &str = "no JSON";

/// With all that takes a permission: a dead-letter topic, and a static member, which looks at its group.
fn connector(name: &str, kafka: &SecuredKafka, database: &VictoriaMetrics) -> String {
    let (bootstrap, url) = (&kafka.sasl, database.url());
    let (user, password) = (SecuredKafka::LIMITED, SecuredKafka::PASSWORD);
    format!(
        "
name: {name}
topics: [{name}]
kafka:
  bootstrap.servers: '{bootstrap}'
  security.protocol: sasl_plaintext
  sasl.mechanism: PLAIN
  sasl.username: {user}
  sasl.password: {password}
  group.instance.id: here
point:
  measurement: {name}
  fields: {{ v: v }}
  timestamp: {{ path: at, unit: ms }}
dead_letter: {{ topic: {name}.dead }}
sink: {{ influxdb: {{ url: '{url}', org: none, bucket: none }} }}
batch: {{ linger: 100ms }}
"
    )
}

/// The commands of docs/operations.md, from their operations on, for a connector of this name.
fn documented(name: &str) -> Vec<Vec<String>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let text = fs::read_to_string(file).expect(file);
    let commands = text.lines().filter_map(|line| line.strip_prefix("$allow "));
    let words = |line: &str| line.replace("sensors", name).split(' ').map(str::to_owned).collect();
    commands.map(words).collect()
}

/// The topic of the connector of this name, with a record that is rejected, and its dead-letter topic.
fn topics<'k>(kafka: &'k SecuredKafka, name: &str) -> (Topic<'k>, Topic<'k>) {
    let topic = Topic::create(kafka.kafka(), name, 1);
    topic.produce([GOOD, BAD].map(Message::new));
    (topic, Topic::create(kafka.kafka(), format!("{name}.dead"), 1))
}

#[test]
fn what_the_documentation_allows_is_enough() {
    let (kafka, database) = (SecuredKafka::start(), shared_victoria_metrics());
    let name = unique("allowed");
    let (topic, dead) = topics(&kafka, &name);
    let allowed = documented(&name);
    assert!(!allowed.is_empty());
    for command in &allowed {
        kafka.allow(&command.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let mut tidegate = Tidegate::run(&connector(&name, &kafka, &database), &[]);
    let group = Group::new(kafka.kafka(), &format!("tidegate-{name}"));
    tidegate.until_committed(&group, &topic);
    // A static member looks at its group after five seconds.
    thread::sleep(Duration::from_secs(7));
    let file = tidegate.folder().join("connectors/connector.yaml");
    let ends = |command: &[&str], code| {
        let mut tidegate = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        let output = tidegate.args(command).arg(&file).output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{command:?}: {output:?}");
    };
    ends(&["check"], 0);
    let replay = format!("tidegate-{name}-dlq-replay");
    kafka.allow(&["--operation", "read", "--topic", &dead.name, "--group", &replay]);
    ends(&["dlq", "list"], 0);
    // It is rejected again, and so a new letter.
    ends(&["dlq", "replay"], 1);
    tidegate.stop();
    assert_eq!(dead.ends(), [2]);
    assert_eq!(tidegate.log().lines().count(), 1, "{}", tidegate.log());
}

/// The producer of dead letters had failed for good at its start, and its letters failed until the process ended.
#[test]
fn a_permission_that_comes_later_needs_no_restart() {
    let (kafka, database) = (SecuredKafka::start(), shared_victoria_metrics());
    let name = unique("later");
    let (topic, dead) = topics(&kafka, &name);
    let id = format!("tidegate-{name}");
    let (group, mut tidegate) =
        (Group::new(kafka.kafka(), &id), Tidegate::run(&connector(&name, &kafka, &database), &[]));
    tidegate.until_logged("Group authorization failed.; grant its user READ on the group");
    kafka.allow(&["--operation", "read", "--group", &id]);
    tidegate.until_logged("Topic authorization failed; grant its user READ on the topic");
    kafka.allow(&["--operation", "read", "--topic", &name]);
    tidegate.until_logged("a dead letter can't be written");
    let log = tidegate.log();
    assert!(log.lines().last().is_some_and(|line| line.contains("grant its user WRITE")), "{log}");
    assert_eq!(dead.ends(), [0]);
    kafka.allow(&["--operation", "write", "--topic", &dead.name]);
    tidegate.until_committed(&group, &topic);
    tidegate.stop();
    assert_eq!(dead.ends(), [1]);
}
