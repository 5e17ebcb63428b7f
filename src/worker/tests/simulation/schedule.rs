//! What a simulated run is made of: records, limits, and how often each thing goes wrong.
//!
//! All of it follows from one seed. proptest draws the numbers here, so that a failing schedule
//! shrinks to the faults that matter; the moments at which they strike are thrown with [`Dice`].

use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;

use super::windows::Spans;

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A small generator of our own, so that a seed means the same in every version of every crate.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Sebastiano Vigna's splitmix64.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// Below `end`, which must not be 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub(super) fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && self.below(100) < u64::from(percent)
    }

    /// From 0 to `most`.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        millis(self.below(u64::try_from(most.as_millis()).unwrap() + 1))
    }
}

/// How the database answers to points that it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// Nothing of a request is written if a point of it is bad (InfluxDB 2, VictoriaMetrics).
    Whole,
    /// All others are written, and nobody says which were not (InfluxDB 1).
    Partly,
    /// The bad ones are named, and the rest is written (InfluxDB 3) or not.
    Named { rest_written: bool },
    /// In the order of time; one sample out of order rolls the request back (Prometheus).
    Ordered,
    /// In the order of time; all others are written, and the first error is told (Mimir).
    OrderedPartly,
}

impl Answers {
    pub(super) fn ordered(self) -> bool {
        matches!(self, Self::Ordered | Self::OrderedPartly)
    }
}

/// One run, drawn by proptest.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// Of everything that is thrown while it runs.
    pub seed: u64,
    pub answers: Answers,
    pub limits: Limits,
    pub records: Records,
    pub faults: Faults,
}

#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Processes that run at the same time, in one group.
    pub processes: usize,
    pub in_flight: usize,
    pub batch_points: usize,
    pub batch_bytes: usize,
    pub linger_millis: u64,
    /// The largest body that the database takes.
    pub body: usize,
    /// Places that records say they go to; without any, all go to one that none says.
    pub destinations: usize,
    /// Of these in a batch.
    pub max_open: usize,
    /// With these the worker makes windows. Then nothing is large.
    pub windows: Option<Spans>,
}

/// The topic. Shares are in percent.
#[derive(Debug, Clone)]
pub(super) struct Records {
    pub partitions: usize,
    /// Of each partition.
    pub count: usize,
    /// The time over which they are produced.
    pub over_millis: u64,
    pub garbage: u8,
    pub empty: u8,
    pub refused: u8,
    pub large: u8,
    /// Older than their series' newest.
    pub late: u8,
    /// At the same time as the series' newest, with another value.
    pub twin: u8,
    /// Of a clock that is ahead, so that the partition's newest time was seen before; not into an ordered
    /// database, which would refuse its series' next records.
    pub ahead: u8,
    /// Gaps in the offsets, as compaction and transactions leave them.
    pub gaps: u8,
}

/// What goes wrong: percent of the attempts, or how many times.
#[derive(Debug, Clone)]
pub(super) struct Faults {
    pub until_millis: u64,
    pub outages: u8,
    pub write_fails: u8,
    pub answer_lost: u8,
    pub slow: u8,
    pub letter_fails: u8,
    pub letter_outages: u8,
    pub commit_fails: u8,
    /// Partitions are revoked, and given to another process or back.
    pub moves: u8,
    /// A member loses all that it owns without being asked.
    pub evictions: u8,
    /// A process is stopped for a while, and goes on.
    pub stalls: u8,
    /// Percent of the lives that end without warning.
    pub crashes: u8,
    /// Percent of the lives that end as asked.
    pub stops: u8,
}

/// Mostly none, so that each fault is also seen alone.
fn rarely(most: u8) -> impl Strategy<Value = u8> {
    prop_oneof![1 => Just(0), 1 => 0..=most]
}

fn limits() -> impl Strategy<Value = Limits> {
    let linger = prop_oneof![Just(0u64), 0..1000u64];
    let batch = (1..12usize, 300..3000usize, linger, 150..1500usize);
    let destinations = (prop_oneof![Just(0), 1..5usize], 1..5usize);
    // Short ones, so that records often come late.
    let every = prop_oneof![1..300i64, 1..8000i64];
    let lateness = prop_oneof![Just(0), 0..4000i64];
    let windows = prop::option::of((every, 1..4i64, lateness));
    (1..=2usize, 1..6usize, batch, destinations, windows).prop_map(
        |(processes, in_flight, batch, (destinations, max_open), windows)| {
            let windows = windows.map(|(every, overlap, lateness)| Spans {
                size: every * overlap,
                every,
                lateness,
            });
            let (batch_points, batch_bytes, linger_millis, body) = batch;
            Limits {
                processes,
                in_flight,
                batch_points,
                batch_bytes,
                linger_millis,
                body,
                destinations,
                max_open,
                windows,
            }
        },
    )
}

fn records() -> impl Strategy<Value = Records> {
    let over = prop_oneof![Just(0u64), 0..20_000u64];
    let shares =
        (rarely(20), rarely(20), rarely(15), rarely(10), rarely(15), rarely(15), rarely(15));
    (1..5usize, 0..40usize, over, shares, rarely(40)).prop_map(
        |(partitions, count, over_millis, shares, gaps)| {
            let (garbage, empty, refused, large, late, twin, ahead) = shares;
            Records {
                partitions,
                count,
                over_millis,
                garbage,
                empty,
                refused,
                large,
                late,
                twin,
                ahead,
                gaps,
            }
        },
    )
}

fn faults() -> impl Strategy<Value = Faults> {
    let until = prop_oneof![10 => 0..20_000u64, 5 => 0..60_000u64, 1 => 0..600_000u64];
    let database = (rarely(2), rarely(40), rarely(30), rarely(30));
    let kafka = (rarely(40), rarely(2), rarely(50), rarely(4), rarely(2));
    (until, database, kafka, (rarely(1), rarely(80), rarely(60))).prop_map(
        |(until_millis, database, kafka, (stalls, crashes, stops))| {
            let (outages, write_fails, answer_lost, slow) = database;
            let (letter_fails, letter_outages, commit_fails, moves, evictions) = kafka;
            Faults {
                until_millis,
                outages,
                write_fails,
                answer_lost,
                slow,
                letter_fails,
                letter_outages,
                commit_fails,
                moves,
                evictions,
                stalls,
                crashes,
                stops,
            }
        },
    )
}

/// Schedules over databases that answer in one of these ways.
pub(super) fn schedules(answers: &'static [Answers]) -> impl Strategy<Value = Schedule> {
    (any::<u64>(), prop::sample::select(answers), limits(), records(), faults()).prop_map(
        |(seed, answers, limits, mut records, faults)| {
            if limits.windows.is_some() {
                records.large = 0;
            }
            Schedule { seed, answers, limits, records, faults }
        },
    )
}
