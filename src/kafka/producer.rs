//! The producer of dead letters, on librdkafka.

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::message::{Header as LibraryHeader, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use tokio::sync::mpsc::UnboundedSender;
use tracing::debug;

use super::{DeadLetterTopic, KafkaError, LetterId, Properties};
use crate::dead_letter::Header;
use crate::deliver::Settled;
use crate::record::Record;

/// Properties of `kafka:` that are a consumer's: passing them on makes librdkafka complain.
pub(super) const CONSUMER_ONLY: &[&str] = &[
    "auto.offset.reset",
    "check.crcs",
    "fetch.",
    "group.",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "queued.",
    "session.timeout.ms",
    "statistics.interval.ms",
    "auto.commit.interval.ms",
];

/// Produces to one dead-letter topic and reports what the brokers have confirmed.
pub struct DeadLetterProducer {
    topic: String,
    producer: ThreadedProducer<Context>,
}

impl DeadLetterProducer {
    /// Confirmations go to `settled`.
    pub fn new(
        properties: &Properties,
        topic: &str,
        settled: UnboundedSender<Settled>,
    ) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        // A record that was small enough for its own topic must not fail here for its added headers;
        // the dead-letter topic's own limit still counts.
        config
            .set("client.id", "tidegate")
            .set("compression.type", "lz4")
            .set("message.max.bytes", "104857600");
        for (key, value) in properties {
            if !CONSUMER_ONLY.iter().any(|name| key.starts_with(name)) {
                config.set(key, value.expose());
            }
        }
        // All in-sync replicas confirm, and a retry inside librdkafka writes no second letter.
        config.set("acks", "all").set("enable.idempotence", "true");
        let producer =
            config.set_log_level(RDKafkaLogLevel::Info).create_with_context(Context { settled })?;
        Ok(Self { topic: topic.to_owned(), producer })
    }
}

impl DeadLetterTopic for DeadLetterProducer {
    fn send<R: Record>(
        &self,
        record: &R,
        headers: &[Header],
        id: LetterId,
    ) -> Result<(), KafkaError> {
        let mut all = OwnedHeaders::new_with_capacity(headers.len());
        for (key, value) in record.headers() {
            all = all.insert(LibraryHeader { key, value });
        }
        for (key, value) in headers {
            all = all.insert(LibraryHeader { key, value: Some(value) });
        }
        let mut letter = BaseRecord::with_opaque_to(&self.topic, Box::new(id)).headers(all);
        letter.key = record.key();
        letter.payload = record.value();
        letter.timestamp = record.timestamp_millis();
        self.producer.send(letter).map_err(|(error, _)| error.into())
    }
}

struct Context {
    settled: UnboundedSender<Settled>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::pass_on_log(level, facility, message);
    }

    /// The consumer of the same worker sees the same brokers and reports.
    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        debug!(%error, reason, "the dead-letter producer");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<LetterId>;

    fn delivery(&self, result: &DeliveryResult<'_>, id: Box<LetterId>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.to_string()),
        };
        // The receiver is gone when the worker has ended: nobody commits then.
        let _ = self.settled.send(Settled::DeadLetter { id: id.batch, record: id.record, result });
    }
}
