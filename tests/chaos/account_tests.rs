//! The account's own tests: each way in which the promise may be broken shows.

use std::sync::Arc;

use crate::account::{Account, Letter, Row};
use crate::chronicle::Chronicle;
use crate::durable::LettersDue;
use crate::stream::Stream;
use crate::support::Random;
use crate::target::{INFLUXDB, Target};

/// A run without a fault.
struct Clean {
    stream: Arc<Stream>,
    rows: Vec<Row>,
    letters: Vec<Letter>,
    chronicle: Chronicle,
}

impl Clean {
    fn new(target: Target) -> Self {
        let stream = Arc::new(Stream::new(20_000, 1_700_000_000_000, &mut Random::seeded(1)));
        let (mut rows, mut letters) = (Vec::new(), Vec::new());
        for (partition, end) in stream.ends().into_iter().enumerate() {
            for offset in 0..end {
                let number = stream.at_offset(partition, offset).unwrap();
                if target.stores(stream.kind(number)) {
                    rows.push(Row { point: stream.point(number), value: Stream::value(number) });
                } else {
                    let value = stream.payload(number);
                    letters.push(Letter { partition, offset, value, at_ms: 1_000_000 });
                }
            }
        }
        Self { stream, rows, letters, chronicle: Chronicle::new() }
    }

    fn account(&self) -> Account {
        Account::of(INFLUXDB, &self.stream, &self.rows, &self.letters, &self.chronicle)
    }
}

#[test]
fn a_run_in_which_all_is_well_is_balanced() {
    let clean = Clean::new(INFLUXDB);
    let account = clean.account();
    assert!(account.is_balanced(), "{account:?}");
    assert_eq!(account.stored, clean.rows.len());
    assert_eq!(account.dead_lettered, clean.letters.len());
    assert!(account.stored > 10_000 && account.dead_lettered > 50, "{account:?}");
}

#[test]
fn a_point_that_is_missing_is_lost() {
    let mut run = Clean::new(INFLUXDB);
    run.rows.pop();
    let account = run.account();
    assert!(!account.is_balanced());
    assert_eq!((account.lost, account.duplicates), (1, 0), "{account:?}");
}

#[test]
fn a_letter_that_is_missing_is_lost() {
    let mut run = Clean::new(INFLUXDB);
    run.letters.pop();
    assert_eq!(run.account().lost, 1);
}

#[test]
fn a_point_with_another_value_is_lost_and_one_too_many() {
    let mut run = Clean::new(INFLUXDB);
    run.rows[7].value += 1.0;
    let account = run.account();
    assert_eq!((account.lost, account.duplicates), (1, 1), "{account:?}");
}

#[test]
fn a_point_twice_is_a_duplicate() {
    let mut run = Clean::new(INFLUXDB);
    run.rows.push(run.rows[7]);
    let account = run.account();
    assert!(!account.is_balanced());
    assert_eq!((account.lost, account.duplicates), (0, 1), "{account:?}");
}

#[test]
fn a_good_message_with_a_letter_shows_also_where_it_is_stored() {
    let mut run = Clean::new(INFLUXDB);
    let number = run.stream.of_point(run.rows[0].point).unwrap();
    assert_eq!(run.stream.at_offset(0, 0), Some(number), "the first of partition 0 is good");
    let value = run.stream.payload(number);
    run.letters.push(Letter { partition: 0, offset: 0, value, at_ms: 1_000_000 });
    let account = run.account();
    assert_eq!((account.good_dead_lettered, account.duplicates), (1, 1), "{account:?}");
}

#[test]
fn a_letter_again_needs_a_cause() {
    let mut run = Clean::new(INFLUXDB);
    let again = Letter { at_ms: 1_003_000, ..run.letters[0].clone() };
    run.letters.push(again);
    assert_eq!(run.account().duplicates, 1, "nobody was killed");

    run.chronicle.record("influxdb_killed", 1_001_000);
    assert_eq!(run.account().duplicates, 1, "a database is no owner of partitions");

    run.chronicle.record("tidegate_killed", 1_004_000);
    assert_eq!(run.account().duplicates, 1, "the kill came later");

    run.chronicle.record("tidegate_killed", 1_002_000);
    let account = run.account();
    assert!(account.is_balanced(), "{account:?}");
    assert_eq!(account.explained_repeats.get("tidegate_killed"), Some(&1));
}

#[test]
fn a_letter_of_no_message_is_a_duplicate() {
    let mut run = Clean::new(INFLUXDB);
    let offset = run.stream.ends()[0];
    run.letters.push(Letter { partition: 0, offset, value: Vec::new(), at_ms: 0 });
    assert_eq!(run.account().duplicates, 1);
    run.letters.pop();
    run.letters[0].value.push(b'x');
    let account = run.account();
    assert_eq!((account.lost, account.duplicates), (1, 1), "{account:?}");
}

#[test]
fn a_commit_before_its_letter_is_ahead() {
    let letter = |at_ms| Letter { partition: 1, offset: 7, value: Vec::new(), at_ms };
    let due = LettersDue::default();
    due.push(1, 7, 1000);
    assert_eq!(due.ahead_of(&[]), 1, "no letter at all");
    assert_eq!(due.ahead_of(&[letter(1001)]), 1, "a letter too late");
    assert_eq!(due.ahead_of(&[letter(1000), letter(2000)]), 0, "in time, and repeated later");
    due.push(1, 8, 1000);
    assert_eq!(due.ahead_of(&[letter(1000)]), 1, "another record's letter");
}
