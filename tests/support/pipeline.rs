//! A topic, its dead letters, and a connector that takes the one to a database: what tests of whole deliveries begin
//! with.
#![allow(
    unreachable_pub,
    reason = "`pub` marks what a test may use; `pub(crate)` on each would say no more"
)]
#![allow(
    dead_code,
    reason = "each integration test is a crate of its own, and none uses all of this"
)]
#![allow(clippy::expect_used, reason = "a test that can't start what it tests can only panic")]

use std::fs;
use std::process::{Command, Output};

use rdkafka::message::{Headers as _, Message as _};

use crate::run::{Group, Tidegate, Topic, unique};
use crate::stack::Kafka;

pub struct Pipeline<'k> {
    pub topic: Topic<'k>,
    pub dead: Topic<'k>,
    pub group: Group,
    /// Its file.
    pub connector: String,
}

impl<'k> Pipeline<'k> {
    /// A topic of so many partitions, whose name begins so. `rest` is what a connector's file has beside its name, its
    /// topics, its broker and its dead letters; `NAME` in it is the topic's name.
    pub fn new(kafka: &'k Kafka, prefix: &str, partitions: i32, rest: &str) -> Self {
        let topic = Topic::create(kafka, unique(prefix), partitions);
        let dead = Topic::create(kafka, format!("{}.dead", topic.name), 1);
        let (name, bootstrap) = (&topic.name, kafka.bootstrap());
        let connector = format!(
            "
name: {name}
topics: [{name}]
kafka: {{ bootstrap.servers: '{bootstrap}' }}
dead_letter: {{ topic: {name}.dead }}
{}
",
            rest.trim().replace("NAME", name)
        );
        let group = Group::new(kafka, &format!("tidegate-{name}"));
        Self { topic, dead, group, connector }
    }

    /// Its process.
    pub fn run(&self) -> Tidegate {
        Tidegate::run(&self.connector, &[])
    }

    /// Has its connector subscribe to something else than its topic, in lines of its file.
    pub fn subscribe(&mut self, topics: &str) {
        let own = format!("topics: [{}]", self.topic.name);
        self.connector = self.connector.replace(&own, topics);
    }

    /// Gives its connector one more property of librdkafka, such as `a.b: c`.
    pub fn set_kafka(&mut self, property: &str) {
        let more = format!("kafka: {{ {property}, ");
        self.connector = self.connector.replace("kafka: { ", &more);
    }

    /// Has all of the topic delivered.
    pub fn deliver(&self) {
        let mut tidegate = self.run();
        tidegate.until_committed(&self.group, &self.topic);
        tidegate.stop();
    }

    /// Why each dead letter is one, sorted.
    pub fn reasons(&self) -> Vec<String> {
        let letters = self.dead.read();
        let mut reasons: Vec<_> = letters
            .iter()
            .map(|letter| {
                let headers = letter.headers().expect("headers");
                let header = headers
                    .iter()
                    .find(|header| header.key == "__connect.errors.exception.message")
                    .and_then(|header| header.value)
                    .expect("a reason");
                String::from_utf8_lossy(header).into_owned()
            })
            .collect();
        reasons.sort();
        reasons
    }

    /// Runs a command on its file.
    pub fn command(&self, arguments: &[&str]) -> Output {
        command(&self.connector, arguments)
    }
}

/// Runs a command on a connector's file.
pub fn command(connector: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("connector.yaml");
    fs::write(&file, connector).expect("the connector's file");
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .arg(&file)
        .current_dir(folder.path())
        .env_remove("TIDEGATE_CONFIG")
        .output()
        .expect("the binary that this test was built with")
}
