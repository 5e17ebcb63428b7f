//! One run of a worker in such a world.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::{FakeKafka, FakeLetters, FakeRecord, FakeSink, Ledger, Place, Reply, partition};
use crate::config::raw::{FieldKind, OffsetOutOfRange, Precision};
use crate::config::{BatchLimits, Delivery, Offsets};
use crate::decode::{Decoder, Documents};
use crate::deliver::Deliveries;
use crate::encode::{Encoder, LineProtocol};
use crate::kafka::{Event, Extent, Place as KafkaPlace};
use crate::map::{Field, Piece, Plan, PointRule, Source, Template};
use crate::telemetry::Metrics;
use crate::telemetry::traces::Traces;
use crate::worker::{Outcome, Settings, Transform, Worker};

/// One run of a worker.
pub(in crate::worker::tests) struct Scenario {
    pub events: Vec<(Duration, Event<FakeRecord>)>,
    pub reply: Box<Reply>,
    pub stop_at: Duration,
    /// While the owner wants the worker to hold.
    pub held: Range<Duration>,
    pub dead_letters: bool,
    pub letter_failures: usize,
    pub ordered: bool,
    pub in_flight: usize,
    pub batch_points: usize,
    /// What an earlier life of the worker has stored, without having committed it.
    pub stored_before: Vec<Place>,
    /// What a look-up finds.
    pub extents: Vec<Extent>,
    pub look_up_failures: usize,
    /// When commits are refused.
    pub rebalanced: Range<Duration>,
    pub out_of_range: OffsetOutOfRange,
    /// Offsets that Kafka no longer holds.
    pub gone: Vec<Place>,
    /// When the decoder can't reach what it needs.
    pub unreachable: Range<Duration>,
    pub traces: Option<Traces>,
}

impl Scenario {
    /// Partition 0 with these records at once, and a database that takes everything in 10 ms.
    pub(in crate::worker::tests) fn of(records: Vec<FakeRecord>) -> Self {
        let mut events = vec![(Duration::ZERO, Event::Assigned(vec![partition(0), partition(1)]))];
        events.extend(records.into_iter().map(|record| (Duration::ZERO, Event::Record(record))));
        Self {
            events,
            reply: Box::new(|_, _| (Duration::from_millis(10), Ok(()))),
            stop_at: Duration::from_secs(10),
            held: Duration::ZERO..Duration::ZERO,
            dead_letters: true,
            letter_failures: 0,
            ordered: false,
            in_flight: 4,
            batch_points: 10,
            stored_before: Vec::new(),
            extents: Vec::new(),
            look_up_failures: 0,
            rebalanced: Duration::ZERO..Duration::ZERO,
            out_of_range: OffsetOutOfRange::Earliest,
            gone: Vec::new(),
            unreachable: Duration::ZERO..Duration::ZERO,
            traces: None,
        }
    }

    pub(in crate::worker::tests) fn run(self) -> Report {
        let runtime = Arc::new(
            tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap(),
        );
        let _in_virtual_time = runtime.enter();
        let start = Instant::now();
        let stored = self.stored_before.iter().map(|place| (*place, 1)).collect();
        let ledger = Arc::new(Mutex::new(Ledger { stored, ..Ledger::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let hold = Arc::new(AtomicBool::new(self.held.start.is_zero() && !self.held.is_empty()));
        let excluded = self.events.iter().filter_map(|(_, event)| match event {
            Event::Record(r) if r.value.as_ref().is_none_or(Vec::is_empty) => {
                Some((r.partition, r.offset))
            }
            _ => None,
        });
        let kafka = FakeKafka {
            runtime: Arc::clone(&runtime),
            ledger: Arc::clone(&ledger),
            start,
            excluded: excluded.chain(self.gone).collect(),
            next: RefCell::default(),
            extents: self.extents,
            look_up_failures: Cell::new(self.look_up_failures),
            rebalanced: self.rebalanced,
            moves: RefCell::default(),
            script: RefCell::new(self.events.into()),
            owned: RefCell::default(),
            paused: RefCell::default(),
            pauses: Cell::new(0),
            last_poll: Cell::new(start),
            longest_gap: Cell::default(),
            stop_at: self.stop_at,
            stop: Arc::clone(&stop),
            held: self.held,
            hold: Arc::clone(&hold),
        };
        let metrics = Metrics::default();
        let sink = FakeSink { ledger: Arc::clone(&ledger), start, reply: Mutex::new(self.reply) };
        let deliveries = Deliveries::new(
            "test",
            Arc::clone(&runtime),
            Arc::new(sink),
            delivery(),
            metrics.clone(),
        );
        let dead_letters = self.dead_letters.then(|| FakeLetters {
            ledger: Arc::clone(&ledger),
            settled: deliveries.sender(),
            runtime: Arc::clone(&runtime),
            failures: Cell::new(self.letter_failures),
        });
        let mut settings = settings(self.batch_points, self.in_flight, self.ordered);
        settings.offsets.out_of_range = self.out_of_range;
        let worker = Worker::new(
            settings,
            &kafka,
            transform(start + self.unreachable.start..start + self.unreachable.end),
            deliveries,
            dead_letters,
            metrics.clone(),
            stop,
        )
        .paused_by(hold)
        .traced_by(self.traces.map(|traces| traces.tracer("test", "the-group", &metrics)));
        let outcome = worker.run();
        let ledger = std::mem::take(&mut *ledger.lock().unwrap());
        Report {
            outcome,
            ledger,
            metrics,
            moves: kafka.moves.take(),
            pauses: kafka.pauses.get(),
            longest_gap: kafka.longest_gap.get(),
            took: start.elapsed(),
            left: kafka.script.borrow().len(),
        }
    }
}

/// What a run has shown.
pub(in crate::worker::tests) struct Report {
    pub outcome: Outcome,
    pub ledger: Ledger,
    pub metrics: Metrics,
    /// Where the worker has gone on elsewhere.
    pub moves: Vec<KafkaPlace>,
    pub pauses: usize,
    pub longest_gap: Duration,
    pub took: Duration,
    /// Events that were never polled.
    pub left: usize,
}

fn transform(unreachable: Range<Instant>) -> Transform {
    let field = Field::new("at", Source::Value("at".parse().unwrap()), FieldKind::String);
    let rule = PointRule::new(Template(vec![Piece::Text("m".into())]), vec![field]);
    let decoder = Decoder::Documents(Documents::Unreachable(unreachable));
    let encoder = Encoder::LineProtocol(LineProtocol::new(Precision::Ns));
    Transform::new(decoder, Plan::new(&rule.into()), encoder)
}

fn settings(points: usize, in_flight: usize, ordered: bool) -> Settings {
    Settings {
        connector: "test".into(),
        number: 0,
        batch: BatchLimits {
            points: points.try_into().unwrap(),
            bytes: 1_000_000.try_into().unwrap(),
            linger: Duration::from_millis(500),
        },
        in_flight: if ordered { 1 } else { in_flight }.try_into().unwrap(),
        ordered,
        repeats: 2 * points,
        drain: Duration::from_secs(20),
        group: "test".into(),
        offsets: Offsets {
            start: OffsetOutOfRange::Earliest,
            out_of_range: OffsetOutOfRange::Earliest,
        },
    }
}

fn delivery() -> Delivery {
    Delivery {
        in_flight: 4.try_into().unwrap(),
        timeout: Duration::from_secs(30),
        min_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(30),
        drain: Duration::from_secs(20),
    }
}
