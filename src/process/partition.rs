//! A partition's processors that remember, with its clock and its hold.

use std::time::Duration;

use super::hold::Holds;
use super::{Moment, Next, Phase, Processor};
use crate::decode::Refusal;
use crate::point::{Point, Timestamp};
use crate::record::{Hold, NextOffset, Offset};

#[derive(Debug)]
pub(super) struct Partition {
    processors: Vec<Processor>,
    clock: Option<Timestamp>,
    holds: Holds,
    rebuild: Option<Rebuild>,
    warming: Option<Warming>,
}

/// What is given may lack records from before the first.
#[derive(Debug, Clone, Copy)]
struct Warming {
    /// Until the clock is beyond this.
    clock: Timestamp,
    /// What is given of a later time lacks none.
    time: Timestamp,
}

/// What was remembered is being rebuilt.
#[derive(Debug, Clone, Copy)]
struct Rebuild {
    /// Records before this offset are not needed for it.
    from: Offset,
    /// What comes of records before this offset is written already.
    until: Offset,
}

impl Partition {
    /// With nothing remembered, unless there is something to rebuild.
    pub(super) fn new(processors: &[Processor], committed: Option<NextOffset>) -> Self {
        let held = committed.and_then(|next| Some((next, next.hold()?)));
        Self {
            processors: processors.to_vec(),
            clock: held.and_then(|(_, hold)| hold.clock),
            holds: Holds::default(),
            warming: None,
            rebuild: held
                .map(|(next, hold)| Rebuild { from: hold.from, until: Offset(next.get()) }),
        }
    }

    pub(super) fn is_rebuilding(&self) -> bool {
        self.rebuild.is_some()
    }

    /// What the record at this offset is for; the rebuilding ends with the first that is more.
    pub(super) fn phase(&mut self, offset: Offset) -> Phase {
        match self.rebuild {
            Some(Rebuild { from, .. }) if offset < from => Phase::Skipped,
            Some(Rebuild { until, .. }) if offset < until => Phase::Rebuilding,
            _ => {
                self.rebuild = None;
                Phase::Normal
            }
        }
    }

    /// Takes a record's points, and hands what comes of them to `each`. With `warm_up`, nothing that is less
    /// than this later than the partition's first record, until the clock is the horizon beyond that. A refusal
    /// of one point doesn't concern the others; the first is the record's.
    pub(super) fn take(
        &mut self,
        (number, offset): (i32, Offset),
        points: &mut Vec<Point<'static>>,
        horizon: Duration,
        warm_up: Option<Duration>,
        each: Next<'_>,
    ) -> Result<(), Refusal> {
        let times = points.iter().map(|point| point.timestamp);
        let (Some(oldest), Some(newest)) = (times.clone().min(), times.max()) else {
            return Ok(());
        };
        let before = self.clock;
        if let (None, Some(reach)) = (before, warm_up) {
            let (clock, time) = (newest.plus(horizon), newest.plus(reach));
            self.warming = Some(Warming { clock, time });
        }
        self.warming = self.warming.filter(|own| before.is_none_or(|clock| clock <= own.clock));
        let warming = self.warming;
        let each: Next<'_> = &mut |point| match warming {
            Some(Warming { time, .. }) if point.timestamp <= time => Ok(()),
            _ => each(point),
        };
        let moment = Moment { clock: before.unwrap_or(oldest), partition: number, offset };
        let mut refused = None;
        for point in points.drain(..) {
            hand(&mut self.processors, &moment, point, &mut refused, each);
        }
        let clock = before.map_or(newest, |before| before.max(newest));
        advance(&mut self.processors, &moment, clock, &mut refused, each);
        self.clock = Some(clock);
        self.holds.take(offset, newest, before);
        // Whoever goes on after a restart must find the first record, to know again until when.
        if warming.is_none() {
            self.holds.let_go(clock.minus(horizon));
        }
        refused.map_or(Ok(()), Err)
    }

    pub(super) fn go_on_at(&mut self, at: Offset) -> NextOffset {
        self.holds.begin_at(at);
        match self.rebuild {
            Some(Rebuild { until, .. }) if at < until => {
                let hold = self.hold().unwrap_or(Hold { from: at, clock: self.clock });
                NextOffset::at(until).held(Some(hold))
            }
            _ => NextOffset::at(at).held(self.hold()),
        }
    }

    pub(super) fn hold(&self) -> Option<Hold> {
        self.holds.hold()
    }

    pub(super) fn take_late(&mut self) -> u64 {
        self.processors.iter_mut().map(Processor::take_late).sum()
    }
}

/// Hands a point down the chain; only the first refusal is kept.
pub(super) fn hand(
    processors: &mut [Processor],
    moment: &Moment,
    point: Point<'_>,
    refused: &mut Option<Refusal>,
    each: Next<'_>,
) {
    let taken = match processors.split_first_mut() {
        None => each(point),
        Some((first, rest)) => {
            let behind = moment.behind(first.delay());
            first.take(moment, point, &mut |point| {
                hand(rest, &behind, point, refused, each);
                Ok(())
            })
        }
    };
    if let Err(refusal) = taken {
        refused.get_or_insert(refusal);
    }
}

/// The clock has moved: what ends by that goes down the chain. `moment` is before that.
fn advance(
    processors: &mut [Processor],
    moment: &Moment,
    clock: Timestamp,
    refused: &mut Option<Refusal>,
    each: Next<'_>,
) {
    let Some((first, rest)) = processors.split_first_mut() else {
        return;
    };
    let behind = moment.behind(first.delay());
    let advanced = first.advance(clock, &mut |point| {
        hand(rest, &behind, point, refused, each);
        Ok(())
    });
    if let Err(refusal) = advanced {
        refused.get_or_insert(refusal);
    }
    advance(rest, &behind, clock.minus(first.delay()), refused, each);
}

impl Moment {
    fn behind(&self, delay: Duration) -> Self {
        Self { clock: self.clock.minus(delay), ..*self }
    }
}
