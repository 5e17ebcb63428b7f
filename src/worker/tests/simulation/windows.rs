//! Windows: what a run with processors that remember must give, computed from the topic alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::{Kind, Log, Place};
use crate::process::window::{Aggregate, Aggregated, Rules, Window};
use crate::process::{Chain, Processor};

/// Spans of event time, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    pub size: i64,
    pub every: i64,
    pub lateness: i64,
}

/// A series and the time at which its window begins, in milliseconds.
pub(super) type Key = (String, i64);

/// The windows that close.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// The sum of the numbers of the records in each.
    pub sums: BTreeMap<Key, i64>,
    /// By the record that closes them.
    pub closed_by: BTreeMap<Place, Vec<Key>>,
}

impl Spans {
    /// The sum of each window, and the points themselves.
    pub(super) fn chain(self) -> Chain {
        let span = |millis: i64| Duration::from_millis(u64::try_from(millis).unwrap());
        let aggregates = vec![(Aggregate::Sum, "v_sum".into())];
        let fields = vec![Aggregated { field: "v".into(), aggregates }];
        let (size, every, lateness) = (span(self.size), span(self.every), span(self.lateness));
        let mut rules = Rules::new(size, every, lateness, fields).unwrap();
        rules.keep = true;
        Chain::new(&[Processor::Window(Window::new(rules))])
    }
}

impl Windows {
    pub(super) fn expected(spans: Spans, logs: &[Log]) -> Self {
        let mut windows = Self::default();
        for log in logs {
            windows.add(spans, log);
        }
        windows
    }

    /// Nothing in it but the definition: each window is asked for each record.
    fn add(&mut self, Spans { size, every, lateness }: Spans, log: &Log) {
        let mut open: BTreeMap<(i64, String), i64> = BTreeMap::new();
        let mut clock = i64::MIN;
        for entry in &log.entries {
            if matches!(entry.kind, Kind::Garbage | Kind::Empty) {
                continue;
            }
            let last = entry.millis.div_euclid(every) * every;
            let starts = (0..).map(|n| last - n * every).take_while(|at| *at > entry.millis - size);
            for start in starts.filter(|start| start + size + lateness > clock) {
                let number = i64::try_from(entry.place.number()).unwrap();
                *open.entry((start, entry.series.clone())).or_default() += number;
            }
            clock = clock.max(entry.millis);
            let closed: Vec<_> =
                open.keys().filter(|key| key.0 + size + lateness <= clock).cloned().collect();
            for (start, series) in closed {
                let sum = open.remove(&(start, series.clone())).unwrap();
                self.closed_by.entry(entry.place).or_default().push((series.clone(), start));
                self.sums.insert((series, start), sum);
            }
        }
    }
}
