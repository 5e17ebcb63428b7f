//! The tidegate binary as a test runs it, and the topics and the group that it works on.
#![allow(
    unreachable_pub,
    reason = "`pub` marks what a test may use; `pub(crate)` on each would say no more"
)]
#![allow(
    dead_code,
    reason = "each integration test is a crate of its own, and none uses all of this"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't start what it tests can only panic"
)]

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use tempfile::TempDir;

use crate::stack::Kafka;

/// Joining a group, writing and committing take a few seconds; a loaded machine needs more.
const WITHIN: Duration = Duration::from_secs(40);
const KAFKA_ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// More than the longest drain of any connector here.
const EXITS_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take until it catches signals.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// The signals that it catches, and their numbers on Linux.
const CAUGHT: [(&str, u32); 3] = [("HUP", 1), ("INT", 2), ("TERM", 15)];

/// A name that no other test and no other run has: letters, digits and an underscore, so that it may
/// be part of a topic's, a metric's and a group's.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}_{:016x}", RandomState::new().hash_one(std::process::id()))
}

// ------------------------------------------------------------------------------------ the process

/// A running `tidegate run`; dropped, it is killed.
pub struct Tidegate {
    child: Child,
    folder: TempDir,
}

impl Tidegate {
    /// Runs one connector; `variables` are what its `${…}` stand for.
    pub fn run(connector: &str, variables: &[(&str, &str)]) -> Self {
        Self::run_all(&[("connector.yaml", connector)], variables)
    }

    /// Runs a folder of connector files.
    pub fn run_all(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("tidegate-run-").tempdir().unwrap();
        let connectors = folder.path().join("connectors");
        fs::create_dir(&connectors).unwrap();
        for (name, text) in files {
            fs::write(connectors.join(name), text).unwrap();
        }
        // All may be made later, over REST.
        let is_any = files.iter().any(|(name, _)| !name.starts_with("..")) || files.is_empty();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("run")
            .args(is_any.then_some(connectors))
            .current_dir(folder.path())
            .env_remove("TIDEGATE_CONFIG")
            .env("TIDEGATE_LOG", "info")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log_file(&folder)).unwrap())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// Where it runs; its connectors' files are in `connectors` there.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// All that it has written to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(log_file(&self.folder)).unwrap()
    }

    /// Sends a signal by its short name, such as `TERM`. In its first milliseconds the process catches none, and would
    /// die of it: so this waits until it does.
    pub fn signal(&self, name: &str) {
        let deadline = Instant::now() + STARTS_WITHIN;
        while !self.catches(name) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("bash")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .status();
        assert!(sent.unwrap().success(), "SIG{name} could not be sent; its log:\n{}", self.log());
    }

    /// Whether a signal comes to its own code. Also of those that none can, and where it has ended.
    fn catches(&self, name: &str) -> bool {
        let Some((_, number)) = CAUGHT.iter().find(|(caught, _)| *caught == name) else {
            return true;
        };
        let caught = self.status("SigCgt:");
        let caught = caught.and_then(|mask| u64::from_str_radix(&mask, 16).ok());
        caught.is_none_or(|mask| mask & (1 << (number - 1)) != 0)
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// What it has allocated, without the pages of its program: a debug build has 37 MB of those,
    /// and a release build 13.
    pub fn allocated_kib(&self) -> u64 {
        self.memory_kib("RssAnon:")
    }

    fn memory_kib(&self, key: &str) -> u64 {
        let memory = self.status(key);
        let memory = memory.unwrap_or_else(|| panic!("it has ended; its log:\n{}", self.log()));
        memory.trim_end_matches(" kB").parse().unwrap()
    }

    /// What the kernel says of it, by the key. `None` where it has ended.
    fn status(&self, key: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().to_owned())
    }

    /// Waits until something is so; fails when that takes long, or when the process ends before.
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !is_so() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended ({ended:?}) before {what}; its log:\n{}", self.log());
            assert!(
                Instant::now() < deadline,
                "not within {WITHIN:?}: {what}; its log:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until all records of a topic are committed, and asserts that nothing beyond is.
    pub fn until_committed(&mut self, group: &Group, topic: &Topic<'_>) {
        let (mut committed, mut ends) = (Vec::new(), Vec::new());
        let what = format!("every record of {} is committed", topic.name);
        self.until(&what, || {
            (committed, ends) = (group.committed(topic), topic.ends());
            committed.iter().sum::<i64>() >= ends.iter().sum()
        });
        assert_eq!(committed, ends, "committed and end offsets of {}", topic.name);
    }

    /// Waits until a line of the log has this text in it.
    pub fn until_logged(&mut self, text: &str) {
        let log = log_file(&self.folder);
        self.until(&format!("{text:?} is in its log"), || {
            fs::read_to_string(&log).unwrap().contains(text)
        });
    }

    /// Waits until it has ended by itself or by a signal that was sent; its exit code.
    pub fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + EXITS_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let by_signal = || panic!("ended by a signal ({status}); its log:\n{}", self.log());
                return status.code().unwrap_or_else(by_signal);
            }
            assert!(
                Instant::now() < deadline,
                "still running after {EXITS_WITHIN:?}; its log:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM, after which it must end with exit code 0.
    pub fn stop(&mut self) {
        self.signal("TERM");
        let code = self.exit_code();
        assert_eq!(code, 0, "exit code after SIGTERM; its log:\n{}", self.log());
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_file(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

// -------------------------------------------------------------------------------------- its topics

/// A record to produce.
#[derive(Debug, Clone, Default)]
pub struct Message {
    partition: Option<i32>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: Option<i64>,
}

impl Message {
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A record without a value.
    pub fn tombstone() -> Self {
        Self::default()
    }

    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub fn header(mut self, name: &str, value: Option<&[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
        self
    }

    /// The record's own timestamp, in milliseconds.
    pub fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Otherwise the key decides, or chance.
    pub fn in_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }
}

/// A topic that is one test's own.
pub struct Topic<'k> {
    pub name: String,
    pub partitions: i32,
    pub kafka: &'k Kafka,
}

impl<'k> Topic<'k> {
    pub fn create(kafka: &'k Kafka, name: impl Into<String>, partitions: i32) -> Self {
        let name = name.into();
        kafka.create_topic(&name, partitions);
        Self { name, partitions, kafka }
    }

    /// With configurations such as `("cleanup.policy", "compact")`.
    pub fn create_with(
        kafka: &'k Kafka,
        name: impl Into<String>,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Self {
        let name = name.into();
        kafka.create_topic_with(&name, partitions, configs);
        Self { name, partitions, kafka }
    }

    /// Produces the messages in their order, and returns when the broker has them all.
    pub fn produce(&self, messages: impl IntoIterator<Item = Message>) {
        let before: i64 = self.ends().iter().sum();
        let producer: BaseProducer = client(self.kafka).set("linger.ms", "5").create().unwrap();
        let mut count = 0;
        for message in messages {
            self.send(&producer, &message);
            count += 1;
        }
        producer.flush(KAFKA_ANSWERS_WITHIN).unwrap();
        let after: i64 = self.ends().iter().sum();
        assert_eq!(after - before, count, "not every message has reached {}", self.name);
    }

    fn send(&self, producer: &BaseProducer, message: &Message) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &message.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.name).headers(headers);
        record.partition = message.partition;
        record.key = message.key.as_deref();
        record.payload = message.value.as_deref();
        record.timestamp = message.timestamp;
        while let Err((error, same)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "producing to {}", self.name);
            producer.poll(Duration::from_millis(10));
            record = same;
        }
    }

    /// The end offset of each partition.
    pub fn ends(&self) -> Vec<i64> {
        let consumer: BaseConsumer = client(self.kafka).create().unwrap();
        (0..self.partitions).map(|partition| self.end(&consumer, partition)).collect()
    }

    /// Asks again while a broker that leads the partition doesn't know it yet.
    fn end(&self, consumer: &BaseConsumer, partition: i32) -> i64 {
        let deadline = Instant::now() + WITHIN;
        loop {
            match consumer.fetch_watermarks(&self.name, partition, KAFKA_ANSWERS_WITHIN) {
                Ok((_, end)) => return end,
                Err(error) => assert!(Instant::now() < deadline, "{}: {error}", self.name),
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// From its beginning, in no group.
    fn reader(&self) -> BaseConsumer {
        let consumer: BaseConsumer = client(self.kafka).set("group.id", "reader").create().unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.name, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        consumer
    }

    /// All records of a topic with one partition that has gaps; its last offset must be a record's.
    pub fn read_with_gaps(&self) -> Vec<OwnedMessage> {
        let last = self.ends()[0] - 1;
        let consumer = self.reader();
        let mut records = Vec::new();
        while records.last().is_none_or(|record: &OwnedMessage| record.offset() < last) {
            let message = consumer.poll(KAFKA_ANSWERS_WITHIN).unwrap();
            records.push(message.unwrap().detach());
        }
        records
    }

    /// All records that it has now.
    pub fn read(&self) -> Vec<OwnedMessage> {
        let total: i64 = self.ends().iter().sum();
        let consumer = self.reader();
        let next = |_| {
            let message = consumer.poll(KAFKA_ANSWERS_WITHIN);
            message.unwrap_or_else(|| panic!("no next record in {}", self.name)).unwrap().detach()
        };
        let mut records: Vec<_> = (0..total).map(next).collect();
        records.sort_by_key(|record| (record.partition(), record.offset()));
        records
    }
}

/// A consumer group, seen from outside: looking joins nobody.
pub struct Group {
    name: String,
    consumer: BaseConsumer,
}

impl Group {
    pub fn new(kafka: &Kafka, name: &str) -> Self {
        let consumer = client(kafka).set("group.id", name).create().unwrap();
        Self { name: name.to_owned(), consumer }
    }

    /// The committed offset of each partition of a topic; 0 where there is none yet.
    pub fn committed(&self, topic: &Topic<'_>) -> Vec<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&topic.name, 0, topic.partitions - 1);
        self.committed_offsets(&list)
            .elements()
            .iter()
            .map(|element| element.offset().to_raw().unwrap_or(0).max(0))
            .collect()
    }

    fn committed_offsets(&self, list: &TopicPartitionList) -> TopicPartitionList {
        self.answered(WITHIN, || {
            self.consumer.committed_offsets(list.clone(), KAFKA_ANSWERS_WITHIN)
        })
    }

    /// Asks again while the group's coordinator starts, or moves from one broker to another.
    fn answered<T>(&self, within: Duration, ask: impl Fn() -> KafkaResult<T>) -> T {
        let deadline = Instant::now() + within;
        loop {
            match ask() {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < deadline, "{}: {error}", self.name),
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The ids of its members, once the group has settled. The broker gives a member a new id each
    /// time it joins, so equal ids mean that nobody was thrown out meanwhile.
    pub fn members(&self) -> Vec<String> {
        let list = self.answered(KAFKA_ANSWERS_WITHIN, || {
            self.consumer.fetch_group_list(Some(&self.name), KAFKA_ANSWERS_WITHIN)
        });
        let mut members: Vec<_> = list
            .groups()
            .iter()
            .filter(|group| group.state() == "Stable")
            .flat_map(|group| group.members().iter().map(|member| member.id().to_owned()))
            .collect();
        members.sort();
        members
    }
}

fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    config
}
