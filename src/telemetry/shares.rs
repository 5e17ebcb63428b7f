//! Each worker's part of what a connector's workers show together; gone when the worker is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;

use crate::record::TopicPartition;

/// One worker's part of a gauge that several workers share; gone from the gauge when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    gauge: Gauge,
    part: i64,
}

impl Share {
    pub(crate) fn of(gauge: &Gauge) -> Self {
        Self { gauge: gauge.clone(), part: 0 }
    }

    pub(crate) fn set(&mut self, part: usize) {
        let part = i64::try_from(part).unwrap_or(i64::MAX);
        self.gauge.inc_by(part - self.part);
        self.part = part;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.dec_by(self.part);
    }
}

/// The lag of each partition that a connector's workers own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lags(Arc<Mutex<BTreeMap<TopicPartition, usize>>>);

impl Lags {
    /// Partitions shown of one connector. More would be series that nobody looks at one by one; the
    /// sum over all is shown besides.
    pub(crate) const MOST: usize = 2000;

    pub(crate) fn get(&self) -> Vec<(TopicPartition, usize)> {
        let lags = self.lock();
        lags.iter().take(Self::MOST).map(|(name, lag)| (name.clone(), *lag)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker's partitions among the lags.
#[derive(Debug)]
pub(crate) struct LagShare {
    lags: Lags,
    own: Vec<TopicPartition>,
}

impl LagShare {
    pub(crate) fn of(lags: &Lags) -> Self {
        Self { lags: lags.clone(), own: Vec::new() }
    }

    /// These are the worker's partitions now, and no others.
    pub(crate) fn set(&mut self, now: impl Iterator<Item = (TopicPartition, usize)>) {
        let mut lags = self.lags.lock();
        for partition in self.own.drain(..) {
            lags.remove(&partition);
        }
        for (partition, lag) in now {
            self.own.push(partition.clone());
            lags.insert(partition, lag);
        }
    }
}

impl Drop for LagShare {
    fn drop(&mut self) {
        self.set(std::iter::empty());
    }
}

/// When each worker of a connector has gone through its loop last. It goes through many times a
/// second, whatever Kafka and the database do: a worker that doesn't is stuck.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<Vec<Arc<Mutex<Instant>>>>>);

impl Turns {
    /// How long ago the worker that is furthest behind has gone through its loop; zero without
    /// workers.
    pub(crate) fn longest(&self) -> Duration {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ages = workers
            .iter()
            .map(|worker| worker.lock().unwrap_or_else(PoisonError::into_inner).elapsed());
        ages.max().unwrap_or_default()
    }
}

/// One worker's place among the turns.
#[derive(Debug)]
pub(crate) struct WorkerTurns {
    all: Turns,
    own: Arc<Mutex<Instant>>,
}

impl WorkerTurns {
    pub(crate) fn of(all: &Turns) -> Self {
        let own = Arc::new(Mutex::new(Instant::now()));
        all.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&own));
        Self { all: all.clone(), own }
    }

    /// The worker is at the beginning of its loop.
    pub(crate) fn turn(&self) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Drop for WorkerTurns {
    fn drop(&mut self) {
        let mut workers = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| !Arc::ptr_eq(worker, &self.own));
    }
}
