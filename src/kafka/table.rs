//! A compacted topic with one partition as a table: of each key the last value counts.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as LibraryError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::Offset as LibraryOffset;
use rdkafka::types::RDKafkaErrorCode;
use tracing::debug;

use super::producer::set_properties;
use super::range::{Context as ReaderContext, consumer};
use super::{KafkaError, Properties, trouble};

/// How long brokers may take to confirm a row.
const WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked for.
const TURN: Duration = Duration::from_millis(20);

/// How large a segment of the topic may become. Only what is in closed ones is compacted, and the
/// brokers' own gigabyte would have to be read at each start. (Confluent Cloud takes no less.)
const SEGMENT_BYTES: &str = "52428800";

/// Makes the topic, if there is none: compacted, one partition, and as many replicas as the brokers'
/// own setting says.
pub async fn create(properties: &Properties, topic: &str) -> Result<(), KafkaError> {
    let admin: AdminClient<DefaultClientContext> = producing(properties).create()?;
    let new =
        || NewTopic::new(topic, 1, TopicReplication::Fixed(-1)).set("cleanup.policy", "compact");
    let options = AdminOptions::new().request_timeout(Some(WITHIN));
    let mut result = Ok(());
    // A service may let nobody choose the size of segments.
    for wanted in [new().set("segment.bytes", SEGMENT_BYTES), new()] {
        let results = admin.create_topics(&[wanted], &options).await?;
        let refused = results.into_iter().find_map(Result::err).map(|(_, code)| code);
        result = match refused {
            None | Some(RDKafkaErrorCode::TopicAlreadyExists) => return Ok(()),
            Some(code) => Err(KafkaError { reason: code.to_string(), fatal: false }),
        };
    }
    result
}

/// Writes rows.
pub struct TableWriter {
    config: ClientConfig,
    producer: Mutex<Arc<BaseProducer<Confirming>>>,
    topic: String,
}

impl TableWriter {
    pub fn new(properties: &Properties, topic: &str) -> Result<Self, KafkaError> {
        let mut config = producing(properties);
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // Beyond it nothing is written any more: a failure is one.
            .set("message.timeout.ms", WITHIN.as_millis().to_string());
        let producer = Mutex::new(Arc::new(config.create_with_context(Confirming)?));
        Ok(Self { config, producer, topic: topic.to_owned() })
    }

    /// One that has not failed for good, as an idempotent client does that may not write: it may be allowed to by now.
    fn producer(&self) -> Result<Arc<BaseProducer<Confirming>>, KafkaError> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if producer.client().fatal_error().is_some() {
            *producer = Arc::new(self.config.create_with_context(Confirming)?);
        }
        Ok(Arc::clone(&producer))
    }

    /// Sets keys' values, or removes them, and waits until the brokers have confirmed it. After an
    /// error some of the rows may be there, or come to be.
    pub fn put_all<'r>(
        &self,
        rows: impl IntoIterator<Item = (&'r str, Option<&'r [u8]>)>,
        within: Duration,
    ) -> Result<(), KafkaError> {
        let (deadline, producer) = (Instant::now() + within, self.producer()?);
        // Of a failure for good librdkafka says no more with each row.
        let why = |error: LibraryError| match producer.client().fatal_error() {
            Some((_, reason)) => KafkaError { reason: trouble::explained(&reason), fatal: false },
            None => error.into(),
        };
        let (sender, confirmations) = channel();
        let mut waiting = 0;
        for (key, value) in rows {
            let record = BaseRecord::with_opaque_to(&self.topic, Box::new(sender.clone())).key(key);
            let record = match value {
                Some(value) => record.payload(value),
                None => record,
            };
            producer.send(record).map_err(|(error, _)| why(error))?;
            waiting += 1;
        }
        while waiting > 0 {
            // Another's confirmations may be served here, and these elsewhere.
            producer.poll(TURN);
            while let Ok(result) = confirmations.try_recv() {
                result.map_err(why)?;
                waiting -= 1;
            }
            if Instant::now() > deadline && waiting > 0 {
                return Err(KafkaError { reason: "no confirmation".into(), fatal: false });
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// A change of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A key's value; `None` where it is removed.
    Set(String, Option<Vec<u8>>),
    /// All that was there has been read, for now.
    AtEnd,
}

/// Reads rows from the first on, and then those that come.
pub struct TableReader {
    consumer: BaseConsumer<ReaderContext>,
}

impl TableReader {
    pub fn new(properties: &Properties, topic: &str) -> Result<Self, KafkaError> {
        let consumer = consumer(properties)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, LibraryOffset::Beginning)?;
        consumer.assign(&list)?;
        Ok(Self { consumer })
    }

    /// The next one, if it comes within the timeout. Brokers that are away are waited for.
    pub fn next(&self, timeout: Duration) -> Option<Row> {
        match self.consumer.poll(timeout)? {
            Ok(message) => {
                let key = String::from_utf8(message.key()?.to_vec()).ok()?;
                Some(Row::Set(key, message.payload().map(<[u8]>::to_vec)))
            }
            Err(LibraryError::PartitionEOF(_)) => Some(Row::AtEnd),
            Err(error) => {
                debug!(%error, "reading a table");
                None
            }
        }
    }
}

impl std::fmt::Debug for TableReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableReader").finish_non_exhaustive()
    }
}

fn producing(properties: &Properties) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", "tidegate");
    set_properties(&mut config, properties);
    config
}

/// Tells who waits for a row that it is there, or is not.
struct Confirming;

impl ClientContext for Confirming {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        super::pass_on_log(level, facility, message);
    }

    fn error(&self, error: LibraryError, reason: &str) {
        debug!(%error, reason, "the writer of a table");
    }
}

impl ProducerContext for Confirming {
    type DeliveryOpaque = Box<Sender<Result<(), LibraryError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        let result = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        // Nobody waits any longer after a time-out.
        let _ = waiting.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::mock::MockKafka;

    /// Its client has failed for good, and another is made: nobody restarts a process for a permission.
    #[test]
    fn rows_can_be_written_as_soon_as_that_is_allowed() {
        let kafka = MockKafka::start(&[("t", 1)]).unwrap();
        kafka.refuse_producer();
        let properties = kafka.properties();
        let writer = TableWriter::new(&properties, "t").unwrap();
        let put = || writer.put_all([("key", Some(&b"value"[..]))], WITHIN);
        let refused = put().unwrap_err().reason;
        assert!(refused.contains("; grant its user WRITE"), "{refused}");
        put().unwrap();
        assert_eq!(kafka.count_records("t", WITHIN).unwrap().records, 1);
    }
}
