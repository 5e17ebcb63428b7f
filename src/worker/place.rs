//! Places: where to go on in a partition that has none to read on from.
//!
//! librdkafka would apply `auto.offset.reset` to both, a group's first start and a place that is
//! gone, without telling anybody. So it is told to stand still instead, and the worker decides.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::partitions::Doubt;
use super::{Failure, Worker};
use crate::config::raw::OffsetOutOfRange;
use crate::kafka::{Consumer, DeadLetterTopic, Extent, Place};
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::sink::Write;

/// Each partition without a place is reported by itself, and the reports come together.
const REPORTS_COME_WITHIN: Duration = Duration::from_millis(50);
/// The pause before partitions are looked up again that could not be.
const LOOK_UP_RETRY: Duration = Duration::from_secs(1);
/// What is looked up before the loop takes a turn.
const LOOKED_UP_A_TURN: usize = 64;

/// When partitions are looked up next.
#[derive(Debug, Default)]
pub(super) struct LookUp {
    due: Option<Instant>,
    /// The last one has failed, and the log has it.
    failing: bool,
}

/// A place that a partition had, and that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostPlace {
    pub partition: TopicPartition,
    /// The offset that was to be read next.
    pub had: Offset,
    /// What the brokers hold instead.
    pub first: Offset,
    pub end: Offset,
}

/// What a look at a partition has shown.
enum Found {
    /// It can be read on from where it stands.
    Fine,
    /// Its fetching has to be begun again, at the same place.
    Still(Offset),
    /// The group has never had a place in it.
    New,
    Gone(LostPlace),
}

impl<C: Consumer, D: DeadLetterTopic, W: Write> Worker<'_, C, D, W> {
    pub(super) fn no_place(&mut self) {
        self.partitions.doubt_all();
        self.look_up.due.get_or_insert_with(|| Instant::now() + REPORTS_COME_WITHIN);
    }

    pub(super) fn take_idle(&mut self, idle: &[TopicPartition]) {
        self.partitions.take_idle(idle);
        if !self.partitions.in_doubt().is_empty() {
            self.look_up.due.get_or_insert_with(Instant::now);
        }
    }

    /// Looks at the partitions that may have no place, and finds one for those that have none. What
    /// can't be looked up now is looked up again, without end.
    pub(super) fn place_if_due(&mut self) {
        if self.look_up.due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        let mut in_doubt = self.partitions.in_doubt();
        in_doubt.truncate(LOOKED_UP_A_TURN);
        let result =
            if in_doubt.is_empty() { Ok(Vec::new()) } else { self.consumer.look_up(&in_doubt) };
        let extents = result.unwrap_or_else(|failure| {
            if self.look_up.failing {
                debug!(reason = failure.reason, "the look-up has failed again");
            } else {
                let connector = &self.settings.connector;
                warn!(
                    connector,
                    reason = failure.reason,
                    "Kafka: can't find out where to read on; repeating"
                );
            }
            Vec::new()
        });
        self.look_up.failing = extents.is_empty() && !in_doubt.is_empty();
        self.place(&extents);
        let left = !self.partitions.in_doubt().is_empty();
        let pause = if extents.is_empty() { LOOK_UP_RETRY } else { Duration::ZERO };
        self.look_up.due = left.then(|| Instant::now() + pause);
    }

    fn place(&mut self, extents: &[Extent]) {
        let mut moved = Vec::new();
        for extent in extents {
            let (position, doubt) = self.partitions.settle(&extent.partition);
            let to = match find(position, doubt, extent) {
                Found::Fine => continue,
                Found::Still(place) => Some(place),
                Found::New => self.begin(extent),
                Found::Gone(lost) => self.go_on_without(lost, extent.committed),
            };
            let Some(to) = to else { return };
            moved.push((extent.partition.clone(), Some(to)));
        }
        if !moved.is_empty() {
            self.go_to(&moved);
        }
    }

    fn go_to(&mut self, moved: &[Place]) {
        let names: Vec<_> = moved.iter().map(|(partition, _)| partition.clone()).collect();
        self.held.let_go(&names);
        let is_moved = |place: &Place| moved.iter().any(|(partition, _)| *partition == place.0);
        let mut others = self.partitions.places();
        others.retain(|place| !is_moved(place));
        self.report(self.consumer.go_to(moved, &others), "reading on elsewhere");
        if self.paused {
            self.report(self.consumer.pause(&self.partitions.names()), "pausing moved partitions");
        }
    }

    /// The group's first start in a partition. `None` when there is to be none.
    fn begin(&mut self, extent: &Extent) -> Option<Offset> {
        let Some(at) = place_by(self.settings.offsets.start, extent.first, extent.end) else {
            self.failure = Some(Failure::NoStart { partition: extent.partition.clone() });
            return None;
        };
        self.begin_afresh(&extent.partition, at);
        self.intake.count();
        Some(at)
    }

    /// The alarm, and where to go on. `None` when that is nowhere.
    fn go_on_without(&mut self, lost: LostPlace, committed: Option<NextOffset>) -> Option<Offset> {
        self.metrics.offsets_out_of_range.inc();
        // Retention deletes the oldest: what is in flight is older than what is left, and may be
        // committed. Else the offsets count something else now.
        let is_another = lost.had >= lost.first;
        if is_another {
            self.partitions.begin_anew(&lost.partition, lost.had);
            self.watermark.forget(&lost.partition);
            self.consumer.forget(&lost.partition);
        }
        let to = place_by(self.settings.offsets.out_of_range, lost.first, lost.end);
        let Some(to) = to else {
            self.failure = Some(Failure::OutOfRange(lost));
            return None;
        };
        let deleted = (lost.first.0 - lost.had.0).max(0);
        let skipped = to.0 - lost.first.0;
        self.metrics.records_lost.inc_by(u64::try_from(deleted + skipped).unwrap_or(0));
        error!(
            connector = self.settings.connector,
            partition = %lost.partition,
            had = lost.had.0,
            first = lost.first.0,
            end = lost.end.0,
            deleted,
            skipped,
            going_on_at = to.0,
            "{}",
            lost.why()
        );
        if is_another {
            self.begin_afresh(&lost.partition, to);
        } else {
            self.go_on_behind_a_gap(&lost.partition, committed, to);
        }
        // The new place is committed like a record's that yields nothing: after all before it, and
        // soon, so that a restart finds it.
        self.intake.count();
        Some(to)
    }
}

fn find(position: Option<Offset>, doubt: Doubt, extent: &Extent) -> Found {
    let committed = extent.committed.map(|next| next.committed().0);
    let Some(had) = position.or(committed) else {
        return Found::New;
    };
    let is_held = (extent.first..=extent.end).contains(&had);
    match doubt {
        Doubt::None => Found::Fine,
        Doubt::Perhaps if is_held => Found::Fine,
        // Never begun: the committed offset could not be fetched. Or nothing was read there yet, as of
        // a place just given: the oldest record there is is the next one in either history.
        Doubt::Certain if is_held && (position.is_none() || had == extent.first) => {
            Found::Still(had)
        }
        // Refused by a broker that says now that it holds it: it has become another's offset since.
        Doubt::Perhaps | Doubt::Certain => {
            let (first, end) = (extent.first, extent.end);
            Found::Gone(LostPlace { partition: extent.partition.clone(), had, first, end })
        }
    }
}

fn place_by(policy: OffsetOutOfRange, first: Offset, end: Offset) -> Option<Offset> {
    match policy {
        OffsetOutOfRange::Earliest => Some(first),
        OffsetOutOfRange::Latest => Some(end),
        OffsetOutOfRange::Stop => None,
    }
}

impl LostPlace {
    fn why(&self) -> &'static str {
        if self.had < self.first {
            "Kafka has deleted records before they were read: retention is shorter than the lag was"
        } else {
            "the place to read on from is gone: the topic was made again, or an unclean leader \
             election has cut it"
        }
    }
}

impl std::fmt::Display for LostPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { partition, had, first, end } = self;
        write!(
            f,
            "{}: {partition} was to be read from offset {had}, and holds {first} to {end} now",
            self.why()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition that holds 10 to 19, and that its group has read up to `committed`.
    fn extent(committed: Option<i64>) -> Extent {
        Extent {
            partition: TopicPartition { topic: "t".into(), partition: 0 },
            committed: committed.map(|next| NextOffset::at(Offset(next))),
            first: Offset(10),
            end: Offset(20),
        }
    }

    fn is_gone(position: Option<i64>, doubt: Doubt, committed: Option<i64>) -> bool {
        matches!(find(position.map(Offset), doubt, &extent(committed)), Found::Gone(_))
    }

    #[test]
    fn a_place_is_gone_when_the_brokers_do_not_hold_it() {
        for doubt in [Doubt::Perhaps, Doubt::Certain] {
            assert!(is_gone(Some(9), doubt, None) && is_gone(Some(21), doubt, None));
            assert!(is_gone(None, doubt, Some(9)) && is_gone(None, doubt, Some(21)));
        }
        for held in [10, 15, 20] {
            assert!(!is_gone(Some(held), Doubt::Perhaps, None));
            assert!(!is_gone(None, Doubt::Perhaps, Some(held)));
        }
    }

    #[test]
    fn where_this_member_stands_counts_before_what_the_group_has_committed() {
        assert!(!is_gone(Some(15), Doubt::Perhaps, Some(5)));
        assert!(is_gone(Some(5), Doubt::Perhaps, Some(15)));
    }

    /// The topic was made again, and has grown past the place meanwhile.
    #[test]
    fn a_place_that_a_broker_has_refused_is_gone_even_if_there_is_such_an_offset_now() {
        assert!(is_gone(Some(15), Doubt::Certain, None));
    }

    #[test]
    fn a_partition_whose_fetching_has_never_begun_begins_at_the_committed_offset() {
        let found = find(None, Doubt::Certain, &extent(Some(15)));
        assert!(matches!(found, Found::Still(Offset(15))));
    }

    /// Fetching may stop a second time, right after a topic that was made again was begun anew.
    #[test]
    fn a_place_at_the_oldest_record_is_no_alarm_when_fetching_stops_there() {
        let found = find(Some(Offset(10)), Doubt::Certain, &extent(None));
        assert!(matches!(found, Found::Still(Offset(10))));
    }

    #[test]
    fn only_a_group_without_a_place_starts() {
        assert!(matches!(find(None, Doubt::Perhaps, &extent(None)), Found::New));
        assert!(matches!(find(None, Doubt::None, &extent(None)), Found::New));
    }

    #[test]
    fn nothing_is_read_from_a_lost_place_unless_the_policy_says_where() {
        let at = |policy| place_by(policy, Offset(10), Offset(20));
        assert_eq!(at(OffsetOutOfRange::Earliest), Some(Offset(10)));
        assert_eq!(at(OffsetOutOfRange::Latest), Some(Offset(20)));
        assert_eq!(at(OffsetOutOfRange::Stop), None);
    }
}
