//! A connector's place: what its group has committed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{kafka, named};
use crate::connector::State;
use crate::connectors::Shown;
use crate::kafka::KafkaError;
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::server::route::{Answer, Call, Refusal, Reply};
use crate::watermark::Covers;

/// How long brokers may take for an answer.
const WITHIN: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offsets {
    offsets: Vec<PartitionOffset>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartitionOffset {
    partition: Partition,
    offset: Option<Place>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partition {
    kafka_topic: String,
    kafka_partition: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    kafka_offset: i64,
}

pub(super) fn body() -> Value {
    json!({
        "type": "object",
        "required": ["offsets"],
        "additionalProperties": false,
        "properties": { "offsets": { "type": "array", "items": {
            "type": "object",
            "required": ["partition", "offset"],
            "additionalProperties": false,
            "properties": {
                "partition": {
                    "type": "object",
                    "required": ["kafka_topic", "kafka_partition"],
                    "additionalProperties": false,
                    "properties": {
                        "kafka_topic": { "type": "string" },
                        "kafka_partition": { "type": "integer", "minimum": 0, "maximum": i32::MAX },
                    },
                },
                "offset": {
                    "type": "object",
                    "required": ["kafka_offset"],
                    "additionalProperties": false,
                    "properties": {
                        "kafka_offset": { "type": "integer", "minimum": 0, "maximum": i64::MAX },
                    },
                },
            },
        } } },
    })
}

pub(super) fn get(call: &Call) -> Answer {
    let config = named(call)?.config;
    let place = kafka::place(&config.kafka, &config.group, &config.topics, WITHIN)
        .map_err(|error| refused(&error))?;
    let offsets = place.iter().map(|(partition, next)| PartitionOffset {
        partition: Partition {
            kafka_topic: partition.topic.to_string(),
            kafka_partition: partition.partition,
        },
        offset: Some(Place { kafka_offset: next.get() }),
    });
    Reply::ok(json!(Offsets { offsets: offsets.collect() }))
}

pub(super) fn alter(call: &Call) -> Answer {
    let shown = stopped(call)?;
    let Offsets { offsets } = call.body()?;
    if offsets.is_empty() {
        return Err(Refusal::bad(
            "Partitions / offsets need to be provided for an alter offsets request",
        ));
    }
    let config = &shown.config;
    let mut place = Covers::new();
    for PartitionOffset { partition, offset } in offsets {
        let Some(Place { kafka_offset }) = offset.filter(|place| place.kafka_offset >= 0) else {
            return Err(Refusal::bad(
                "an offset is a whole number from 0; DELETE forgets all of a connector's offsets",
            ));
        };
        let Partition { kafka_topic, kafka_partition } = partition;
        let partition = TopicPartition { topic: kafka_topic.into(), partition: kafka_partition };
        place.insert(partition, NextOffset::at(Offset(kafka_offset)));
    }
    kafka::set_place(&config.kafka, &config.group, &place).map_err(|error| refused(&error))?;
    Reply::ok(json!({
        "message": "The offsets for this connector have been altered successfully",
    }))
}

pub(super) fn reset(call: &Call) -> Answer {
    let config = stopped(call)?.config;
    let forgotten = kafka::forget(&config.kafka, &config.group, WITHIN);
    call.served.runtime.block_on(forgotten).map_err(|error| refused(&error))?;
    Reply::ok(json!({
        "message": "The offsets for this connector have been reset successfully",
    }))
}

fn stopped(call: &Call) -> Result<Shown, Refusal> {
    let shown = named(call)?;
    if shown.view.state() == State::Stopped {
        return Ok(shown);
    }
    Err(Refusal::bad(
        "Connectors must be in the STOPPED state before their offsets can be modified. This can be \
         done for the specified connector by issuing a 'PUT' request to the \
         '/connectors/{connector}/stop' endpoint",
    ))
}

/// What is not there is no failure of the server.
fn refused(error: &KafkaError) -> Refusal {
    let code = if error.is_missing() { 409 } else { 500 };
    Refusal::new(code, format!("Kafka: {}", error.reason))
}
