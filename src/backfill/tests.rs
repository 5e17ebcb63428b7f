use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::*;
use crate::config::Secret;
use crate::kafka::mock::MockKafka;
use crate::kafka::{KafkaConsumer, Properties};

fn progress(parts: &[(i32, i64, i64)]) -> (Progress, Arc<AtomicBool>) {
    let stop = Arc::<AtomicBool>::default();
    let parts =
        parts.iter().map(|&(number, next, to)| (number, NextOffset::at(Offset(next)), Offset(to)));
    (Progress::new(parts, Arc::clone(&stop)), stop)
}

fn commit(progress: &Progress, number: i32, next: i64) {
    progress.change(number, |part| part.committed = NextOffset::at(Offset(next)));
}

#[test]
fn a_record_behind_the_end_or_of_a_new_partition_is_not_given() {
    let (progress, _) = progress(&[(0, 5, 7)]);
    let given = [(0, 5), (0, 6), (0, 7), (1, 5)].map(|(n, at)| progress.give(n, Offset(at)));
    assert_eq!(given, [true, true, false, false]);
    assert_eq!(progress.taken.load(Ordering::Relaxed), 2);
}

#[test]
fn the_end_is_when_all_that_was_given_is_committed_in_every_partition() {
    let (progress, stop) = progress(&[(0, 5, 7), (1, 0, 10), (2, 3, 3)]);
    let is_stopped = || stop.load(Ordering::Acquire);
    assert_eq!(progress.left(), 12);
    progress.give(0, Offset(5));
    progress.give(0, Offset(6));
    progress.change(0, |part| part.at_end = true);
    progress.give(1, Offset(0));
    commit(&progress, 1, 1);
    assert_eq!((progress.left(), is_stopped()), (11, false));
    commit(&progress, 0, 7);
    assert_eq!((progress.left(), is_stopped()), (9, false), "partition 1 is in the midst");
    // What is left of it is a transaction's marks.
    progress.change(1, |part| part.at_end = true);
    assert_eq!((progress.left(), is_stopped(), progress.is_done()), (0, true, true));
}

#[test]
fn a_partition_that_changes_its_worker_uncommitted_is_not_done() {
    let (progress, stop) = progress(&[(0, 0, 10)]);
    progress.give(0, Offset(3));
    progress.change(0, |part| part.at_end = true);
    // As in `Part::poll`, when it is assigned.
    progress.change(0, |part| {
        part.at_end = false;
        part.given = None;
    });
    assert!(!progress.is_done() && !stop.load(Ordering::Acquire));
}

const WITHIN: Duration = Duration::from_secs(30);

/// The records before `to` of the only partition of a topic, which has four.
struct Reading {
    _kafka: MockKafka,
    part: Part<KafkaConsumer>,
}

impl Reading {
    fn new(to: i64) -> Self {
        let kafka = MockKafka::start(&[("t", 1)]).unwrap();
        let servers = kafka.bootstrap_servers();
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
        for _ in 0..4 {
            let record = BaseRecord::<(), str>::to("t").payload("a").partition(0);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(WITHIN).unwrap();
        let properties = Properties::from([("bootstrap.servers".to_owned(), Secret::new(servers))]);
        let consumer = KafkaConsumer::to_the_end(&properties, "g", "t", 0).unwrap();
        let (progress, _) = progress(&[(0, 0, to)]);
        Self { _kafka: kafka, part: Part::new(consumer, Arc::new(progress), None) }
    }

    fn partitions() -> [TopicPartition; 1] {
        [TopicPartition { topic: "t".into(), partition: 0 }]
    }

    /// The offsets of what comes until the partition is at its end.
    fn until_its_end(&self) -> Vec<i64> {
        self.part.progress.change(0, |part| part.at_end = false);
        let (begun, mut offsets) = (Instant::now(), Vec::new());
        while !self.part.progress.lock()[&0].at_end {
            assert!(begun.elapsed() < WITHIN, "read so far: {offsets:?}");
            match self.part.poll(Duration::from_millis(100)) {
                Some(Event::Assigned(partitions)) => self.part.assign(&partitions).unwrap(),
                Some(Event::Record(record)) => offsets.push(record.offset().0),
                _ => {}
            }
        }
        offsets
    }
}

/// librdkafka keeps it paused: a rebalance in which the group took it and gave it back would have left a backfill
/// waiting for good.
#[test]
fn a_partition_that_was_at_its_end_is_read_again_when_it_comes_back_uncommitted() {
    let reading = Reading::new(2);
    assert_eq!(reading.until_its_end(), [0, 1]);
    reading.part.unassign(&Reading::partitions()).unwrap();
    reading.part.assign(&Reading::partitions()).unwrap();
    assert_eq!(reading.until_its_end(), [0, 1]);
}

/// As when the database is slow, or in a rebalance: all of the partition came a second time.
#[test]
fn a_pause_at_the_end_of_a_partition_does_not_have_it_read_again() {
    let reading = Reading::new(10);
    assert_eq!(reading.until_its_end(), [0, 1, 2, 3]);
    reading.part.pause(&Reading::partitions()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    reading.part.resume(&Reading::partitions()).unwrap();
    assert_eq!(reading.until_its_end(), Vec::<i64>::new());
}

#[test]
fn a_pace_lets_so_many_pass_a_second() {
    let pace = Pace::new(NonZeroU32::new(1000).unwrap());
    let started = Instant::now();
    for _ in 0..100 {
        while pace.waits(Duration::from_millis(5)) {}
        pace.step();
    }
    assert!(started.elapsed() >= Duration::from_millis(55), "{:?}", started.elapsed());
}
