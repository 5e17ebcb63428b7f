//! Delivery: writes closed batches, and owns what happens when a write fails.
//!
//! Unavailable or misconfigured: wait and repeat, without end. Too large: split. Rejected: narrow
//! down to the items that the database will never take, so that all others are written. The answer
//! goes back to the worker, the only one who knows what offsets a batch stands for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::batch::{Batch, RecordIndex};
use crate::config;
use crate::sink::{Rejected, Scope, SinkError, Write};
use crate::telemetry::Metrics;
use crate::watermark::BatchId;

/// News for a worker: something that it has handed out is over.
#[derive(Debug)]
pub enum Settled {
    /// Every item of the batch is durable, but for the refused ones.
    Batch { id: BatchId, delivered: Delivered },
    /// A dead letter is confirmed by its topic, or failed with a reason.
    DeadLetter { id: BatchId, record: RecordIndex, result: Result<(), String> },
}

/// How a batch ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Items acknowledged as durable.
    pub written: usize,
    /// Items that the database will never take, in order.
    pub refused: Vec<Refused>,
}

/// An item that the database will never take.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub record: RecordIndex,
    /// The item was refused because of what is stored already.
    pub superseded: bool,
    /// An earlier attempt at this batch ended without a clear answer, so it may have been stored.
    pub perhaps_stored: bool,
    pub reason: String,
}

/// The batches of one worker that are being written.
#[derive(Debug)]
pub struct Deliveries<W> {
    runtime: Arc<Runtime>,
    writer: Arc<Writer<W>>,
    tasks: JoinSet<()>,
    /// Unbounded, but never holds more than what is in flight, which the worker bounds.
    sender: UnboundedSender<Settled>,
    receiver: UnboundedReceiver<Settled>,
}

impl<W: Write> Deliveries<W> {
    pub fn new(
        connector: &str,
        runtime: Arc<Runtime>,
        sink: Arc<W>,
        config: config::Delivery,
        metrics: Metrics,
    ) -> Self {
        let (sender, receiver) = unbounded_channel();
        let outage = Mutex::new(None);
        let writer = Arc::new(Writer {
            connector: connector.to_owned(),
            sink,
            config,
            metrics,
            outage,
            recovered: Notify::new(),
        });
        Self { runtime, writer, tasks: JoinSet::new(), sender, receiver }
    }

    /// Where else news for this worker may come from.
    pub fn sender(&self) -> UnboundedSender<Settled> {
        self.sender.clone()
    }

    /// Begins to write a batch. The caller bounds how many are under way.
    pub fn submit(&mut self, id: BatchId, batch: Batch) {
        while self.tasks.try_join_next().is_some() {}
        let (writer, sender) = (Arc::clone(&self.writer), self.sender.clone());
        self.tasks.spawn_on(
            async move {
                let delivered = writer.deliver(batch).await;
                // The receiver is gone when the worker has stopped without waiting: nobody commits.
                let _ = sender.send(Settled::Batch { id, delivered });
            },
            self.runtime.handle(),
        );
    }

    /// The next news, if there is any already.
    pub fn settled(&mut self) -> Option<Settled> {
        self.receiver.try_recv().ok()
    }

    /// The next news, if it comes within the timeout.
    pub fn wait_settled(&mut self, timeout: Duration) -> Option<Settled> {
        let receiver = &mut self.receiver;
        self.runtime
            .block_on(async { tokio::time::timeout(timeout, receiver.recv()).await.ok().flatten() })
    }

    /// Whether the last attempt, of whichever batch, found the database unavailable.
    pub fn in_outage(&self) -> bool {
        self.writer.outage.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[derive(Debug)]
struct Writer<W> {
    connector: String,
    sink: Arc<W>,
    config: config::Delivery,
    metrics: Metrics,
    /// While the database takes nothing.
    outage: Mutex<Option<Outage>>,
    /// Wakes the batches that wait, when the database takes writes again.
    recovered: Notify,
}

/// A time in which the database takes no writes, as the log has told it.
#[derive(Debug)]
struct Outage {
    since: Instant,
    told: Instant,
    reason: String,
}

/// How often an outage that goes on for the same reason is logged again.
const TELL_AGAIN: Duration = Duration::from_mins(5);

/// What the database said of a batch, once it said something final.
enum Answer {
    Written,
    TooLarge(String),
    Rejected(Rejected),
}

impl<W: Write> Writer<W> {
    /// Writes a batch until every item is either durable or refused for good.
    async fn deliver(&self, batch: Batch) -> Delivered {
        let mut delivered = Delivered::default();
        let mut perhaps_stored = false;
        let mut to_write = VecDeque::from([batch]);
        // In order from the front: what is split stays in the order of its records, which the
        // databases that take samples in order only depend on.
        while let Some(batch) = to_write.pop_front() {
            let rest = match self.repeat_until_answered(&batch, &mut perhaps_stored).await {
                Answer::Written => {
                    self.metrics.bytes_written.inc_by(batch.body().len() as u64);
                    delivered.written += batch.len();
                    Vec::new()
                }
                Answer::TooLarge(reason) => delivered.halve(&batch, reason, false, perhaps_stored),
                Answer::Rejected(rejected) => {
                    let rest = delivered.narrow(&batch, &rejected, perhaps_stored);
                    perhaps_stored |= rejected.rest_written && !rest.is_empty();
                    rest
                }
            };
            for batch in rest.into_iter().rev() {
                to_write.push_front(batch);
            }
        }
        delivered
    }

    async fn repeat_until_answered(&self, batch: &Batch, perhaps_stored: &mut bool) -> Answer {
        let mut pauses = self.pauses();
        loop {
            let (reason, retry_after) = match self.sink.write(batch).await {
                Ok(()) => {
                    self.outage_is_over();
                    return Answer::Written;
                }
                Err(SinkError::TooLarge { reason }) => return Answer::TooLarge(reason),
                Err(SinkError::Rejected(rejected)) => {
                    self.outage_is_over();
                    return Answer::Rejected(rejected);
                }
                Err(SinkError::Unavailable { reason, retry_after, perhaps_stored: perhaps }) => {
                    *perhaps_stored |= perhaps;
                    (reason, retry_after)
                }
                Err(SinkError::Misconfigured { reason }) => (reason, None),
            };
            self.outage_goes_on(&reason);
            self.metrics.write_retries.inc();
            let pause = pauses.next().unwrap_or(self.config.max_backoff);
            self.wait(retry_after.unwrap_or_default(), pause).await;
        }
    }

    /// Leaves the database alone for as long as it has asked, and then for the rest of the pause,
    /// which ends early when another batch has got through.
    async fn wait(&self, asked: Duration, pause: Duration) {
        tokio::time::sleep(asked).await;
        tokio::select! {
            () = tokio::time::sleep(pause.saturating_sub(asked)) => {}
            () = self.recovered.notified() => {}
        }
    }

    /// Doubling pauses with jitter, so that many workers don't knock in step.
    fn pauses(&self) -> impl Iterator<Item = Duration> + use<W> {
        ExponentialBuilder::default()
            .with_min_delay(self.config.min_backoff)
            .with_max_delay(self.config.max_backoff)
            .with_jitter()
            .without_max_times()
            .build()
    }

    fn outage_goes_on(&self, reason: &str) {
        let now = Instant::now();
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let since = outage.as_ref().map_or(now, |outage| outage.since);
        if outage.as_ref().is_none_or(|o| o.reason != reason || o.told + TELL_AGAIN <= now) {
            *outage = Some(Outage { since, told: now, reason: reason.to_owned() });
            let seconds = since.elapsed().as_secs();
            warn!(
                connector = self.connector,
                seconds, reason, "the database takes no writes; repeating until it does"
            );
        }
    }

    fn outage_is_over(&self) {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(outage) = outage {
            let seconds = outage.since.elapsed().as_secs();
            info!(connector = self.connector, seconds, "the database takes writes again");
            self.recovered.notify_waiters();
        }
    }
}

impl Delivered {
    /// Takes in a rejection; returns what is still to be written, in order.
    fn narrow(&mut self, batch: &Batch, rejected: &Rejected, perhaps_stored: bool) -> Vec<Batch> {
        let superseded = rejected.superseded;
        let Scope::Items(items) = &rejected.scope else {
            return self.halve(batch, rejected.reason.clone(), superseded, perhaps_stored);
        };
        for (item, reason) in items {
            let record = batch.record(*item);
            let reason = reason.clone();
            self.refused.push(Refused { record, superseded, perhaps_stored, reason });
        }
        if rejected.rest_written {
            self.written += batch.len() - items.len();
            return Vec::new();
        }
        batch.without(&items.iter().map(|(item, _)| *item).collect::<Vec<_>>())
    }

    /// The batch in two; or, of a single item, the refusal.
    fn halve(
        &mut self,
        batch: &Batch,
        reason: String,
        superseded: bool,
        perhaps_stored: bool,
    ) -> Vec<Batch> {
        if let Some((left, right)) = batch.halves() {
            return vec![left, right];
        }
        let record = batch.record(0);
        self.refused.push(Refused { record, superseded, perhaps_stored, reason });
        Vec::new()
    }
}
