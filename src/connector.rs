//! A connector: a checked configuration and its workers, all members of one consumer group.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Runtime;

use crate::backfill::{Part, Progress};
use crate::cardinality::Guard;
use crate::config;
use crate::decode::{Decoder, Decompressed};
use crate::deliver::Deliveries;
use crate::kafka::{DeadLetterProducer, KafkaConsumer, KafkaError};
use crate::map::Plan;
use crate::process::Chain;
use crate::record::Offset;
use crate::replay::{Letters, Seen};
use crate::sink::{BuildError, Sink};
use crate::telemetry::traces::Traces;
use crate::telemetry::{ClientShare, Metrics};
use crate::worker::{Failure, Outcome, Settings, Transform, Worker};

/// A connector whose workers run.
#[derive(Debug)]
pub struct Running {
    view: View,
    stop: Arc<AtomicBool>,
    hold: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

/// What a connector is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Running,
    /// As asked: its workers stay in the group with their partitions, and read nothing.
    Paused,
    /// A worker can't go on; the others have stopped, too.
    Failed(Failure),
    /// As asked: it has no workers, and its group has no members of this process.
    Stopped,
}

/// A connector, as it is shown: cheap to clone, and no hold on its workers. It outlives them, so that
/// what a connector has counted goes on after a restart.
#[derive(Debug, Clone)]
pub struct View {
    name: String,
    pub metrics: Metrics,
    state: Arc<Mutex<State>>,
}

impl View {
    pub(crate) fn of(name: &str, metrics: Metrics) -> Self {
        Self { name: name.into(), metrics, state: Arc::new(Mutex::new(State::Running)) }
    }

    pub(crate) fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The first failure is the one that is shown: later ones may follow from it.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Failed(_)) {
            *state = State::Failed(failure);
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    /// Every name that a state has.
    pub const NAMES: [&str; 4] = ["running", "paused", "failed", "stopped"];

    /// The word in metrics and replies.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Failed(_) => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A connector that can't be started: its configuration is well-formed but not usable.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{connector}: {error}")]
    Kafka { connector: String, error: KafkaError },
    #[error("{connector}: {error}")]
    Sink { connector: String, error: BuildError },
    #[error("{connector}: can't start a thread: {error}")]
    Thread { connector: String, error: std::io::Error },
    #[error(
        "{connector}: `{processor}` in `process` remembers earlier records, and what it gives of a letter \
         alone is not what it would have given in its place; read that part of the topic again with \
         `tidegate backfill`"
    )]
    Remembers { connector: String, processor: &'static str },
}

/// Whether the connector makes of a dead letter alone what it would have made in its place.
pub fn may_replay(config: &config::Connector) -> Result<(), StartError> {
    match config.process.iter().find(|processor| processor.remembers()) {
        None => Ok(()),
        Some(processor) => Err(StartError::Remembers {
            connector: config.name.clone(),
            processor: processor.name(),
        }),
    }
}

/// Starts a connector's workers, each on a thread of its own.
pub fn start(config: &config::Connector, runtime: &Arc<Runtime>) -> Result<Running, StartError> {
    start_in(View::of(&config.name, Metrics::default()), config, State::Running, None, runtime)
}

/// The same in a view that there is; `state` is running or paused. Spans of records go to `traces`.
pub(crate) fn start_in(
    view: View,
    config: &config::Connector,
    state: State,
    traces: Option<&Traces>,
    runtime: &Arc<Runtime>,
) -> Result<Running, StartError> {
    let sink = Arc::new(sink(config)?);
    let (prepared, routing) = (Arc::clone(&sink), config.routing.clone());
    runtime.spawn(async move { prepared.prepare(routing.as_ref()).await });
    let hold = Arc::new(AtomicBool::new(state == State::Paused));
    view.set(state);
    let mut running = Running { view, stop: Arc::default(), hold, workers: Vec::new() };
    for number in 0..config.workers.get() {
        // Dropping `running` on an error stops the workers that run already.
        let worker = running.spawn(number, config, &sink, traces, runtime)?;
        running.workers.push(worker);
    }
    Ok(running)
}

/// Whether all that can be made without a broker can be made: an error that must not come after the
/// connector's former self has ended.
pub(crate) fn try_out(config: &config::Connector) -> Result<(), StartError> {
    sink(config).map(drop)
}

impl Running {
    pub fn name(&self) -> &str {
        self.view.name()
    }

    pub fn metrics(&self) -> &Metrics {
        &self.view.metrics
    }

    pub fn state(&self) -> State {
        self.view.state()
    }

    /// For whoever shows it.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Asks the workers to read nothing more, or to go on; returns at once.
    pub(crate) fn hold(&self, hold: bool) {
        self.hold.store(hold, Ordering::Release);
        if matches!(self.state(), State::Running | State::Paused) {
            self.view.set(if hold { State::Paused } else { State::Running });
        }
    }

    /// Asks the workers to deliver what is open, commit and leave the group; returns at once.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Waits until every worker has ended.
    pub fn join(mut self) -> State {
        self.join_workers();
        match self.state() {
            State::Running | State::Paused => State::Stopped,
            ended => ended,
        }
    }

    /// Whether every worker has ended, by a stop or a failure.
    pub fn has_ended(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    fn join_workers(&mut self) {
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                self.stop.store(true, Ordering::Release);
                let failure = Failure::Kafka("a worker has ended by a defect of Tidegate".into());
                self.view.fail(failure);
            }
        }
    }

    fn spawn(
        &self,
        number: usize,
        config: &config::Connector,
        sink: &Arc<Sink>,
        traces: Option<&Traces>,
        runtime: &Arc<Runtime>,
    ) -> Result<JoinHandle<()>, StartError> {
        let kafka = |error| StartError::Kafka { connector: config.name.clone(), error };
        let consumer = KafkaConsumer::new(&config.kafka, &config.group, &config.topics, number)
            .map_err(kafka)?
            .shown_in(ClientShare::of(&self.metrics().clients, number));
        let Parts { settings, transform, deliveries, dead_letters } =
            parts(config, number, sink, runtime, self.metrics())?;
        // One of the workers is enough.
        if let Some(dead_letters) = dead_letters.as_ref().filter(|_| number == 0) {
            dead_letters.warn_if_unwritable(&config.name);
        }
        let spans = traces.map(|traces| traces.tracer(&config.name, &config.group, self.metrics()));
        let (view, hold) = (self.view(), Arc::clone(&self.hold));
        let (stop, stop_all) = (Arc::clone(&self.stop), Arc::clone(&self.stop));
        std::thread::Builder::new()
            .name(format!("{}-{number}", config.name))
            .spawn(move || {
                let worker = Worker::new(
                    settings,
                    &consumer,
                    transform,
                    deliveries,
                    dead_letters,
                    view.metrics.clone(),
                    stop,
                );
                if let Outcome::Failed(failure) = worker.paused_by(hold).traced_by(spans).run() {
                    view.fail(failure);
                    stop_all.store(true, Ordering::Release);
                }
            })
            .map_err(|error| StartError::Thread { connector: config.name.clone(), error })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        self.join_workers();
    }
}

/// What a worker is made of, besides its consumer.
struct Parts {
    settings: Settings,
    transform: Transform,
    deliveries: Deliveries<Sink>,
    dead_letters: Option<DeadLetterProducer>,
}

fn parts(
    config: &config::Connector,
    number: usize,
    sink: &Arc<Sink>,
    runtime: &Arc<Runtime>,
    metrics: &Metrics,
) -> Result<Parts, StartError> {
    let deliveries = Deliveries::new(
        &config.name,
        Arc::clone(runtime),
        Arc::clone(sink),
        config.delivery,
        metrics.clone(),
    );
    let dead_letters = config
        .dead_letter
        .as_ref()
        .map(|topic| DeadLetterProducer::new(&config.kafka, topic, deliveries.sender()))
        .transpose()
        .map_err(|error| StartError::Kafka { connector: config.name.clone(), error })?;
    let settings = Settings {
        connector: config.name.clone(),
        number,
        batch: config.batch,
        in_flight: sink.in_flight(config.delivery.in_flight),
        ordered: sink.is_ordered(),
        // The last owner of an ordered sink's partition commits each batch before it writes the next,
        // so one batch may be written and not committed; and one more when its drain has ended at its
        // deadline.
        repeats: 2 * config.batch.points.get(),
        drain: config.delivery.drain,
        group: config.group.clone(),
        offsets: config.offsets,
    };
    let guard = Guard::new(&config.name, config.cardinality.clone(), &metrics.cardinality);
    let drift = Some(metrics.drift.clone());
    let transform = Transform { guard: Some(guard), drift, ..transform(config, sink) };
    Ok(Parts { settings, transform, deliveries, dead_letters })
}

/// The way from a connector's record to what is written.
pub fn transform(config: &config::Connector, sink: &Sink) -> Transform {
    let decoder = Decoder::new(&config.decode).keeping_not_finite(config.sink.takes_not_finite());
    let plan = Plan::new(&config.mapping)
        .routed(config.routing.as_ref())
        .ending_series_by_null(config.sink.null_is_stale());
    Transform {
        decompressed: config.decompress.then(Decompressed::default),
        process: Chain::new(&config.process).ahead_at_most(config.max_ahead),
        routing: config.routing.clone(),
        ..Transform::new(decoder, plan, sink.encoder())
    }
}

/// A connector's worker that reads its dead letters instead of its topics.
#[derive(Debug)]
pub struct Replay {
    pub metrics: Metrics,
    pub seen: Arc<Seen>,
    /// Set by itself at the end, and by whoever wants an end before.
    pub stop: Arc<AtomicBool>,
    pub worker: JoinHandle<Outcome>,
}

/// What a replay has done with the letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReplayCounts {
    /// All that it has read, also those of other connectors.
    pub read: u64,
    /// Handed on as points. (Before the end, some of these are still under way.)
    pub written: u64,
    /// Without a point, by the configuration.
    pub empty: u64,
    /// Rejected again: new letters.
    pub rejected: u64,
    /// Left out, because no headers say where the record was read.
    pub nowhere: u64,
}

impl ReplayCounts {
    fn of(metrics: &Metrics, seen: &Seen) -> Self {
        let [taken, foreign, nowhere] = [&seen.taken, &seen.foreign, &seen.without_origin]
            .map(|count| count.load(Ordering::Relaxed));
        let (rejected, empty) = (metrics.records_rejected.get(), metrics.records_excluded.get());
        Self {
            read: taken + foreign + nowhere,
            written: taken.saturating_sub(rejected + empty),
            empty,
            rejected,
            nowhere,
        }
    }
}

impl Replay {
    /// What it has done until now.
    pub fn so_far(&self) -> ReplayCounts {
        ReplayCounts::of(&self.metrics, &self.seen)
    }

    /// Waits for its end; an error is why it has ended before.
    pub fn ended(self) -> Result<ReplayCounts, String> {
        match self.worker.join() {
            Ok(Outcome::Stopped) => Ok(ReplayCounts::of(&self.metrics, &self.seen)),
            Ok(Outcome::Failed(failure)) => Err(failure.to_string()),
            Err(_) => Err("ended by a defect of Tidegate".to_owned()),
        }
    }
}

/// Starts the replay of the letters that a connector of this name has written (mostly `config`'s
/// own), up to these ends, as the only member of this group.
pub fn replay(
    config: &config::Connector,
    topic: &str,
    written_by: &str,
    group: &str,
    ends: BTreeMap<i32, Offset>,
    runtime: &Arc<Runtime>,
) -> Result<Replay, StartError> {
    may_replay(config)?;
    let sink = sink(config)?;
    let consumer = KafkaConsumer::to_the_end(&config.kafka, group, topic, 0)
        .map_err(|error| StartError::Kafka { connector: config.name.clone(), error })?;
    let (metrics, stop) = (Metrics::default(), Arc::<AtomicBool>::default());
    let Parts { mut settings, transform, deliveries, dead_letters } =
        parts(config, 0, &Arc::new(sink), runtime, &metrics)?;
    // A letter was rejected, so it is not stored: a sample that comes too late now must not count as
    // written before.
    settings.repeats = 0;
    group.clone_into(&mut settings.group);
    let letters = Letters::new(consumer, written_by, ends, Arc::clone(&stop));
    let seen = letters.seen();
    let (counts, stopped) = (metrics.clone(), Arc::clone(&stop));
    let worker = std::thread::Builder::new()
        .name(format!("{}-replay", config.name))
        .spawn(move || {
            Worker::new(settings, &letters, transform, deliveries, dead_letters, counts, stopped)
                .run()
        })
        .map_err(|error| StartError::Thread { connector: config.name.clone(), error })?;
    Ok(Replay { metrics, seen, stop, worker })
}

/// A connector's workers that read a part of one of its topics once more.
#[derive(Debug)]
pub struct Backfill {
    pub workers: Vec<JoinHandle<Outcome>>,
}

impl Backfill {
    /// Whether every worker has ended, by the end, a stop or a failure.
    pub fn has_ended(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }
}

/// Starts as many workers as `config` has, as members of its group. They stop when `progress` is at
/// the end, or when `stop`, which is also `progress`'s, says so. `rate` is in records a second, of all
/// of them.
pub fn backfill(
    config: &config::Connector,
    topic: &str,
    progress: &Arc<Progress>,
    rate: Option<NonZeroU32>,
    metrics: &Metrics,
    stop: &Arc<AtomicBool>,
    runtime: &Arc<Runtime>,
) -> Result<Backfill, StartError> {
    let sink = Arc::new(sink(config)?);
    let (prepared, routing) = (Arc::clone(&sink), config.routing.clone());
    runtime.spawn(async move { prepared.prepare(routing.as_ref()).await });
    let workers = u32::try_from(config.workers.get()).unwrap_or(u32::MAX);
    let rate = rate.map(|rate| NonZeroU32::new(rate.get() / workers).unwrap_or(NonZeroU32::MIN));
    let mut backfill = Backfill { workers: Vec::new() };
    for number in 0..config.workers.get() {
        let consumer = KafkaConsumer::to_the_end(&config.kafka, &config.group, topic, number)
            .map_err(|error| StartError::Kafka { connector: config.name.clone(), error })?;
        let Parts { settings, mut transform, deliveries, dead_letters } =
            parts(config, number, &sink, runtime, metrics)?;
        // The database may hold what comes of the range's beginning and of what was before it.
        transform.process.warm_up();
        let part = Part::new(consumer, Arc::clone(progress), rate);
        let (metrics, stop) = (metrics.clone(), Arc::clone(stop));
        let stop_all = Arc::clone(&stop);
        let worker = std::thread::Builder::new()
            .name(format!("{}-backfill-{number}", config.name))
            .spawn(move || {
                let outcome = Worker::new(
                    settings,
                    &part,
                    transform,
                    deliveries,
                    dead_letters,
                    metrics,
                    stop,
                )
                .run();
                stop_all.store(true, Ordering::Release);
                outcome
            })
            .map_err(|error| StartError::Thread { connector: config.name.clone(), error })?;
        backfill.workers.push(worker);
    }
    Ok(backfill)
}

fn sink(config: &config::Connector) -> Result<Sink, StartError> {
    Sink::new(&config.sink, config.delivery.timeout)
        .map_err(|error| StartError::Sink { connector: config.name.clone(), error })
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => write!(f, "failed: {failure}"),
            Self::Running | Self::Paused | Self::Stopped => f.write_str(self.name()),
        }
    }
}
