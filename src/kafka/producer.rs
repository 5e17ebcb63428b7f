//! The producer of dead letters, on librdkafka.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError as LibraryError, RDKafkaErrorCode};
use rdkafka::message::{Header as LibraryHeader, OwnedHeaders};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, warn};

use super::{DeadLetterTopic, KafkaError, LetterId, Properties, trouble};
use crate::dead_letter::{self, Header};
use crate::deliver::Settled;
use crate::record::Record;

/// Properties of `kafka:` that are a consumer's: passing them on makes librdkafka complain.
const CONSUMER_ONLY: &[&str] = &[
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

/// Those of `kafka:` that clients have that are no consumers.
pub(super) fn set_properties(config: &mut ClientConfig, properties: &Properties) {
    for (key, value) in properties {
        if !CONSUMER_ONLY.iter().any(|name| key.starts_with(name)) {
            config.set(key, value.expose());
        }
    }
}

/// How long the brokers may take to say whether the topic exists.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// So long after it was made a client that has failed for good is made anew: a permission may have come meanwhile.
const RENEWED_AFTER: Duration = Duration::from_secs(10);

/// Produces to one dead-letter topic and reports what the brokers have confirmed.
pub struct DeadLetterProducer {
    config: ClientConfig,
    topic: Arc<str>,
    settled: UnboundedSender<Settled>,
    client: RefCell<Client>,
}

/// What may fail for good: an idempotent client does where it can't tell any longer what has been written, and where
/// it may not write at all.
#[derive(Clone)]
struct Client {
    producer: Arc<ThreadedProducer<Context>>,
    made: Instant,
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
            .set("message.max.bytes", "104857600")
            // A broker measures batches against its limit, not letters: one that takes a letter must
            // not refuse it for those beside it.
            .set("batch.size", "16384")
            // How long a topic that nobody knows is waited for.
            .set("topic.metadata.propagation.max.ms", "3000");
        set_properties(&mut config, properties);
        // All in-sync replicas confirm, and a retry inside librdkafka writes no second letter.
        config.set("acks", "all").set("enable.idempotence", "true");
        config.set_log_level(RDKafkaLogLevel::Info);
        let topic: Arc<str> = topic.into();
        let client = Client::new(&config, &topic, &settled)?;
        Ok(Self { config, topic, settled, client: RefCell::new(client) })
    }

    /// One that has not failed for good. What one that has was still producing fails as it goes, and is produced again.
    fn producer(&self) -> Result<Arc<ThreadedProducer<Context>>, KafkaError> {
        let mut client = self.client.borrow_mut();
        if let Some(reason) = client.producer.client().context().failure.get() {
            if client.made.elapsed() < RENEWED_AFTER {
                return Err(KafkaError { reason: reason.clone(), fatal: false });
            }
            *client = Client::new(&self.config, &self.topic, &self.settled)?;
        }
        Ok(Arc::clone(&client.producer))
    }

    /// Asks the brokers for the topic, which lets those create it that create topics by themselves.
    ///
    /// # Errors
    /// When it can't be written, with the mend. Brokers that don't answer in time are no error.
    pub fn check(&self, within: Duration) -> Result<(), KafkaError> {
        self.client.borrow().check(&self.topic, within)
    }

    /// Says so at once, instead of with the first letter, when the topic can't be written.
    pub fn warn_if_unwritable(&self, connector: &str) {
        let (client, topic) = (self.client.borrow().clone(), Arc::clone(&self.topic));
        let connector = connector.to_owned();
        // Not on the worker's thread, which must poll. Without the thread nothing is lost but time.
        let thread = std::thread::Builder::new().name("dead-letter-check".to_owned());
        let _ = thread.spawn(move || {
            if let Err(error) = client.check(&topic, CHECK_WITHIN) {
                warn!(connector, reason = error.reason, "rejected records will have to wait");
            }
        });
    }
}

impl Client {
    fn new(
        config: &ClientConfig,
        topic: &Arc<str>,
        settled: &UnboundedSender<Settled>,
    ) -> Result<Self, KafkaError> {
        let (topic, settled) = (Arc::clone(topic), settled.clone());
        let context = Context { topic, settled, failure: OnceLock::new() };
        let producer = Arc::new(config.create_with_context(context)?);
        Ok(Self { producer, made: Instant::now() })
    }

    fn check(&self, topic: &str, within: Duration) -> Result<(), KafkaError> {
        let Ok(metadata) = self.producer.client().fetch_metadata(Some(topic), within) else {
            return Ok(());
        };
        let found = metadata.topics().first();
        let code = found.and_then(MetadataTopic::error).map(RDKafkaErrorCode::from);
        match code {
            // A leader that is not elected yet, as of a topic that was created just now, will be.
            None | Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(()),
            Some(code) => Err(KafkaError { reason: refusal(code, topic), fatal: false }),
        }
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
        for (key, value) in dead_letter::own_headers(record) {
            all = all.insert(LibraryHeader { key, value });
        }
        for (key, value) in headers {
            all = all.insert(LibraryHeader { key, value: Some(value) });
        }
        let mut letter = BaseRecord::with_opaque_to(&self.topic, Box::new(id)).headers(all);
        letter.key = record.key();
        letter.payload = record.value();
        letter.timestamp = record.timestamp_millis();
        let producer = self.producer()?;
        let sent = producer.send(letter);
        sent.map_err(|(error, _)| KafkaError {
            reason: producer.client().context().why(&error),
            fatal: false,
        })
    }
}

struct Context {
    topic: Arc<str>,
    settled: UnboundedSender<Settled>,
    /// Why the client has failed for good, once it has.
    failure: OnceLock<String>,
}

impl Context {
    /// Why a letter was not produced, with the mend where there is one.
    fn why(&self, error: &LibraryError) -> String {
        use RDKafkaErrorCode as Code;
        match (error.rdkafka_error_code(), self.failure.get()) {
            // With each letter librdkafka only says that the client has failed, or has gone since.
            (Some(Code::Fatal | Code::PurgeQueue | Code::PurgeInflight), Some(reason)) => {
                reason.clone()
            }
            (Some(code), _) => refusal(code, &self.topic),
            (None, _) => error.to_string(),
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Nothing else is of this level (`rd_kafka_set_fatal_error0`). A letter that fails says it, and which.
        if let RDKafkaLogLevel::Emerg = level {
            let reason = trouble::of_log_line(message);
            let reason = trouble::explained(reason.trim_start_matches("Fatal error: "));
            let _ = self.failure.set(format!("the dead-letter topic {}: {reason}", self.topic));
        } else {
            super::pass_on_log(level, facility, message);
        }
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
            Err((error, _)) => Err(self.why(error)),
        };
        // The receiver is gone when the worker has ended: nobody commits then.
        let _ = self.settled.send(Settled::DeadLetter { id: id.batch, record: id.record, result });
    }
}

/// What a broker's (or librdkafka's) error says of a dead-letter topic, with the mend.
fn refusal(code: RDKafkaErrorCode, topic: &str) -> String {
    use RDKafkaErrorCode as Code;
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition => {
            format!("the dead-letter topic {topic} does not exist: create it")
        }
        Code::MessageSizeTooLarge => format!(
            "a letter is too large for the dead-letter topic {topic}: raise max.message.bytes of the \
             topic (a letter is its record and up to 5 KiB of headers)"
        ),
        Code::TopicAuthorizationFailed => format!(
            "not allowed to write to the dead-letter topic {topic}: grant its user WRITE and DESCRIBE"
        ),
        Code::InvalidTimestamp => format!(
            "the dead-letter topic {topic} refuses a record's timestamp: raise its \
             message.timestamp.after.max.ms and message.timestamp.before.max.ms"
        ),
        Code::InvalidRecord => format!(
            "the dead-letter topic {topic} refuses a letter as invalid: a compacted topic takes no \
             record without a key; set its cleanup.policy to delete"
        ),
        other => format!("the dead-letter topic {topic}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::batch::RecordIndex;
    use crate::kafka::mock::MockKafka;
    use crate::record::OwnedRecord;
    use crate::watermark::{Covers, Watermark};

    /// Letters would have failed until the process ended.
    #[test]
    fn a_producer_that_has_failed_for_good_says_why_and_is_made_anew() {
        let kafka = MockKafka::start(&[("t", 1), ("x.dead", 1)]).unwrap();
        kafka.refuse_producer();
        let properties = kafka.properties();
        let (settled, mut confirmations) = mpsc::unbounded_channel();
        let producer = DeadLetterProducer::new(&properties, "x.dead", settled).unwrap();
        let record = OwnedRecord::new("t", b"x".to_vec(), None);
        let batch = Watermark::default().push(Covers::new(), ());
        let id = LetterId { batch, record: RecordIndex(0) };
        let mut send = || {
            producer.send(&record, &[], id)?;
            match confirmations.blocking_recv() {
                Some(Settled::DeadLetter { result, .. }) => {
                    result.map_err(|reason| KafkaError { reason, fatal: false })
                }
                other => panic!("{other:?}"),
            }
        };
        for _ in 0..2 {
            let refused = send().unwrap_err().reason;
            assert!(refused.starts_with("the dead-letter topic x.dead: Broker"), "{refused}");
            assert!(refused.contains("grant its user WRITE"), "{refused}");
        }
        producer.client.borrow_mut().made -= RENEWED_AFTER;
        send().unwrap();
        assert_eq!(kafka.count_records("x.dead", CHECK_WITHIN).unwrap().records, 1);
    }

    #[test]
    fn a_refusal_that_a_person_must_mend_names_the_topic_and_the_mend() {
        for (code, mend) in [
            (RDKafkaErrorCode::UnknownTopicOrPartition, "create it"),
            (RDKafkaErrorCode::MessageSizeTooLarge, "raise max.message.bytes"),
            (RDKafkaErrorCode::TopicAuthorizationFailed, "WRITE"),
            (RDKafkaErrorCode::InvalidTimestamp, "message.timestamp.after.max.ms"),
            (RDKafkaErrorCode::InvalidRecord, "cleanup.policy"),
            (RDKafkaErrorCode::NotEnoughReplicas, ""),
        ] {
            let text = refusal(code, "x.dead");
            assert!(text.contains("x.dead") && text.contains(mend), "{text}");
        }
    }
}
