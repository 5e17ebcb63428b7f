//! What a database that is down or slow does to memory, to the lag, and to other connectors of the same process.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use run::{Group, Tidegate, Topic, unique};
use stack::{Kafka, shared_kafka};
use tokio::runtime::Runtime;

const PARTITIONS: i32 = 100;
/// 100 MB in records of 1 kB.
const BACKLOG: usize = 100_000;
/// Until what is fetched ahead and what is in flight is all there.
const FULL_AFTER: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_secs(20);
/// The promise is 64 MiB, and 16 MiB for a worker, with the release build's program, which has 13. What is allocated
/// stays well within it, and a growth is to be seen before it breaks the promise.
const ALLOCATED_KIB: u64 = 48 * 1024;
/// What a peak may be above an earlier one, once everything is full.
const FLAT_KIB: u64 = 8 * 1024;
const RECOVERED_WITHIN: Duration = Duration::from_mins(3);

/// A database of line protocol that takes its time, and counts lines.
struct Database {
    address: SocketAddr,
    lines: Arc<AtomicUsize>,
    delay: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Database {
    fn start(address: SocketAddr, delay: Duration) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let millis = u64::try_from(delay.as_millis()).expect("a short delay");
        let (lines, delay) = (Arc::<AtomicUsize>::default(), Arc::new(AtomicU64::new(millis)));
        let app = Router::new()
            .fallback(write)
            .layer(DefaultBodyLimit::disable())
            .with_state((Arc::clone(&lines), Arc::clone(&delay)));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, lines, delay, _runtime: runtime }
    }

    fn lines(&self) -> usize {
        self.lines.load(Ordering::Acquire)
    }
}

async fn write(
    State((lines, delay)): State<(Arc<AtomicUsize>, Arc<AtomicU64>)>,
    body: Bytes,
) -> StatusCode {
    tokio::time::sleep(Duration::from_millis(delay.load(Ordering::Acquire))).await;
    let count = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    lines.fetch_add(count, Ordering::AcqRel);
    StatusCode::NO_CONTENT
}

fn connector(name: &str, topic: &str, kafka: &Kafka, database: SocketAddr) -> String {
    let bootstrap = kafka.bootstrap();
    format!(
        "
name: {name}
topics: [{topic}]
kafka: {{ bootstrap.servers: '{bootstrap}' }}
point:
  measurement: m
  fields: {{ v: v }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ influxdb: {{ url: 'http://{database}', org: o, bucket: b, compression: none }} }}
batch: {{ linger: 100ms }}
delivery: {{ max_backoff: 1s }}
"
    )
}

/// Fills a topic evenly, each record with so many bytes that no mapping wants.
fn fill(kafka: &Kafka, topic: &Topic<'_>, records: usize, padding: usize) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap()).set("linger.ms", "50");
    config.set("queue.buffering.max.messages", "1000000");
    let producer: BaseProducer = config.create().expect("a producer");
    let padding = "x".repeat(padding);
    for number in 0..records {
        let value =
            format!(r#"{{"pad":"{padding}","v":{number},"at":{}}}"#, 1_700_000_000_000 + number);
        let partition = i32::try_from(number).expect("a small number") % PARTITIONS;
        let record = BaseRecord::<(), _>::to(&topic.name).payload(&value).partition(partition);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        if number % 1000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_mins(1)).expect("the broker takes all");
}

/// A port that nobody listens on until the test does.
fn closed_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address")
}

/// Watches its memory once it should grow no more: the peaks of the first and the second half, in KiB. Not
/// its least: batches in flight hold now more and now fewer of the fetches that their records came in.
fn watch(tidegate: &Tidegate) -> (u64, u64) {
    thread::sleep(FULL_AFTER);
    let peak = || {
        let end = Instant::now() + WATCHED / 2;
        let mut peak = 0;
        while Instant::now() < end {
            peak = peak.max(tidegate.allocated_kib());
            thread::sleep(Duration::from_millis(200));
        }
        peak
    };
    let peaks = (peak(), peak());
    println!("allocated, at the peaks of two halves: {peaks:?} KiB");
    peaks
}

fn until_lines(database: &Database, expected: usize) {
    let deadline = Instant::now() + RECOVERED_WITHIN;
    while database.lines() < expected {
        assert!(Instant::now() < deadline, "{} of {expected} lines", database.lines());
        thread::sleep(Duration::from_millis(100));
    }
}

/// The runner's configuration finds tests that load the machine by this module's name (.config/nextest.toml).
mod lose_nothing {
    use super::*;

    #[test]
    fn memory_is_flat_while_the_database_is_down_and_the_backlog_is_written_when_it_is_back() {
        let kafka = shared_kafka();
        let topic = Topic::create(&kafka, unique("down"), PARTITIONS);
        fill(&kafka, &topic, BACKLOG, 950);
        let address = closed_port();
        let text = connector(&topic.name, &topic.name, &kafka, address);
        let mut tidegate = Tidegate::run(&text, &[]);
        let (first, second) = watch(&tidegate);
        assert!(first.max(second) < ALLOCATED_KIB, "{first}, then {second} KiB");
        assert!(second < first + FLAT_KIB, "{first}, then {second} KiB");

        let database = Database::start(address, Duration::ZERO);
        until_lines(&database, BACKLOG);
        let group = Group::new(&kafka, &format!("tidegate-{}", topic.name));
        tidegate.until_committed(&group, &topic);
        let after = tidegate.allocated_kib();
        println!("after the backlog: {after} KiB");
        assert!(after < ALLOCATED_KIB, "{after} KiB");
        tidegate.stop();
    }

    #[test]
    fn memory_is_flat_while_the_database_is_slow() {
        let kafka = shared_kafka();
        let topic = Topic::create(&kafka, unique("slow"), PARTITIONS);
        // Tiny records, so that a batch has some of many fetches.
        fill(&kafka, &topic, 4 * BACKLOG, 10);
        let database =
            Database::start(SocketAddr::from(([127, 0, 0, 1], 0)), Duration::from_secs(2));
        let text = connector(&topic.name, &topic.name, &kafka, database.address);
        let mut tidegate = Tidegate::run(&text, &[]);
        let (first, second) = watch(&tidegate);
        assert!(first.max(second) < ALLOCATED_KIB, "{first}, then {second} KiB");
        assert!(second < first + FLAT_KIB, "{first}, then {second} KiB");
        assert!(database.lines() > 0);
        database.delay.store(0, Ordering::Release);
        until_lines(&database, 4 * BACKLOG);
        let group = Group::new(&kafka, &format!("tidegate-{}", topic.name));
        tidegate.until_committed(&group, &topic);
        tidegate.stop();
    }

    /// The same work twice, first alone in its process, then beside a connector whose database is down.
    #[test]
    fn a_dead_database_does_not_slow_another_connector() {
        let kafka = shared_kafka();
        let topic = Topic::create(&kafka, unique("beside"), PARTITIONS);
        fill(&kafka, &topic, 4 * BACKLOG, 100);
        let database = Database::start(SocketAddr::from(([127, 0, 0, 1], 0)), Duration::ZERO);
        let took = |dead: bool| {
            let before = database.lines();
            let name = unique("alive");
            let alive = connector(&name, &topic.name, &kafka, database.address);
            let other = connector(&unique("dead"), &topic.name, &kafka, closed_port());
            let mut files = vec![("alive.yaml", alive.as_str())];
            if dead {
                files.push(("dead.yaml", &other));
            }
            let mut tidegate = Tidegate::run_all(&files, &[]);
            until_lines(&database, before + 1);
            let start = Instant::now();
            until_lines(&database, before + 4 * BACKLOG);
            let took = start.elapsed();
            let group = Group::new(&kafka, &format!("tidegate-{name}"));
            tidegate.until_committed(&group, &topic);
            tidegate.signal("KILL");
            took
        };
        let (alone, beside) = (took(false), took(true));
        println!("alone {alone:?}, beside a dead one {beside:?}");
        // The dead one reads until it is full, which costs something on a machine with two cores.
        assert!(beside < alone * 2 + Duration::from_secs(1), "{alone:?} alone, {beside:?} beside");
    }
}
