//! The floor: polls every message of a topic and looks at its length.

use std::io::Read as _;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _};

/// Reads so many messages, says so in a line, and then waits to be measured.
pub fn consume(bootstrap: &str, topic: &str, group: &str, messages: u64) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "50")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("a topic");
    let (mut seen, mut bytes) = (0, 0);
    while seen < messages {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message.expect("a message").payload().map_or(0, <[u8]>::len);
            seen += 1;
        }
    }
    println!("{seen} {bytes}");
    let _ = std::io::stdin().read(&mut [0]);
}
