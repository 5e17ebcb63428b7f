//! Metrics that are made of more than one measurement and field: `a.b` and `a_b` become one where
//! names are made legal, and so do the field `c` of `a_b` and the field `b_c` of `a`.
//!
//! Fields of one point are held apart by the encoder, and what the configuration spells by `validate`.
//! This sees what templates make of records: noticed, not prevented, because nobody can say which of
//! the two was meant.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::{Mutex, PoisonError};

use super::Noticed;
use super::order::HashedAlready;
use crate::hash::hash;

/// Metrics beyond these are not looked at.
const MAX_METRICS: usize = 4096;
/// Of a connector; all are counted.
const MAX_TOLD: usize = 10;

/// What the metrics of a connector are made of, for all its workers.
#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_metric: HashMap<u64, Source, BuildHasherDefault<HashedAlready>>,
    told: usize,
}

#[derive(Debug)]
struct Source {
    measurement: String,
    field: String,
    is_shared: bool,
}

/// A metric of two sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMetric {
    /// Its name in the database.
    pub metric: String,
    /// `field of measurement`, both as they were before.
    pub one: String,
    pub other: String,
}

/// What an encoder has seen already: the metrics with their sources, as one hash each.
#[derive(Debug, Default)]
pub(super) struct Seen(HashSet<u64, BuildHasherDefault<HashedAlready>>);

/// A metric and what it is made of. `as_is` says that no character of either name was replaced: then
/// the length of one tells the two apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) metric: u64,
    pub(super) measurement: &'a str,
    pub(super) field: &'a str,
    pub(super) as_is: bool,
}

impl Seen {
    /// Whether the metric and its source are seen for the first time.
    pub(super) fn is_new(&mut self, made: Made<'_>) -> bool {
        let source = if made.as_is {
            made.measurement.len() as u64
        } else {
            hash(made.metric, &[made.measurement.as_bytes(), made.field.as_bytes()])
        };
        let key = made.metric ^ source.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0.len() < MAX_METRICS && self.0.insert(key)
    }
}

impl Sources {
    /// Takes note of a metric's source. If it has another, and that is new, says so.
    pub(super) fn see(&self, made: Made<'_>, metric: &[u8], noticed: &mut Noticed) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { by_metric, told } = &mut *known;
        let Some(source) = by_metric.get_mut(&made.metric) else {
            if by_metric.len() < MAX_METRICS {
                let (measurement, field) = (made.measurement.to_owned(), made.field.to_owned());
                by_metric.insert(made.metric, Source { measurement, field, is_shared: false });
            }
            return;
        };
        let is_same = source.measurement == made.measurement && source.field == made.field;
        if is_same || std::mem::replace(&mut source.is_shared, true) {
            return;
        }
        noticed.shared_metrics += 1;
        *told += 1;
        if *told > MAX_TOLD {
            return;
        }
        let shown = |measurement: &str, field: &str| format!("{field:?} of {measurement:?}");
        noticed.shared.push(SharedMetric {
            metric: String::from_utf8_lossy(metric).into_owned(),
            one: shown(&source.measurement, &source.field),
            other: shown(made.measurement, made.field),
        });
    }
}
