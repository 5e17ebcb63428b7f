//! Delivery: writes closed batches, and owns what happens when a write fails.
//!
//! Unavailable or misconfigured: wait and repeat, without end. Too large: split. Rejected: narrow
//! down to the items that the database will never take ([`isolate`]), so that all others are
//! written. The answer goes back to the worker, the only one who knows what offsets a batch stands
//! for.

mod isolate;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::batch::{Batch, RecordIndex};
use crate::config;
use crate::dead_letter::ReasonKind;
use crate::route::Destination;
use crate::sink::{Rejected, SinkError, Write};
use crate::telemetry::{Metrics, WriteResult};
use crate::watermark::BatchId;

use isolate::{Isolation, Piece};

/// Where batches of so many workers are compressed and delivered, and whatever else the process does besides.
///
/// One worker's batches need one thread: another would be woken each time in vain. Those of several must not wait for
/// each other, or each worker keeps more of them.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime(workers: usize) -> std::io::Result<Arc<Runtime>> {
    let several =
        || std::thread::available_parallelism().map_or(2, NonZeroUsize::get).div_ceil(2).max(2);
    let threads = if workers == 1 { 1 } else { several() };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    Ok(Arc::new(runtime.worker_threads(threads).enable_all().build()?))
}

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
    pub kind: ReasonKind,
    /// An earlier attempt with this item ended without an acknowledgement, so it may be stored.
    pub perhaps_stored: bool,
    pub reason: String,
}

impl Refused {
    /// It was refused because of what is stored already.
    pub fn superseded(&self) -> bool {
        self.kind == ReasonKind::Superseded
    }
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
        let requests = Semaphore::new(config.in_flight.get().max(REQUESTS));
        let writer = Arc::new(Writer {
            connector: connector.to_owned(),
            sink,
            config,
            metrics,
            requests,
            outage,
            recovered: Notify::new(),
        });
        Self { runtime, writer, tasks: JoinSet::new(), sender, receiver }
    }

    /// Where else news for this worker may come from.
    pub fn sender(&self) -> UnboundedSender<Settled> {
        self.sender.clone()
    }

    /// Begins to write a batch, in parts of one destination each. The caller bounds how many batches
    /// are under way.
    pub fn submit(&mut self, id: BatchId, parts: Vec<Batch>) {
        while self.tasks.try_join_next().is_some() {}
        let (writer, sender) = (Arc::clone(&self.writer), self.sender.clone());
        self.tasks.spawn_on(
            async move {
                let delivered = deliver(&writer, parts).await;
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

    /// Whether the last attempt, of whichever batch, at some destination found it unavailable.
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
    /// How many may be sent at once: more than batches in flight, where those have many parts.
    requests: Semaphore,
    /// While a destination takes nothing.
    outage: Mutex<Option<Outage>>,
    /// Wakes the batches that wait, when the database takes writes again.
    recovered: Notify,
}

/// A time in which the database takes no writes, or some destination in it, as the log has told it.
#[derive(Debug)]
struct Outage {
    since: Instant,
    /// Those that took nothing when they were last tried; no more than there are parts in flight.
    at: BTreeSet<Destination>,
    /// When each reason was told last.
    told: HashMap<String, Instant>,
}

/// How often an outage that goes on for the same reason is logged again.
const TELL_AGAIN: Duration = Duration::from_mins(5);
/// More reasons of one outage are not told in that time.
const MAX_REASONS: usize = 32;
/// The requests that the parts of batches may send at once, if `delivery.in_flight` is no more.
const REQUESTS: usize = 4;

/// What the database said of a batch, once it said something final.
enum Answer {
    Written,
    TooLarge(String),
    Rejected(Rejected),
}

/// Writes all parts of a batch. Each has a task of its own, so that none waits for another's outage.
async fn deliver<W: Write>(writer: &Arc<Writer<W>>, mut parts: Vec<Batch>) -> Delivered {
    let Some(first) = parts.pop() else {
        return Delivered::default();
    };
    let mut others = JoinSet::new();
    for part in parts {
        let writer = Arc::clone(writer);
        others.spawn(async move { writer.deliver(part).await });
    }
    let mut all = writer.deliver(first).await;
    while let Some(part) = others.join_next().await {
        match part {
            Ok(part) => {
                all.written += part.written;
                all.refused.extend(part.refused);
            }
            // Of what has become of the part nothing is known: the batch must not count as done.
            Err(_) => std::future::pending().await,
        }
    }
    all.refused.sort_by_key(|refused| refused.record);
    all
}

impl<W: Write> Writer<W> {
    /// Writes a part of a batch until every item is either durable or refused for good.
    async fn deliver(&self, batch: Batch) -> Delivered {
        let mut isolation = Isolation::of(batch);
        while let Some(mut piece) = isolation.next() {
            match self.repeat_until_answered(&mut piece).await {
                Answer::Written => {
                    self.metrics.bytes_written.inc_by(piece.batch.body().len() as u64);
                    isolation.written(&piece);
                }
                Answer::TooLarge(reason) => isolation.too_large(&piece, reason),
                Answer::Rejected(rejected) => isolation.rejected(&piece, &rejected),
            }
        }
        isolation.finish()
    }

    async fn repeat_until_answered(&self, piece: &mut Piece) -> Answer {
        let mut pauses = self.pauses();
        let destination = piece.batch.destination().clone();
        loop {
            let begun = Instant::now();
            let answer = self.write(&piece.batch).await;
            let took = begun.elapsed();
            self.metrics.write_seconds.observe(took);
            self.metrics.writes.with(WriteResult::of(&answer)).inc();
            self.metrics.replies.add(&answer, took);
            let (reason, retry_after) = match answer {
                Ok(()) => {
                    self.outage_is_over(&destination);
                    return Answer::Written;
                }
                Err(SinkError::TooLarge { reason }) => {
                    self.outage_is_over(&destination);
                    return Answer::TooLarge(reason);
                }
                Err(SinkError::Rejected(rejected)) => {
                    self.outage_is_over(&destination);
                    return Answer::Rejected(rejected);
                }
                Err(SinkError::Unavailable { reason, retry_after, perhaps_stored }) => {
                    piece.perhaps_stored |= perhaps_stored;
                    (reason, retry_after)
                }
                Err(SinkError::Misconfigured { reason }) => (reason, None),
            };
            self.outage_goes_on(&destination, reason);
            let pause = pauses.next().unwrap_or(self.config.max_backoff);
            self.wait(retry_after.unwrap_or_default(), pause).await;
        }
    }

    /// One attempt, when it is its turn.
    async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        // Never closed; and without a turn nothing would be lost but the limit.
        let _turn = self.requests.acquire().await.ok();
        self.sink.write(batch).await
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

    fn outage_goes_on(&self, destination: &Destination, reason: String) {
        let now = Instant::now();
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let outage = outage.get_or_insert_with(|| Outage {
            since: now,
            at: BTreeSet::new(),
            told: HashMap::new(),
        });
        outage.at.insert(destination.clone());
        outage.told.retain(|_, told| now < *told + TELL_AGAIN);
        if outage.told.contains_key(&reason) || outage.told.len() >= MAX_REASONS {
            return;
        }
        let seconds = outage.since.elapsed().as_secs();
        let destination = (!destination.is_constant()).then(|| destination.to_string());
        warn!(
            connector = self.connector,
            destination, seconds, reason, "the database takes no writes; repeating until it does"
        );
        outage.told.insert(reason, now);
    }

    fn outage_is_over(&self, destination: &Destination) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lasting) = outage.as_mut() else {
            return;
        };
        if !lasting.at.remove(destination) {
            return;
        }
        if lasting.at.is_empty() {
            let seconds = lasting.since.elapsed().as_secs();
            info!(connector = self.connector, seconds, "the database takes writes again");
            *outage = None;
        }
        self.recovered.notify_waiters();
    }
}
