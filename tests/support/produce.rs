//! Producing what was planned, at a steady rate, and proving that each message has got the offset that it was planned
//! for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Message};

/// A message to produce; it gets the next offset of its partition.
pub struct ToProduce {
    pub partition: usize,
    pub key: String,
    pub payload: Vec<u8>,
}

/// A production in the background.
pub struct Production {
    reports: Arc<Reports>,
    thread: JoinHandle<()>,
}

impl Production {
    pub fn start(
        bootstrap: &str,
        topic: &str,
        a_second: u32,
        messages: impl Iterator<Item = ToProduce> + Send + 'static,
    ) -> Self {
        let reports = Arc::new(Reports::default());
        // Idempotent, so all in-sync replicas confirm; and for as long as it takes.
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("message.timeout.ms", "0")
            .set("socket.timeout.ms", "10000")
            .set("log_level", "2") // a broker that is down on purpose is no news
            .create_with_context(Context(Arc::clone(&reports)))
            .expect("a producer");
        let topic = topic.to_owned();
        let thread = thread::spawn(move || produce(&producer, &topic, a_second, messages));
        Self { reports, thread }
    }

    /// Messages that the brokers have confirmed at their planned offset.
    pub fn as_planned(&self) -> usize {
        self.reports.as_planned.load(Ordering::Acquire)
    }

    /// Messages that have failed, or got another offset.
    pub fn astray(&self) -> usize {
        self.reports.astray.load(Ordering::Acquire)
    }

    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// # Panics
    /// When the thread has.
    pub fn join(self) -> usize {
        self.thread.join().expect("the producing thread");
        assert_eq!(self.reports.astray.load(Ordering::Acquire), 0, "messages astray");
        self.reports.as_planned.load(Ordering::Acquire)
    }
}

fn produce(
    producer: &ThreadedProducer<Context>,
    topic: &str,
    a_second: u32,
    messages: impl Iterator<Item = ToProduce>,
) {
    let start = Instant::now();
    let mut offsets = Vec::new();
    for (number, message) in (0u32..).zip(messages) {
        if number % (a_second / 40) == 0 {
            let due = start + Duration::from_secs(1) * number / a_second;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let ToProduce { partition, key, payload } = message;
        offsets.resize(offsets.len().max(partition + 1), 0);
        let mut record = BaseRecord::with_opaque_to(topic, offsets[partition])
            .partition(i32::try_from(partition).expect("a small number"))
            .key(&key)
            .payload(&payload);
        // Full while the brokers confirm nothing.
        while let Err((error, same)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "producing to {topic}");
            thread::sleep(Duration::from_millis(20));
            record = same;
        }
        offsets[partition] += 1;
    }
    while producer.in_flight_count() > 0 {
        // Its time-out is no failure.
        let _ = producer.flush(Duration::from_secs(1));
    }
}

#[derive(Default)]
struct Reports {
    as_planned: AtomicUsize,
    astray: AtomicUsize,
}

struct Context(Arc<Reports>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, planned: usize) {
        let offset = result.as_ref().map(Message::offset);
        let as_planned = offset.is_ok_and(|offset| usize::try_from(offset) == Ok(planned));
        let count = if as_planned { &self.0.as_planned } else { &self.0.astray };
        count.fetch_add(1, Ordering::AcqRel);
    }
}
