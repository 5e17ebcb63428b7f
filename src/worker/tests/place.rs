//! Places that are gone, and groups that have none yet.

use super::world::{FakeRecord, Report, Scenario, partition};
use super::*;
use crate::config::raw::OffsetOutOfRange;
use crate::kafka::Extent;

fn extent(committed: Option<i64>, first: i64, end: i64) -> Extent {
    let (first, end) = (Offset(first), Offset(end));
    Extent {
        partition: partition(0),
        committed: committed.map(|next| crate::record::NextOffset::at(Offset(next))),
        first,
        end,
    }
}

/// At `at` seconds one of the partitions is found to have no place; then these records come.
fn no_place(scenario: &mut Scenario, at: u64, extent: Extent, then: impl IntoIterator<Item = i64>) {
    scenario.events.push((seconds(at), Event::NoPlace));
    scenario.extents.push(extent);
    for offset in then {
        let record = FakeRecord::good(0, offset);
        scenario.events.push((seconds(at + 3), Event::Record(record)));
    }
    scenario.stop_at = seconds(60);
}

fn lost(report: &Report) -> (u64, u64) {
    (report.metrics.offsets_out_of_range.get(), report.metrics.records_lost.get())
}

#[test]
fn a_first_start_is_no_alarm_and_its_place_is_committed() {
    let mut scenario = Scenario::of(Vec::new());
    scenario.gone = (0..5).map(|offset| (0, offset)).collect();
    no_place(&mut scenario, 1, extent(None, 5, 5), []);
    let report = scenario.run();
    assert_eq!(report.moves, [(partition(0), Some(Offset(5)))]);
    assert_eq!(report.ledger.committed[&0], 5);
    assert_eq!(lost(&report), (0, 0));
}

#[test]
fn over_a_gap_the_offsets_go_on_after_all_before_it_is_durable() {
    let mut scenario = Scenario::of(good(25));
    scenario.gone = (25..40).map(|offset| (0, offset)).collect();
    // What was read before the gap is being written for long after it.
    scenario.reply = Box::new(|_, _| (seconds(8), Ok(())));
    no_place(&mut scenario, 1, extent(None, 40, 50), 40..50);
    let report = scenario.run();
    assert_eq!(report.moves, [(partition(0), Some(Offset(40)))]);
    assert_eq!(report.ledger.committed[&0], 50);
    assert_eq!(report.ledger.stored.len(), 35);
    assert_eq!(lost(&report), (1, 15));
}

/// The fake Kafka refuses commits beyond what was read of the new topic.
#[test]
fn what_is_in_flight_of_a_topic_that_was_made_again_is_not_committed() {
    let mut scenario = Scenario::of(good(25));
    scenario.reply = Box::new(|_, _| (seconds(8), Ok(())));
    no_place(&mut scenario, 1, extent(Some(20), 0, 4), 0..4);
    let report = scenario.run();
    assert_eq!(report.moves, [(partition(0), Some(Offset(0)))]);
    assert_eq!(report.ledger.committed[&0], 4);
    assert_eq!(lost(&report), (1, 0));
}

#[test]
fn a_record_of_a_topic_that_was_made_again_can_still_be_dead_lettered() {
    let mut scenario = Scenario::of(good(5));
    scenario.reply = Box::new(|_, places| {
        let bad = places.contains(&(0, 3)) && places.len() > 1 || places == [(0, 3)];
        (seconds(4), if bad { Err(rejected(false)) } else { Ok(()) })
    });
    no_place(&mut scenario, 1, extent(None, 0, 2), 0..2);
    let report = scenario.run();
    assert!(report.ledger.dead.contains(&(0, 3)));
}

#[test]
fn a_look_up_that_fails_is_repeated_and_polls_go_on() {
    let mut scenario = Scenario::of(good(5));
    scenario.look_up_failures = 20;
    scenario.gone = (5..10).map(|offset| (0, offset)).collect();
    no_place(&mut scenario, 1, extent(Some(5), 10, 12), []);
    for offset in 10..12 {
        scenario.events.push((seconds(40), Event::Record(FakeRecord::good(0, offset))));
    }
    let report = scenario.run();
    assert!(report.longest_gap <= seconds(1), "{:?}", report.longest_gap);
    assert_eq!(report.moves, [(partition(0), Some(Offset(10)))]);
    assert_eq!(report.ledger.committed[&0], 12);
}

#[test]
fn stopping_at_a_lost_place_commits_what_stands_before_it() {
    let mut scenario = Scenario::of(good(5));
    scenario.out_of_range = OffsetOutOfRange::Stop;
    no_place(&mut scenario, 1, extent(None, 10, 12), []);
    let report = scenario.run();
    let Outcome::Failed(Failure::OutOfRange(lost)) = report.outcome else {
        panic!("{:?}", report.outcome)
    };
    assert_eq!((lost.had, lost.first, lost.end), (Offset(5), Offset(10), Offset(12)));
    assert_eq!(report.ledger.committed[&0], 5);
    assert_eq!(report.moves, []);
}

#[test]
fn stopping_because_a_topic_was_made_again_commits_nothing_of_the_old_one() {
    let mut scenario = Scenario::of(good(5));
    scenario.out_of_range = OffsetOutOfRange::Stop;
    // Still in flight when the place is found to be gone.
    scenario.reply = Box::new(|_, _| (seconds(4), Ok(())));
    no_place(&mut scenario, 1, extent(None, 0, 2), []);
    let report = scenario.run();
    assert!(matches!(report.outcome, Outcome::Failed(Failure::OutOfRange(_))));
    assert!(!report.ledger.committed.contains_key(&0), "{:?}", report.ledger.committed);
}

#[test]
fn a_partition_that_stands_still_is_begun_again_where_the_group_has_come_to() {
    let mut scenario = Scenario::of(Vec::new());
    let idle = |at| (seconds(at), Event::Idle(vec![partition(0), partition(7)]));
    scenario.events.extend([idle(1), idle(6)]);
    scenario.extents.push(extent(Some(30), 0, 50));
    scenario.gone = (0..30).map(|offset| (0, offset)).collect();
    let report = scenario.run();
    assert_eq!(report.moves, [(partition(0), Some(Offset(30)))]);
    assert_eq!(lost(&report), (0, 0));
}

#[test]
fn a_partition_that_is_about_to_be_fetched_is_left_alone() {
    let mut scenario = Scenario::of(Vec::new());
    let idle = |at, which: Vec<_>| (seconds(at), Event::Idle(which));
    let one = vec![partition(0)];
    scenario.events.extend([idle(1, one.clone()), idle(3, Vec::new()), idle(6, one)]);
    scenario.extents.push(extent(Some(30), 0, 50));
    assert_eq!(scenario.run().moves, []);
}
