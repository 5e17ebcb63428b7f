//! Processors: what is done with points between the mapping and the database.
//!
//! Some only look at the point at hand (a filter). Others remember earlier points of its series (a
//! window), and give the same after a crash or a rebalance as without one. For that, all depends on the
//! partition's records in their order and on nothing else: time is event time, and a partition's clock
//! is the newest that its records have shown. What is remembered counts for a limited time behind the
//! clock, the [horizon](Processor::horizon), so that reading again from the [`hold`] on rebuilds it.

mod anomaly;
mod cast;
mod chain;
mod deduplicate;
#[cfg(test)]
mod documentation_tests;
mod drop;
mod enrich;
mod filter;
mod hold;
mod partition;
mod rate;
mod rename;
mod route;
mod sample;
mod series;
mod shape;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod values;
pub mod window;

use std::time::Duration;

pub use anomaly::{Anomaly, Band, Bounds, Hours, Method, Names, Range, Usual};
pub use cast::Cast;
pub use chain::{Chain, Phase};
pub use deduplicate::Deduplicate;
pub use drop::Drop;
pub use enrich::Enrich;
pub use filter::{Filter, Name};
pub use rate::{Growth, Rate};
pub use rename::Rename;
pub use route::Route;
pub use sample::Sample;
pub use shape::{Shape, Watched};
pub use window::Window;

use crate::dead_letter::{ReasonKind, Reject, Stage};
use crate::decode::Refusal;
use crate::point::{Point, Timestamp};
use crate::record::Offset;

/// One processor: its rules and, where it remembers, the memory of one partition. A connector's own is
/// never used: each partition gets a clone, with its memory still empty.
#[derive(Debug, Clone)]
pub enum Processor {
    Filter(Filter),
    Rename(Rename),
    Cast(Cast),
    Drop(Drop),
    Sample(Sample),
    Enrich(Enrich),
    Route(Route),
    Deduplicate(Deduplicate),
    /// `rate` and `delta`.
    Rate(Rate),
    Anomaly(Anomaly),
    Window(Window),
}

/// Where and when a point is processed.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The partition's clock before this record: the newest event time that it has shown, less the time
    /// for which processors before this one keep points back. Of a partition's first record, its oldest
    /// point's time. Not of use to a processor without a horizon.
    pub clock: Timestamp,
    pub partition: i32,
    pub offset: Offset,
}

/// Takes what comes of a point.
pub type Next<'f> = &'f mut dyn FnMut(Point<'_>) -> Result<(), Refusal>;

impl Processor {
    /// How far behind the clock a point may be that what comes out still depends on. Zero for one that
    /// remembers nothing.
    pub fn horizon(&self) -> Duration {
        match self {
            Self::Window(window) => window.horizon(),
            Self::Deduplicate(deduplicate) => deduplicate.horizon(),
            Self::Rate(rate) => rate.horizon(),
            Self::Anomaly(anomaly) => anomaly.horizon(),
            Self::Filter(_)
            | Self::Rename(_)
            | Self::Cast(_)
            | Self::Drop(_)
            | Self::Sample(_)
            | Self::Enrich(_)
            | Self::Route(_) => Duration::ZERO,
        }
    }

    /// Its key in a connector's file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Filter(_) => "filter",
            Self::Rename(_) => "rename",
            Self::Cast(_) => "cast",
            Self::Drop(_) => "drop",
            Self::Sample(_) => "sample",
            Self::Enrich(_) => "enrich",
            Self::Route(_) => "route",
            Self::Deduplicate(_) => "deduplicate",
            Self::Rate(rate) => rate.name(),
            Self::Anomaly(_) => "anomaly",
            Self::Window(_) => "window",
        }
    }

    /// Whether what comes of a point may depend on earlier ones.
    pub fn remembers(&self) -> bool {
        !self.horizon().is_zero()
    }

    /// How long what it gives stays behind the clock.
    fn delay(&self) -> Duration {
        if let Self::Window(window) = self { window.delay() } else { Duration::ZERO }
    }

    /// Whether it has what it needs, such as a table; asked before a record is decoded.
    fn ready(&self) -> Result<(), Refusal> {
        if let Self::Enrich(enrich) = self { enrich.ready() } else { Ok(()) }
    }

    /// Takes one point, and hands what comes of it to `next`.
    ///
    /// # Errors
    /// What it has not taken in.
    fn take(&mut self, moment: &Moment, point: Point<'_>, next: Next<'_>) -> Result<(), Refusal> {
        match self {
            Self::Filter(filter) => filter.take(point, next),
            Self::Rename(rename) => rename.take(point, next),
            Self::Cast(cast) => cast.take(point, next),
            Self::Drop(drop) => drop.take(point, next),
            Self::Sample(sample) => sample.take(moment, point, next),
            Self::Enrich(enrich) => enrich.take(point, next),
            Self::Route(route) => route.take(point, next),
            Self::Deduplicate(deduplicate) => deduplicate.take(moment, point, next),
            Self::Rate(rate) => rate.take(moment, point, next),
            Self::Anomaly(anomaly) => anomaly.take(moment, point, next),
            Self::Window(window) => window.take(moment, point, next),
        }
    }

    /// The clock has come to this time: hands what ends by that to `next`, in the order of time.
    fn advance(&mut self, clock: Timestamp, next: Next<'_>) -> Result<(), Refusal> {
        if let Self::Window(window) = self { window.advance(clock, next) } else { Ok(()) }
    }

    /// Points that came too late since this was asked last.
    fn take_late(&mut self) -> u64 {
        if let Self::Window(window) = self { window.take_late() } else { 0 }
    }
}

/// A processor's refusal of a record.
fn rejected(kind: ReasonKind, reason: impl Into<String>) -> Refusal {
    Reject::new(Stage::Process, kind, reason).into()
}
