//! A compacted topic with one partition as a table: of each key the last value counts.

use std::sync::mpsc::{SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as LibraryError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};
use rdkafka::topic_partition_list::Offset as LibraryOffset;
use rdkafka::types::RDKafkaErrorCode;
use tracing::debug;

use super::producer::set_properties;
use super::range::{Context as ReaderContext, consumer};
use super::{KafkaError, Properties};

/// How long brokers may take to confirm a row.
const WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked for.
const TURN: Duration = Duration::from_millis(20);

/// Makes the topic, if there is none: compacted, one partition, and as many replicas as the brokers'
/// own setting says.
pub async fn create(properties: &Properties, topic: &str) -> Result<(), KafkaError> {
    let admin: AdminClient<DefaultClientContext> = producing(properties).create()?;
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(-1)).set("cleanup.policy", "compact");
    let options = AdminOptions::new().request_timeout(Some(WITHIN));
    for result in admin.create_topics(&[new], &options).await? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError { reason: code.to_string(), fatal: false }),
        }
    }
    Ok(())
}

/// Writes rows.
pub struct TableWriter {
    producer: BaseProducer<Confirming>,
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
        let producer = config.create_with_context(Confirming)?;
        Ok(Self { producer, topic: topic.to_owned() })
    }

    /// Sets a key's value, or removes it, and waits until the brokers have confirmed it.
    pub fn put(&self, key: &str, value: Option<&[u8]>) -> Result<(), KafkaError> {
        let (sender, confirmed) = sync_channel(1);
        let record = BaseRecord::with_opaque_to(&self.topic, Box::new(sender)).key(key);
        let record = match value {
            Some(value) => record.payload(value),
            None => record,
        };
        self.producer.send(record).map_err(|(error, _)| error)?;
        let deadline = Instant::now() + 2 * WITHIN;
        loop {
            self.producer.poll(TURN);
            match confirmed.try_recv() {
                Ok(result) => return result.map_err(KafkaError::from),
                Err(TryRecvError::Empty) if Instant::now() < deadline => {}
                Err(_) => {
                    return Err(KafkaError { reason: "no confirmation".into(), fatal: false });
                }
            }
        }
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
    type DeliveryOpaque = Box<SyncSender<Result<(), LibraryError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        let result = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        // Nobody waits any longer after a time-out.
        let _ = waiting.send(result);
    }
}
