//! librdkafka's own statistics, of all of a connector's clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Brokers shown of one connector.
const MOST_BROKERS: usize = 100;

/// What one client says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ClientFigures {
    /// Bytes received from brokers, since it was made.
    pub(crate) received_bytes: u64,
    /// Records that were fetched and wait for the worker.
    pub(crate) queued_records: u64,
    pub(crate) queued_bytes: u64,
    /// By the broker's number.
    pub(crate) brokers: BTreeMap<i32, BrokerFigures>,
}

/// What a client says of a broker.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct BrokerFigures {
    /// Whether there is a connection that works.
    pub(crate) up: bool,
    /// From a request to its answer, in seconds: the average since the statistics before. None
    /// without a request.
    pub(crate) round_trip: Option<f64>,
    /// Requests and answers that failed or came too late, since the client was made.
    pub(crate) errors: u64,
}

/// What a connector's clients say of themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients(Arc<Mutex<BTreeMap<usize, ClientFigures>>>);

impl Clients {
    /// All clients together: sums, and of round trips the longest.
    pub(crate) fn sum(&self) -> ClientFigures {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = ClientFigures::default();
        for client in clients.values() {
            sum.received_bytes += client.received_bytes;
            sum.queued_records += client.queued_records;
            sum.queued_bytes += client.queued_bytes;
            for (number, broker) in &client.brokers {
                if sum.brokers.len() >= MOST_BROKERS && !sum.brokers.contains_key(number) {
                    continue;
                }
                let all = sum.brokers.entry(*number).or_default();
                all.up |= broker.up;
                all.errors += broker.errors;
                all.round_trip = match (all.round_trip, broker.round_trip) {
                    (Some(one), Some(other)) => Some(one.max(other)),
                    (one, other) => one.or(other),
                };
            }
        }
        sum
    }
}

/// One worker's client among them; gone when dropped.
#[derive(Debug)]
pub(crate) struct ClientShare {
    all: Clients,
    worker: usize,
}

impl ClientShare {
    pub(crate) fn of(all: &Clients, worker: usize) -> Self {
        Self { all: all.clone(), worker }
    }

    pub(crate) fn set(&self, figures: ClientFigures) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(self.worker, figures);
    }
}

impl Drop for ClientShare {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.worker);
    }
}
