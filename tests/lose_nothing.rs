//! Nothing is lost, and nothing is there twice, however often the process is killed; and what is committed was
//! acknowledged by the database before.
//!
//! The real binary reads a real topic into a real database, is killed with SIGKILL at random moments and started
//! again, while messages keep coming. `TIDEGATE_SEED` repeats a run's choices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose tools fail can only panic"
)]

mod stack;
mod support;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use support::proxy::{self, Decode, Log, Point, Proxy};
use support::watch::{self, Watch};
use support::{MESSAGES, Messages, PARTITIONS, Random, Tidegate, now_ms};

/// Kills while messages flow. Every second one is followed by another while the next process starts.
const KILLS: u32 = 6;
/// A killed member blocks its group for so long.
const SESSION: Duration = Duration::from_secs(3);
/// Without any progress for so long, the connector hangs.
const STALLED_AFTER: Duration = Duration::from_mins(1);

/// The runner's configuration finds these tests by the module's name (.config/nextest.toml).
mod lose_nothing {
    use super::*;

    #[test]
    fn every_message_is_stored_once_after_kills_into_victoria_metrics() {
        let database = stack::VictoriaMetrics::start();
        let messages = deliver_through_kills(&Target {
            database: database.url(),
            sink: |url| {
                format!("influxdb: {{ url: '{url}', org: o, bucket: b, compression: none }}")
            },
            a_point: Duration::from_millis(1),
            decode: support::proxy::line_protocol,
        });
        database.flush();
        let stored = database.export(r#"{__name__!=""}"#);
        messages.assert_stored_once(&stored);
    }

    #[test]
    fn every_message_is_stored_once_after_kills_into_prometheus() {
        stored_once_in_prometheus(&stack::Prometheus::start());
    }

    /// Such a Prometheus takes the repeats after a kill a second time, and must still show them once.
    #[test]
    fn every_message_is_stored_once_after_kills_into_prometheus_with_an_out_of_order_window() {
        stored_once_in_prometheus(&stack::Prometheus::start_with_out_of_order("1h"));
    }

    fn stored_once_in_prometheus(database: &stack::Prometheus) {
        let messages = deliver_through_kills(&Target {
            database: database.url(),
            sink: |url| format!("prometheus: {{ url: '{url}/api/v1/write' }}"),
            a_point: Duration::from_micros(400),
            decode: support::proxy::remote_write,
        });
        #[expect(clippy::cast_precision_loss, reason = "seconds are enough")]
        let now = now_ms() as f64 / 1000.0;
        let stored = database.series(r#"{__name__!=""}"#, "2h", now);
        messages.assert_stored_once(&stored);
    }

    /// The test's own test: the rule that every observed commit is held against can be broken.
    #[test]
    fn the_check_finds_a_commit_that_is_ahead() {
        let points: Vec<Point> = (0..10).map(|at| Point { series: 1, at }).collect();
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut log = Log::default();
        log.acknowledge(&points[..6], at(10));
        log.acknowledge(&points[7..], at(20));

        assert_eq!(first_not_acknowledged(&log, &points, 0..6, at(10)), None);
        let one_ahead = first_not_acknowledged(&log, &points, 0..7, at(30));
        assert_eq!(one_ahead, Some(6));
        let over_a_gap = first_not_acknowledged(&log, &points, 0..9, at(30));
        assert_eq!(over_a_gap, Some(6));
        log.acknowledge(&points[6..7], at(40));
        let too_early = first_not_acknowledged(&log, &points, 0..7, at(39));
        assert_eq!(too_early, Some(6));
        assert_eq!(first_not_acknowledged(&log, &points, 0..10, at(40)), None);
        let beyond_the_end = first_not_acknowledged(&log, &points, 0..11, at(40));
        assert_eq!(beyond_the_end, Some(10));
    }
}

/// Where the messages go.
struct Target<'a> {
    database: &'a str,
    /// From the address to write to, the text of the connector's `sink`.
    sink: fn(&str) -> String,
    /// What a request may wait for each of its points, as for a database that is far and busy.
    a_point: Duration,
    decode: Decode,
}

/// Runs the connector from the first message to the last, killing it on the way.
fn deliver_through_kills(target: &Target<'_>) -> Arc<Messages> {
    let mut random = Random::of_this_run();
    let messages = Arc::new(Messages::new(&mut random));
    let kafka = stack::shared_kafka();
    let topic = format!("lose-nothing-{}-{}", std::process::id(), messages.first_at);
    kafka.create_topic(&topic, PARTITIONS.cast_signed());
    let database = proxy::Database { url: target.database.to_owned(), decode: target.decode };
    let proxy = Proxy::start(database, target.a_point, random.fork());
    let proxy = Arc::new(proxy);
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_configuration(folder.path(), &kafka, &topic, target, &proxy);
    let watch = watch(kafka.bootstrap(), &topic, &messages, &proxy);
    let producer = messages.produce_in_background(kafka.bootstrap(), &topic);

    let run = Run { folder: folder.path(), proxy: &proxy, watch: &watch };
    let (mut tidegate, kills) = run.kill_again_and_again(&mut random);
    assert_eq!(producer.join(), MESSAGES as usize, "messages produced as planned");
    run.wait_until(&mut tidegate, || watch.observed().committed == messages.log_ends());
    assert_eq!(watch.log_ends(), messages.log_ends(), "where the partitions end");
    let status = tidegate.terminate();
    assert!(status.success(), "after SIGTERM: {status}{}", tidegate.log_tail());
    assert_no_commit_was_ahead(&watch);
    let commits = watch.end().commits;
    kafka.delete_topic(&topic);

    let log = proxy.log();
    println!(
        "{kills} kills, {} points acknowledged, {} times again; {} requests refused; {commits} commits seen",
        log.points(),
        log.repeats,
        log.refusals,
    );
    // Else the run was too easy to mean anything.
    assert!(commits >= kills / 2, "few commits seen");
    assert!(log.repeats + log.refusals > 0, "no kill left points behind");
    drop(log);
    messages
}

fn write_configuration(
    folder: &Path,
    kafka: &stack::Kafka,
    topic: &str,
    target: &Target<'_>,
    proxy: &Proxy,
) {
    let process = format!("kafka: {{ bootstrap.servers: '{}' }}\n", kafka.bootstrap());
    let sink = (target.sink)(proxy.url());
    let session = SESSION.as_millis();
    // No dead_letter: a record that is rejected for nothing must end the connector, and so the test.
    let connector = format!(
        "topics: [{topic}]
group: {topic}
workers: 2
kafka: {{ session.timeout.ms: {session}, heartbeat.interval.ms: 500 }}
point:
  measurement: lose_nothing
  tags: {{ series: series }}
  fields: {{ reading: reading }}
  timestamp: {{ path: at, unit: ms }}
batch: {{ max_points: 500, linger: 100ms }}
delivery: {{ drain: 2s }}
sink:
  {sink}
"
    );
    std::fs::write(folder.join("tidegate.yaml"), process).expect("room for a file");
    std::fs::write(folder.join("connector.yaml"), connector).expect("room for a file");
}

/// The processes, one after the other.
struct Run<'a> {
    folder: &'a Path,
    proxy: &'a Proxy,
    watch: &'a Watch,
}

impl Run<'_> {
    /// Hands back the process that survives, and the number of those that did not.
    fn kill_again_and_again(&self, random: &mut Random) -> (Tidegate, usize) {
        let mut kills = 0;
        let mut tidegate = Tidegate::run(self.folder);
        let share = MESSAGES / (KILLS + 1);
        for kill in 0..KILLS {
            let until = (kill * share + random.below(share)) as usize;
            self.wait_until(&mut tidegate, || self.proxy.log().points() >= until);
            thread::sleep(Duration::from_millis(random.below(50).into()));
            tidegate = self.replace(tidegate, &mut kills);
            if kill % 2 == 1 {
                thread::sleep(SESSION.mul_f64(1.5 * random.fraction()));
                tidegate = self.replace(tidegate, &mut kills);
            }
        }
        (tidegate, kills)
    }

    fn replace(&self, tidegate: Tidegate, kills: &mut usize) -> Tidegate {
        tidegate.kill();
        *kills += 1;
        Tidegate::run(self.folder)
    }

    /// # Panics
    /// When the process ends, a commit was ahead, or nothing moves any longer.
    fn wait_until(&self, tidegate: &mut Tidegate, reached: impl Fn() -> bool) {
        let (mut moved, mut last) = (Instant::now(), (0, 0));
        while !reached() {
            tidegate.assert_runs();
            assert_no_commit_was_ahead(self.watch);
            let now = (self.proxy.log().exchanges(), self.watch.observed().commits);
            if now != last {
                (moved, last) = (Instant::now(), now);
            }
            let stalled = moved.elapsed() > STALLED_AFTER;
            assert!(!stalled, "nothing has moved for {STALLED_AFTER:?}{}", tidegate.log_tail());
            thread::sleep(Duration::from_millis(5));
        }
        assert_no_commit_was_ahead(self.watch);
    }
}

// ----------------------------------------------------------------------------------------------------- the commits

/// The first of these offsets of a partition whose point was not acknowledged by then, or that no message has. A
/// commit that is seen by then may cover none.
fn first_not_acknowledged(
    log: &Log,
    partition: &[Point],
    mut offsets: Range<usize>,
    by: Instant,
) -> Option<usize> {
    let acknowledged = |point: &Point| log.was_acknowledged(*point, by);
    offsets.find(|&offset| !partition.get(offset).is_some_and(acknowledged))
}

fn watch(bootstrap: &str, topic: &str, messages: &Arc<Messages>, proxy: &Arc<Proxy>) -> Watch {
    let (messages, proxy) = (Arc::clone(messages), Arc::clone(proxy));
    let not_durable = move |advance: &watch::Advance| {
        let partition = &messages.partitions[advance.partition];
        let offsets = advance.offsets.clone();
        first_not_acknowledged(&proxy.log(), partition, offsets, advance.by).into_iter().collect()
    };
    let partitions = PARTITIONS as usize;
    Watch::start(bootstrap, topic, topic, partitions, Box::new(not_durable))
}

fn assert_no_commit_was_ahead(watch: &Watch) {
    let observed = watch.observed();
    assert_eq!(observed.first_ahead, None);
    assert_eq!(observed.went_back, 0, "commits that went back");
}
