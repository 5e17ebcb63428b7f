//! Records that can't be decoded yet.

use super::*;

#[test]
fn while_a_registry_is_down_polls_go_on_and_nothing_is_lost_or_dead_lettered() {
    let mut scenario = Scenario::of(good(25));
    scenario.stop_at = seconds(2 * 3600);
    scenario.unreachable = Duration::ZERO..seconds(3600);
    let report = scenario.run();
    assert!(report.longest_gap <= seconds(2), "a gap of {:?} between polls", report.longest_gap);
    assert_eq!(report.pauses, 1);
    assert_eq!(report.ledger.stored.len(), 25);
    assert!(report.ledger.stored.values().all(|times| *times == 1));
    assert_eq!(report.ledger.committed[&0], 25);
    assert!(report.ledger.dead.is_empty());
    assert!((3600..4000).contains(&report.metrics.decode_retries.get()));
}

/// Records of before are committed during the outage.
#[test]
fn what_came_before_a_held_record_is_written_and_committed_meanwhile() {
    let mut scenario = Scenario::of(good(7));
    let late = |offset| (seconds(2), Event::Record(FakeRecord::good(0, offset)));
    scenario.events.extend((7..20).map(late));
    scenario.unreachable = seconds(1)..seconds(3600);
    scenario.stop_at = seconds(20);
    let report = scenario.run();
    assert_eq!(report.outcome, Outcome::Stopped);
    assert_eq!(report.ledger.committed[&0], 7);
    assert_eq!(report.ledger.stored.len(), 7);
}

/// The next owner reads it; if it comes back, it is read again, and taken once.
#[test]
fn a_held_record_of_a_revoked_partition_is_forgotten() {
    let mut scenario = Scenario::of(good(3));
    let revoked = Event::Revoked { partitions: vec![partition(0)], lost: false };
    scenario.events.push((seconds(2), revoked));
    scenario.events.push((seconds(3), Event::Assigned(vec![partition(0)])));
    let again = |offset| (seconds(4), Event::Record(FakeRecord::good(0, offset)));
    scenario.events.extend((0..3).map(again));
    scenario.unreachable = Duration::ZERO..seconds(6);
    scenario.stop_at = seconds(20);
    let report = scenario.run();
    assert_eq!(report.ledger.committed[&0], 3);
    assert!(report.ledger.stored.values().all(|times| *times == 1), "{:?}", report.ledger.stored);
}

#[test]
fn other_partitions_records_that_were_read_already_wait_behind_it() {
    let mut records = good(3);
    records.push(FakeRecord::good(1, 0));
    let mut scenario = Scenario::of(records);
    scenario.events.push((Duration::from_millis(500), Event::Record(FakeRecord::good(1, 1))));
    scenario.unreachable = Duration::ZERO..seconds(4);
    let report = scenario.run();
    assert_eq!((report.ledger.committed[&0], report.ledger.committed[&1]), (3, 2));
    assert_eq!(report.ledger.stored.len(), 5);
}
