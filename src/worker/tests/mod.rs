//! The loop without a broker and in virtual time.

mod held;
mod place;
mod records;
mod routing;
mod series;
mod simulation;
mod traces;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use super::{Failure, Outcome};
use crate::kafka::Event;
use crate::record::Offset;
use crate::sink::{Rejected, Scope, SinkError};
use world::{FakeRecord, Place, Scenario, partition};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn good(count: i64) -> Vec<FakeRecord> {
    (0..count).map(|offset| FakeRecord::good(0, offset)).collect()
}

fn unavailable() -> SinkError {
    SinkError::Unavailable {
        reason: "connection refused".into(),
        retry_after: None,
        perhaps_stored: false,
    }
}

fn rejected(superseded: bool) -> SinkError {
    SinkError::Rejected(Rejected {
        scope: Scope::Batch,
        rest_written: false,
        superseded,
        reason: "no".into(),
    })
}

/// Refuses each request that holds one of these, as a database without partial writes does.
fn refuses(bad: &'static [Place], superseded: bool) -> Box<world::Reply> {
    Box::new(move |_, places| {
        let refused = places.iter().any(|place| bad.contains(place));
        (Duration::from_millis(5), if refused { Err(rejected(superseded)) } else { Ok(()) })
    })
}

#[test]
fn a_batch_that_is_never_full_is_written_after_its_linger_and_committed() {
    let report = Scenario::of(good(3)).run();
    assert_eq!(report.outcome, Outcome::Stopped);
    assert_eq!(report.ledger.committed[&0], 3);
    assert_eq!(report.ledger.write_attempts, 1);
}

#[test]
fn a_stop_delivers_and_commits_what_is_open() {
    let mut scenario = Scenario::of(good(3));
    // Before the linger of the open batch is over.
    scenario.stop_at = Duration::from_millis(50);
    let report = scenario.run();
    assert_eq!(report.ledger.stored.len(), 3);
    assert_eq!(report.ledger.committed[&0], 3);
    assert!(report.took < Duration::from_millis(400));
}

/// Two members, and one that was asked to stop while they agreed on who has what: half a second of
/// records was written twice.
#[test]
fn a_stop_during_a_rebalance_commits_as_soon_as_the_group_takes_commits_again() {
    let mut scenario = Scenario::of(good(3));
    scenario.stop_at = Duration::from_millis(50);
    scenario.rebalanced = Duration::ZERO..seconds(2);
    // Waits to be polled, like the group's answer; and is of no use to who stops.
    scenario.events.push((seconds(1), Event::Record(FakeRecord::good(1, 0))));
    scenario.events.push((seconds(1), Event::Assigned(vec![partition(2)])));
    let report = scenario.run();
    assert_eq!(report.outcome, Outcome::Stopped);
    assert_eq!(report.ledger.committed, [(0, 3)].into());
    assert_eq!(report.ledger.stored.len(), 3, "nothing new is read");
    assert!(report.took < Duration::from_millis(2300), "{:?}", report.took);
}

#[test]
fn a_stop_during_a_rebalance_commits_nothing_of_what_is_lost_in_it() {
    let mut scenario = Scenario::of(good(3));
    scenario.stop_at = Duration::from_millis(50);
    scenario.rebalanced = Duration::ZERO..seconds(1);
    let lost = Event::Revoked { partitions: vec![partition(0)], lost: true };
    scenario.events.push((Duration::from_millis(500), lost));
    let report = scenario.run();
    assert_eq!(report.ledger.committed, [].into());
    assert!(report.took < seconds(1), "{:?}", report.took);
}

#[test]
fn a_group_that_takes_no_commits_at_all_holds_up_a_stop_for_seconds_only() {
    let mut scenario = Scenario::of(good(3));
    scenario.stop_at = Duration::from_millis(50);
    scenario.rebalanced = Duration::ZERO..seconds(3600);
    let report = scenario.run();
    assert_eq!(report.outcome, Outcome::Stopped);
    assert!(report.took < seconds(4), "{:?}", report.took);
}

#[test]
fn through_an_hour_of_outage_polls_go_on_and_nothing_is_lost_or_dead_lettered() {
    let mut scenario = Scenario::of(good(500));
    scenario.stop_at = seconds(2 * 3600);
    scenario.reply = Box::new(|now, _| {
        let result = if now < seconds(3600) { Err(unavailable()) } else { Ok(()) };
        (Duration::from_millis(10), result)
    });
    let report = scenario.run();
    assert!(report.longest_gap <= seconds(2), "a gap of {:?} between polls", report.longest_gap);
    assert_eq!(report.pauses, 1);
    assert_eq!(report.ledger.stored.len(), 500);
    assert_eq!(report.ledger.committed[&0], 500);
    assert!(report.ledger.dead.is_empty());
    // Four batches, each tried every 30 s at the longest.
    assert!(report.ledger.write_attempts < 4 * 3600 / 10, "{}", report.ledger.write_attempts);
}

#[test]
fn a_database_that_asks_to_be_left_alone_is_left_alone_for_that_long() {
    let mut scenario = Scenario::of(good(1));
    scenario.stop_at = seconds(200);
    scenario.reply = Box::new(|now, _| {
        let error = SinkError::Unavailable {
            reason: "429".into(),
            retry_after: Some(seconds(60)),
            perhaps_stored: false,
        };
        (Duration::ZERO, if now < seconds(30) { Err(error) } else { Ok(()) })
    });
    let report = scenario.run();
    assert_eq!(report.ledger.write_attempts, 2);
    assert_eq!(report.ledger.committed[&0], 1);
}

#[test]
fn without_a_dead_letter_topic_a_bad_record_stops_the_connector_and_all_before_it_is_committed() {
    let mut records = good(25);
    records[17] = FakeRecord::with(0, 17, "{not json");
    let mut scenario = Scenario::of(records);
    scenario.dead_letters = false;
    let report = scenario.run();
    let Outcome::Failed(Failure::Record { partition: at, offset, reject }) = report.outcome else {
        panic!("{:?}", report.outcome)
    };
    assert_eq!((at, offset), (partition(0), Offset(17)));
    assert!(!reject.reason.is_empty());
    assert_eq!(report.ledger.committed[&0], 17);
}

#[test]
fn without_a_dead_letter_topic_a_point_refused_by_the_database_stops_the_connector() {
    let mut scenario = Scenario::of(good(30));
    scenario.dead_letters = false;
    scenario.reply = refuses(&[(0, 14)], false);
    let report = scenario.run();
    let Outcome::Failed(Failure::Record { offset, .. }) = report.outcome else {
        panic!("{:?}", report.outcome)
    };
    assert_eq!(offset, Offset(14));
    // The batch of ten that holds it is never done.
    assert_eq!(report.ledger.committed[&0], 10);
}

#[test]
fn a_connector_that_has_failed_does_not_wait_for_what_it_can_not_commit() {
    let mut scenario = Scenario::of(good(60));
    scenario.dead_letters = false;
    scenario.ordered = true;
    scenario.reply = refuses(&[(0, 34)], false);
    let report = scenario.run();
    assert!(matches!(report.outcome, Outcome::Failed(_)), "{:?}", report.outcome);
    assert_eq!(report.ledger.committed[&0], 30);
    assert!(report.took < seconds(5), "{:?}", report.took);
}

#[test]
fn just_the_refused_point_is_dead_lettered_and_its_neighbours_are_written() {
    let mut scenario = Scenario::of(good(30));
    scenario.reply = refuses(&[(0, 14), (0, 15)], false);
    let report = scenario.run();
    assert_eq!(report.ledger.dead, [(0, 14), (0, 15)].into());
    assert_eq!(report.ledger.stored.len(), 28);
    assert_eq!(report.ledger.committed[&0], 30);
    assert_eq!(report.metrics.records_rejected.get(), 2);
    assert_eq!(report.metrics.dead_letters.get(), 2);
}

/// For a database that names the refused items, with or without having written the others.
#[test]
fn items_that_the_database_names_are_refused_without_a_search() {
    for rest_written in [true, false] {
        let mut scenario = Scenario::of(good(10));
        scenario.reply = Box::new(move |_, places| {
            let Some(item) = places.iter().position(|place| *place == (0, 3)) else {
                return (Duration::from_millis(5), Ok(()));
            };
            let scope = Scope::Items(vec![(item, "no".into())]);
            let rejected = Rejected { scope, rest_written, superseded: false, reason: "no".into() };
            (Duration::from_millis(5), Err(SinkError::Rejected(rejected)))
        });
        // The fake stores only what it acknowledges whole.
        scenario.stored_before =
            if rest_written { (0..10).map(|o| (0, o)).collect() } else { vec![] };
        let report = scenario.run();
        assert_eq!(report.ledger.dead, [(0, 3)].into());
        assert_eq!(report.ledger.committed[&0], 10);
        assert_eq!(report.metrics.points_written.get(), 9);
        // The batch, and the rest, which is durable by its own acknowledgement only.
        assert_eq!(report.ledger.write_attempts, 2);
    }
}

#[test]
fn an_outage_in_the_midst_of_isolation_dead_letters_no_good_record() {
    let mut scenario = Scenario::of(good(10));
    scenario.stop_at = seconds(600);
    let mut attempts = 0;
    scenario.reply = Box::new(move |_, places| {
        attempts += 1;
        let result = if attempts % 2 == 0 {
            Err(unavailable())
        } else if places.contains(&(0, 3)) {
            Err(rejected(false))
        } else {
            Ok(())
        };
        (Duration::from_millis(5), result)
    });
    let report = scenario.run();
    assert_eq!(report.ledger.dead, [(0, 3)].into());
    assert_eq!(report.ledger.stored.len(), 9);
    assert_eq!(report.ledger.committed[&0], 10);
}

#[test]
fn a_dead_letter_that_is_not_confirmed_is_repeated_and_holds_the_commit() {
    let mut records = good(5);
    records[2] = FakeRecord::with(0, 2, "[]");
    let mut scenario = Scenario::of(records);
    scenario.letter_failures = 3;
    scenario.stop_at = seconds(60);
    let report = scenario.run();
    // That nothing was committed before the confirmation is checked at every commit.
    assert_eq!(report.ledger.letter_attempts, 4);
    assert_eq!(report.ledger.committed[&0], 5);
}

#[test]
fn a_dead_letter_topic_that_takes_nothing_is_an_outage_through_which_polls_go_on() {
    let mut records = good(500);
    records[2] = FakeRecord::with(0, 2, "[]");
    let mut scenario = Scenario::of(records);
    // Each takes 1.3 s: about ten minutes.
    scenario.letter_failures = 460;
    scenario.stop_at = seconds(20 * 60);
    let report = scenario.run();
    assert!(report.longest_gap <= seconds(2), "a gap of {:?} between polls", report.longest_gap);
    assert_eq!(report.pauses, 1);
    assert_eq!(report.metrics.dead_letter_failures.get(), 460);
    assert_eq!((report.ledger.dead, report.ledger.stored.len()), ([(0, 2)].into(), 499));
    assert_eq!(report.ledger.committed[&0], 500);
    // What waits is bounded: while the letter's batch is not done, few others are begun.
    assert!(report.ledger.last_stored > seconds(500), "{:?}", report.ledger.last_stored);
}

#[test]
fn records_that_yield_nothing_move_the_watermark() {
    let nothing = |offset| FakeRecord {
        value: (offset % 2 == 0).then(Vec::new),
        ..FakeRecord::good(0, offset)
    };
    let report = Scenario::of((0..40).map(nothing).collect()).run();
    assert_eq!(report.ledger.committed[&0], 40);
    assert_eq!(report.ledger.write_attempts, 0);
    assert_eq!(report.metrics.records_excluded.get(), 40);
}

#[test]
fn a_revoked_partition_is_drained_and_committed_before_it_is_let_go() {
    let mut scenario = Scenario::of(good(7));
    let revoked = Event::Revoked { partitions: vec![partition(0)], lost: false };
    scenario.events.push((Duration::ZERO, revoked));
    scenario.reply = Box::new(|_, _| (seconds(5), Ok(())));
    // A commit after the partition was let go fails in the fake.
    assert_eq!(scenario.run().ledger.committed[&0], 7);
}

#[test]
fn a_held_worker_commits_what_it_has_reads_nothing_and_stays_in_its_group_until_it_goes_on() {
    let mut scenario = Scenario::of(good(25));
    let later = (25..40).map(|offset| FakeRecord::good(0, offset));
    scenario.events.extend(later.map(|record| (seconds(10), Event::Record(record))));
    scenario.held = seconds(5)..seconds(600);
    scenario.stop_at = seconds(300);
    let report = scenario.run();
    assert_eq!(report.ledger.committed.get(&0), Some(&25));
    assert_eq!((report.left, report.pauses), (15, 1));
    assert!(report.longest_gap < seconds(1), "{:?} without a poll", report.longest_gap);

    let mut scenario = Scenario::of(good(25));
    scenario.held = seconds(0)..seconds(60);
    scenario.stop_at = seconds(120);
    let report = scenario.run();
    assert_eq!(report.ledger.committed.get(&0), Some(&25));
}

/// Found by `make chaos`: a partition that was let go during an outage was never read again by this worker.
#[test]
fn a_partition_that_was_let_go_while_paused_is_read_when_it_comes_back() {
    let on_1 = (0..5).map(|offset| FakeRecord::good(1, offset));
    let mut scenario = Scenario::of(good(30));
    let revoked = Event::Revoked { partitions: vec![partition(1)], lost: false };
    scenario.events.push((seconds(20), revoked));
    scenario.events.push((seconds(60), Event::Assigned(vec![partition(1)])));
    scenario.events.extend(on_1.map(|record| (seconds(61), Event::Record(record))));
    scenario.batch_points = 10;
    scenario.in_flight = 1;
    scenario.reply =
        Box::new(|at, _| (seconds(0), if at < seconds(30) { Err(unavailable()) } else { Ok(()) }));
    scenario.stop_at = seconds(120);
    let report = scenario.run();
    assert!(report.pauses > 0, "the outage was too short to matter");
    assert_eq!(report.ledger.committed.get(&1), Some(&5));
}

#[test]
fn what_is_acknowledged_after_a_partition_was_lost_is_not_committed() {
    let mut scenario = Scenario::of(good(10));
    let lost = Event::Revoked { partitions: vec![partition(0)], lost: true };
    scenario.events.push((seconds(1), lost));
    scenario.reply = Box::new(|_, _| (seconds(3), Ok(())));
    let report = scenario.run();
    assert_eq!(report.ledger.stored.len(), 10);
    assert!(report.ledger.committed.is_empty());
}

#[test]
fn the_drain_of_a_revoked_partition_ends_at_its_deadline() {
    let mut scenario = Scenario::of(good(10));
    let revoked = Event::Revoked { partitions: vec![partition(0)], lost: false };
    scenario.events.push((seconds(2), revoked));
    scenario.reply = Box::new(|_, _| (seconds(3600), Ok(())));
    scenario.stop_at = seconds(30);
    let report = scenario.run();
    assert!(report.longest_gap < seconds(25), "{:?}", report.longest_gap);
    assert!(report.ledger.committed.is_empty());
}

#[test]
fn a_repeat_of_stored_points_is_counted_as_written_and_not_dead_lettered() {
    let mut scenario = Scenario::of(good(10));
    scenario.ordered = true;
    scenario.stored_before = (0..10).map(|offset| (0, offset)).collect();
    scenario.reply = Box::new(|_, _| (Duration::from_millis(5), Err(rejected(true))));
    let report = scenario.run();
    assert!(report.ledger.dead.is_empty());
    assert_eq!(report.metrics.points_already_written.get(), 10);
    assert_eq!(report.ledger.committed[&0], 10);
}

#[test]
fn out_of_order_points_are_dead_lettered_once_a_repeat_is_out_of_the_question() {
    let mut scenario = Scenario::of(good(40));
    scenario.ordered = true;
    scenario.reply = refuses(&[(0, 33)], true);
    let report = scenario.run();
    assert_eq!(report.ledger.dead, [(0, 33)].into());
    assert_eq!(report.ledger.committed[&0], 40);
}

#[test]
fn an_ordered_sink_has_one_batch_in_flight_and_gets_them_in_order() {
    let mut scenario = Scenario::of(good(100));
    scenario.ordered = true;
    let mut next = 0;
    scenario.reply = Box::new(move |_, places| {
        assert_eq!(places[0].1, next, "batches out of order, or two at once");
        next = places.last().unwrap().1 + 1;
        (seconds(1), Ok(()))
    });
    scenario.stop_at = seconds(60);
    assert_eq!(scenario.run().ledger.committed[&0], 100);
}

/// What happens to a random schedule's requests: in turn, over and over while faults last.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Take(u64),
    Fail(u64),
    TooLarge,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        (0..3000u64).prop_map(Turn::Take),
        (0..3000u64).prop_map(Turn::Fail),
        Just(Turn::TooLarge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Safety is asserted by the fake at every commit; liveness here: when faults end, all is
    /// stored or dead-lettered, and committed to the end.
    #[test]
    fn whatever_the_schedule_nothing_is_lost_and_all_is_committed_when_faults_end(
        turns in prop::collection::vec(turn(), 1..12),
        bad in prop::collection::btree_set(0..120i64, 0..5),
        garbage in prop::collection::btree_set(0..120i64, 0..5),
        gaps in prop::collection::vec(0..400u64, 120),
        in_flight in 1..6usize,
        ordered: bool,
        letter_failures in 0..3usize,
    ) {
        let mut due = Duration::ZERO;
        let mut scenario = Scenario::of(Vec::new());
        for (offset, gap) in (0i64..).zip(gaps) {
            due += Duration::from_millis(gap);
            let number = i32::try_from(offset % 2).unwrap();
            let record = if garbage.contains(&offset) {
                FakeRecord::with(number, offset / 2, "garbage")
            } else {
                FakeRecord::good(number, offset / 2)
            };
            scenario.events.push((due, Event::Record(record)));
        }
        let refused: Vec<Place> = bad.iter().map(|o| (i32::try_from(o % 2).unwrap(), o / 2)).collect();
        let mut count = 0;
        scenario.reply = Box::new(move |now, places| {
            count += 1;
            let turn = if now > seconds(60) { Turn::Take(10) } else { turns[count % turns.len()] };
            let (delay, result) = match turn {
                Turn::Fail(delay) => (delay, Err(unavailable())),
                Turn::TooLarge if places.len() > 1 => {
                    (1, Err(SinkError::TooLarge { reason: "413".into() }))
                }
                _ if places.iter().any(|place| refused.contains(place)) => (1, Err(rejected(false))),
                Turn::Take(delay) => (delay, Ok(())),
                Turn::TooLarge => (1, Ok(())),
            };
            (Duration::from_millis(delay), result)
        });
        (scenario.ordered, scenario.in_flight) = (ordered, in_flight);
        scenario.letter_failures = letter_failures;
        scenario.stop_at = seconds(150);
        let report = scenario.run();
        prop_assert_eq!(&report.outcome, &Outcome::Stopped);
        prop_assert_eq!(report.left, 0);
        for offset in 0..120i64 {
            let place = (i32::try_from(offset % 2).unwrap(), offset / 2);
            let dead = bad.contains(&offset) || garbage.contains(&offset);
            prop_assert_eq!(report.ledger.dead.contains(&place), dead, "{:?}", place);
            prop_assert_eq!(report.ledger.stored.contains_key(&place), !dead, "{:?}", place);
        }
        prop_assert_eq!(report.ledger.committed.get(&0), Some(&60));
        prop_assert_eq!(report.ledger.committed.get(&1), Some(&60));
        prop_assert!(report.longest_gap <= seconds(3), "{:?}", report.longest_gap);
        prop_assert!(report.took < seconds(180));
    }
}

#[test]
fn when_one_batch_gets_through_the_others_do_not_sleep_out_their_pauses() {
    let mut scenario = Scenario::of(good(40));
    scenario.stop_at = seconds(3700);
    // A batch that is tried first after the end of the outage is alone with it.
    scenario.reply = Box::new(|now, _| {
        let result = if now < seconds(3600) { Err(unavailable()) } else { Ok(()) };
        (Duration::from_millis(10), result)
    });
    let report = scenario.run();
    assert_eq!(report.ledger.stored.len(), 40);
    let spread = report.ledger.last_stored.saturating_sub(report.ledger.first_stored);
    assert!(spread < seconds(1), "{spread:?}");
}
