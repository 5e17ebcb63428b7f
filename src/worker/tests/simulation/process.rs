//! A process: lives of a worker, one after the other, each with a paused clock of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::database;
use super::group::LifeId;
use super::log::{Place, SimRecord};
use super::schedule::{Answers, Schedule, millis};
use super::turns::Turns;
use super::windows::Spans;
use super::world::World;
use crate::batch::Batch;
use crate::config::raw::{FieldKind, OffsetOutOfRange, Precision, TimeUnit};
use crate::config::{BatchLimits, Delivery, Offsets};
use crate::dead_letter::Header;
use crate::decode::json::Json;
use crate::decode::{Decoder, Documents};
use crate::deliver::{Deliveries, Settled};
use crate::encode::{Encoder, LineProtocol, RemoteWrite};
use crate::kafka::{
    Consumer, DeadLetterTopic, Event, Extent, KafkaError, LetterId, Place as KafkaPlace,
};
use crate::map::{Field, Piece, Plan, PointRule, Source, Tag, Template, TimeSource};
use crate::record::{NextOffset, Record, TopicPartition};
use crate::route::{Allowed, Routing, Slot};
use crate::sink::{SinkError, Write};
use crate::telemetry::Metrics;
use crate::watermark::Covers;
use crate::worker::{Outcome, Settings, Transform, Worker};

/// What the processes share.
pub(super) struct Shared {
    pub turns: Turns,
    pub world: Mutex<World>,
}

impl Shared {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the turns also when a test's own defect unwinds: the other process would wait for ever.
struct Leaves<'a>(&'a Turns, usize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

/// Lives one life after the other until all is over.
pub(super) fn run(shared: &Arc<Shared>, process: usize) {
    let _leaves = Leaves(&shared.turns, process);
    let mut now = Duration::ZERO;
    loop {
        shared.turns.wait(process, now);
        let mut world = shared.world();
        world.advance(now);
        if world.is_over() {
            return;
        }
        let id = world.born(process);
        let rest = world.dice.up_to(millis(2000));
        drop(world);
        now = live(shared, process, id, now) + rest;
    }
}

/// One life; returns the moment of its end.
fn live(shared: &Arc<Shared>, process: usize, id: LifeId, born: Duration) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let runtime = Arc::new(runtime);
    let _in_virtual_time = runtime.enter();
    let life = Life { shared: Arc::clone(shared), process, id, born, start: Instant::now() };
    let schedule = Arc::clone(&shared.world().schedule);
    // The pauses between attempts have jitter.
    fastrand::seed(schedule.seed ^ id as u64);
    let member = Member { life: life.clone(), runtime: Arc::clone(&runtime) };
    let outcome = catch_unwind(AssertUnwindSafe(|| work(&schedule, &member)));
    let ended = match outcome {
        Ok(outcome) => Some(outcome == Outcome::Stopped),
        Err(panic) if panic.is::<Crash>() => None,
        Err(panic) => resume_unwind(panic),
    };
    let now = life.now();
    life.shared.turns.wait(process, now);
    let mut world = life.shared.world();
    world.advance(now);
    if let Some(healthy) = ended {
        world.ended(id, healthy);
    }
    now
}

fn work(schedule: &Schedule, member: &Member) -> Outcome {
    let (life, runtime) = (&member.life, &member.runtime);
    let metrics = Metrics::default();
    let sink = SimSink { life: life.clone(), answers: schedule.answers };
    let deliveries = Deliveries::new(
        "sim",
        Arc::clone(runtime),
        Arc::new(sink),
        delivery(schedule),
        metrics.clone(),
    );
    let letters = SimLetters {
        life: life.clone(),
        runtime: Arc::clone(runtime),
        settled: deliveries.sender(),
    };
    let stop = Arc::clone(&life.shared.world().lives[life.id].stop);
    let (settings, transform) = (settings(schedule), transform(schedule));
    Worker::new(settings, member, transform, deliveries, Some(letters), metrics, stop).run()
}

fn settings(schedule: &Schedule) -> Settings {
    let (limits, ordered) = (&schedule.limits, schedule.answers.ordered());
    Settings {
        connector: "sim".into(),
        group: "sim".into(),
        offsets: Offsets {
            start: OffsetOutOfRange::Earliest,
            out_of_range: OffsetOutOfRange::Earliest,
        },
        number: 0,
        batch: BatchLimits {
            points: limits.batch_points.try_into().unwrap(),
            bytes: limits.batch_bytes.try_into().unwrap(),
            linger: millis(limits.linger_millis),
        },
        in_flight: if ordered { 1 } else { limits.in_flight }.try_into().unwrap(),
        ordered,
        repeats: 2 * limits.batch_points,
        drain: millis(4000),
    }
}

fn delivery(schedule: &Schedule) -> Delivery {
    Delivery {
        in_flight: schedule.limits.in_flight.try_into().unwrap(),
        timeout: millis(5000),
        min_backoff: millis(50),
        max_backoff: millis(5000),
        drain: millis(4000),
    }
}

fn transform(schedule: &Schedule) -> Transform {
    let path = |path: &str| Source::Value(path.parse().unwrap());
    let measurement = Template(vec![Piece::Text("m".into())]);
    let rule = PointRule {
        tags: vec![Tag { required: true, ..Tag::new("s", path("s")) }],
        timestamp: TimeSource::Number { source: path("t"), unit: TimeUnit::Ms },
        ..PointRule::new(measurement, vec![Field::new("v", path("v"), FieldKind::Float)])
    };
    let encoder = if schedule.answers.ordered() {
        Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()))
    } else {
        Encoder::LineProtocol(LineProtocol::new(Precision::Ms))
    };
    let routing = (schedule.limits.destinations > 0).then(|| {
        let template = Template(vec![Piece::Source(path("d"))]);
        let allowed = Allowed::new(vec!["d*".into()]);
        let max_open = schedule.limits.max_open.try_into().unwrap();
        Routing::new(vec![(Slot::Bucket, template)], allowed, max_open)
    });
    let plan = Plan::new(&rule.into()).routed(routing.as_ref());
    let process = schedule.limits.windows.map(Spans::chain).unwrap_or_default();
    let decoder = Decoder::Documents(Documents::Json(Json::default()));
    Transform { process, routing, ..Transform::new(decoder, plan, encoder) }
}

/// What unwinds a worker that has crashed. Unwinding runs destructors, and a worker has none that
/// reach out of its process.
struct Crash;

/// A life's hold on the world. Each step of it waits for its turn.
#[derive(Clone)]
struct Life {
    shared: Arc<Shared>,
    process: usize,
    id: LifeId,
    born: Duration,
    start: Instant,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Life({})", self.id)
    }
}

impl Life {
    fn now(&self) -> Duration {
        self.born + self.start.elapsed()
    }

    /// `None` when it has crashed.
    fn step(&self) -> Option<MutexGuard<'_, World>> {
        let now = self.now();
        self.shared.turns.wait(self.process, now);
        let mut world = self.shared.world();
        world.advance(now);
        world.step(self.id).then_some(world)
    }

    /// A step of the worker's own thread.
    fn act(&self) -> MutexGuard<'_, World> {
        self.step().unwrap_or_else(|| resume_unwind(Box::new(Crash)))
    }
}

struct Member {
    life: Life,
    runtime: Arc<Runtime>,
}

impl Member {
    fn sleep(&self, time: Duration) {
        self.runtime.block_on(tokio::time::sleep(time));
    }

    fn offsets(offsets: &Covers) -> BTreeMap<i32, NextOffset> {
        // What is committed goes over the wire.
        let sent = |next: NextOffset| {
            let (offset, text) = next.committed();
            NextOffset::of_committed(offset, &text)
        };
        offsets.iter().map(|(partition, next)| (partition.partition, sent(*next))).collect()
    }
}

impl Consumer for Member {
    type Record<'c> = SimRecord;

    fn poll(&self, timeout: Duration) -> Option<Event<SimRecord>> {
        let stall = self.life.act().stall(self.life.id);
        if let Some(time) = stall {
            // The whole process stands still: its clock jumps.
            self.runtime.block_on(tokio::time::advance(time));
        }
        self.life.act().check_poll(self.life.id, timeout);
        let until = self.life.now() + timeout;
        loop {
            let (event, wake) = self.life.act().poll(self.life.id);
            let now = self.life.now();
            if event.is_some() || now >= until {
                if timeout.is_zero() {
                    self.runtime.block_on(tokio::task::yield_now());
                }
                self.life.shared.world().poll_ends(self.life.id, now);
                return event;
            }
            let wake = wake.unwrap_or(until).clamp(now + millis(1), until.max(now + millis(1)));
            self.sleep(wake.saturating_sub(now));
        }
    }

    fn assign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.life.act().assign(self.life.id, partitions);
        Ok(())
    }

    fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.life.act().unassign(self.life.id, partitions);
        Ok(())
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.life.act().pause(self.life.id, partitions, true);
        Ok(())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.life.act().pause(self.life.id, partitions, false);
        Ok(())
    }

    fn look_up(&self, partitions: &[TopicPartition]) -> Result<Vec<Extent>, KafkaError> {
        Ok(self.life.act().look_up(partitions))
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Covers, KafkaError> {
        self.life.act().committed(self.life.id, partitions)
    }

    /// Places are never gone here: that has tests of its own.
    fn go_to(&self, _: &[KafkaPlace], _: &[KafkaPlace]) -> Result<(), KafkaError> {
        self.life.act().violation("a worker goes to another place, and none is gone".into());
        Ok(())
    }

    fn forget(&self, _: &TopicPartition) {}

    fn commit(&self, offsets: &Covers) -> Result<(), KafkaError> {
        let begun = self.life.act().commit(self.life.id, Self::offsets(offsets), false);
        begun.map(drop)
    }

    fn commit_and_wait(&self, offsets: &Covers) -> Result<(), KafkaError> {
        let (commit, due) = self.life.act().commit(self.life.id, Self::offsets(offsets), true)?;
        self.sleep(due.saturating_sub(self.life.now()));
        self.life.act().commit_result(commit)
    }
}

#[derive(Debug)]
struct SimSink {
    life: Life,
    answers: Answers,
}

impl Write for SimSink {
    async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let items = database::items(self.answers, batch);
        let sent = self.life.step().map(|mut world| {
            let to = batch.destination().to_string();
            let writing = world.lives[self.life.id].writing.entry(to.clone()).or_default();
            *writing += 1;
            if *writing > 1 && self.answers.ordered() {
                world.violation("two requests at once to an ordered database".into());
            }
            world.send(self.life.id, &to, batch.body().len(), items)
        });
        let Some((request, due)) = sent else {
            return std::future::pending().await;
        };
        tokio::time::sleep(due.saturating_sub(self.life.now())).await;
        let answer = self.life.step().map(|mut world| {
            let to = batch.destination().to_string();
            *world.lives[self.life.id].writing.entry(to).or_default() -= 1;
            world.answer(request)
        });
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

struct SimLetters {
    life: Life,
    runtime: Arc<Runtime>,
    settled: UnboundedSender<Settled>,
}

impl DeadLetterTopic for SimLetters {
    fn send<R: Record>(&self, record: &R, _: &[Header], id: LetterId) -> Result<(), KafkaError> {
        let place = Place { partition: record.partition(), offset: record.offset().0 };
        let (number, due) = self.life.act().send_letter(self.life.id, place)?;
        let (life, settled) = (self.life.clone(), self.settled.clone());
        self.runtime.spawn(async move {
            tokio::time::sleep(due.saturating_sub(life.now())).await;
            let Some(result) = life.step().map(|world| world.letter_result(number)) else {
                return;
            };
            let _ = settled.send(Settled::DeadLetter { id: id.batch, record: id.record, result });
        });
        Ok(())
    }
}
