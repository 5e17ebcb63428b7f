//! Topics to be read: how they are filled, and how far a group has come in them.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::stack::Kafka;
use crate::workload::Message;

/// A topic that is there and full.
#[derive(Debug, Clone)]
pub struct Topic {
    pub bootstrap: String,
    pub name: String,
    pub partitions: i32,
    pub messages: u64,
    /// What kind its messages are of.
    pub kind: Message,
}

impl Topic {
    /// Fills a new topic: `message` gives each key and value by its number.
    pub fn filled(
        kafka: &Kafka,
        name: &str,
        partitions: i32,
        compression: &str,
        messages: u64,
        kind: Message,
        message: impl Fn(u64) -> (String, Vec<u8>),
    ) -> Self {
        kafka.create_topic(name, partitions);
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap())
            .set("compression.type", compression)
            .set("queue.buffering.max.messages", "200000")
            .set("message.max.bytes", "2000000")
            .set("linger.ms", "20")
            .create()
            .expect("a producer");
        for n in 0..messages {
            let (key, value) = message(n);
            let mut record = BaseRecord::to(name).key(&key).payload(&value);
            while let Err((_, back)) = producer.send(record) {
                producer.poll(Duration::from_millis(10));
                record = back;
            }
            if n % 1000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(Duration::from_mins(2)).expect("the broker takes all");
        let (bootstrap, name) = (kafka.bootstrap().to_owned(), name.to_owned());
        Self { bootstrap, name, partitions, messages, kind }
    }

    /// Asks how far a group has come, without being a member of it.
    pub fn progress(&self, group: &str) -> Progress {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", group)
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.name, 0, self.partitions - 1);
        Progress { consumer, list }
    }
}

pub struct Progress {
    consumer: BaseConsumer,
    list: TopicPartitionList,
}

impl Progress {
    /// Records that the group has committed, as far as its coordinator says.
    pub fn committed(&self) -> u64 {
        let within = Duration::from_secs(20);
        // A broker that has just begun does not know yet that it coordinates the group.
        let Ok(offsets) = self.consumer.committed_offsets(self.list.clone(), within) else {
            return 0;
        };
        let done = |offset| if let Offset::Offset(next) = offset { next.unsigned_abs() } else { 0 };
        offsets.elements().iter().map(|element| done(element.offset())).sum()
    }
}
