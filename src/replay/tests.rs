use std::cell::Cell;
use std::collections::VecDeque;

use super::*;
use crate::record::OwnedRecord;

/// A topic with one partition, of which everything is polled in turn.
struct Fake {
    events: RefCell<VecDeque<Event<OwnedRecord>>>,
    commits_fail: Cell<bool>,
    paused: Cell<usize>,
}

impl Consumer for Fake {
    type Record<'c> = OwnedRecord;

    fn poll(&self, _: Duration) -> Option<Event<OwnedRecord>> {
        self.events.borrow_mut().pop_front()
    }

    fn assign(&self, _: &[TopicPartition]) -> Result<(), KafkaError> {
        Ok(())
    }

    fn unassign(&self, _: &[TopicPartition]) -> Result<(), KafkaError> {
        Ok(())
    }

    fn pause(&self, _: &[TopicPartition]) -> Result<(), KafkaError> {
        self.paused.set(self.paused.get() + 1);
        Ok(())
    }

    fn resume(&self, _: &[TopicPartition]) -> Result<(), KafkaError> {
        Ok(())
    }

    fn look_up(&self, _: &[TopicPartition]) -> Result<Vec<Extent>, KafkaError> {
        Ok(Vec::new())
    }

    fn committed(&self, _: &[TopicPartition]) -> Result<Covers, KafkaError> {
        Ok(Covers::new())
    }

    fn go_to(&self, _: &[Place], _: &[Place]) -> Result<(), KafkaError> {
        Ok(())
    }

    fn forget(&self, _: &TopicPartition) {}

    fn commit(&self, offsets: &Covers) -> Result<(), KafkaError> {
        self.commit_and_wait(offsets)
    }

    fn commit_and_wait(&self, _: &Covers) -> Result<(), KafkaError> {
        let refused = || KafkaError { reason: "refused".into(), fatal: false };
        if self.commits_fail.get() { Err(refused()) } else { Ok(()) }
    }
}

fn partition() -> TopicPartition {
    TopicPartition { topic: "dead".into(), partition: 0 }
}

fn letter(offset: i64, connector: &str, origin: Option<i64>) -> Event<OwnedRecord> {
    let header = |name: &str, value: &str| {
        (format!("__connect.errors.{name}"), Some(value.as_bytes().to_vec()))
    };
    let mut headers = vec![("own".to_owned(), None), header("connector.name", connector)];
    if let Some(origin) = origin {
        headers.extend([header("topic", "t"), header("partition", "7")]);
        headers.push(header("offset", &origin.to_string()));
    }
    Event::Record(OwnedRecord {
        topic: "dead".into(),
        partition: 0,
        offset: Offset(offset),
        key: Some(b"k".to_vec()),
        value: Some(b"v".to_vec()),
        timestamp_millis: Some(5),
        headers,
    })
}

/// The letters of `c` in a topic that ended at 10 when the replay began.
struct Replaying {
    letters: Letters<Fake>,
    stop: Arc<AtomicBool>,
}

impl Replaying {
    fn of(events: impl IntoIterator<Item = Event<OwnedRecord>>) -> Self {
        let assigned = Event::Assigned(vec![partition()]);
        let events = RefCell::new([assigned].into_iter().chain(events).collect());
        let fake = Fake { events, commits_fail: Cell::new(false), paused: Cell::new(0) };
        let stop = Arc::<AtomicBool>::default();
        let ends = BTreeMap::from([(0, Offset(10))]);
        Self { letters: Letters::new(fake, "c", ends, Arc::clone(&stop)), stop }
    }

    /// Polls all; the places of what the worker gets, in both topics.
    fn poll_all(&self) -> Vec<(i64, i64)> {
        let mut taken = Vec::new();
        while !self.letters.consumer.events.borrow().is_empty() {
            if let Some(Event::Record(record)) = self.letters.poll(Duration::ZERO) {
                taken.push((record.place().2.0, record.offset().0));
            }
        }
        taken
    }

    fn commit(&self, last: i64) {
        let covers = Covers::from([(partition(), NextOffset::after(Offset(last)))]);
        // Whether it was refused is the test's to know.
        let _ = self.letters.commit(&covers);
    }

    fn has_ended(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

#[test]
fn it_ends_when_all_letters_before_the_end_are_committed_and_not_sooner() {
    let replaying = Replaying::of([letter(3, "c", Some(30)), letter(8, "c", Some(80))]);
    assert_eq!(replaying.poll_all(), [(3, 30), (8, 80)]);
    replaying.commit(8);
    assert!(!replaying.has_ended(), "more may come before the end");
    // The last two offsets are a gap, as of compaction.
    let at_end = Event::AtEnd { partition: 0 };
    replaying.letters.consumer.events.borrow_mut().push_back(at_end);
    replaying.poll_all();
    assert!(replaying.has_ended());
}

#[test]
fn a_refused_commit_does_not_end_it() {
    let replaying = Replaying::of([letter(3, "c", Some(30)), Event::AtEnd { partition: 0 }]);
    replaying.poll_all();
    replaying.letters.consumer.commits_fail.set(true);
    replaying.commit(3);
    assert!(!replaying.has_ended());
    replaying.letters.consumer.commits_fail.set(false);
    replaying.commit(3);
    assert!(replaying.has_ended());
}

#[test]
fn letters_that_were_written_since_it_began_are_left_alone_and_end_it() {
    let events = [letter(9, "c", Some(90)), letter(10, "c", Some(90)), letter(11, "c", Some(90))];
    let replaying = Replaying::of(events);
    assert_eq!(replaying.poll_all(), [(9, 90)]);
    assert!(!replaying.has_ended(), "the letter before the end is not committed");
    assert!(replaying.letters.consumer.paused.get() > 0);
    replaying.commit(9);
    assert!(replaying.has_ended());
}

#[test]
fn letters_of_other_connectors_and_those_of_no_place_are_passed_over_and_counted() {
    let events = [
        letter(1, "other", Some(10)),
        letter(2, "c", None),
        letter(3, "c", Some(30)),
        Event::AtEnd { partition: 0 },
    ];
    let replaying = Replaying::of(events);
    let seen = replaying.letters.seen();
    assert_eq!(replaying.poll_all(), [(3, 30)]);
    let counts = [&seen.taken, &seen.foreign, &seen.without_origin];
    assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [1, 1, 1]);
}

#[test]
fn a_member_without_a_partition_waits_and_one_that_has_handed_on_its_last_waits_too() {
    let revoked = Event::Revoked { partitions: vec![partition()], lost: false };
    let replaying = Replaying::of([letter(3, "c", Some(30)), revoked]);
    replaying.poll_all();
    replaying.commit(3);
    assert!(!replaying.has_ended());
}

#[test]
fn a_replayed_letter_is_the_original_but_for_its_place() {
    let Event::Record(letter) = letter(3, "c", Some(30)) else { panic!("no record") };
    let record = Replayed::new(letter).unwrap();
    assert_eq!((record.topic(), record.partition(), record.offset()), ("t", 7, Offset(30)));
    assert_eq!(record.place(), ("dead", 0, Offset(3)));
    assert_eq!((record.key(), record.value()), (Some(&b"k"[..]), Some(&b"v"[..])));
    assert_eq!(record.timestamp_millis(), Some(5));
    assert_eq!(record.headers(), [("own", None)]);
    assert_eq!(record.header("__connect.errors.topic"), None);
}
