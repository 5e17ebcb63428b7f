//! How a worker ends, and why.

use std::fmt;

use super::LostPlace;
use crate::dead_letter::Reject;
use crate::record::{Offset, TopicPartition};

/// How a worker has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Stopped,
    Failed(Failure),
}

/// Why a worker can't go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A record was rejected, and no dead-letter topic is named.
    Record { partition: TopicPartition, offset: Offset, reject: Reject },
    /// The place to read on from is gone, and the configuration says to stop then.
    OutOfRange(LostPlace),
    /// The group has no place in a partition, and the configuration says to stop then.
    NoStart { partition: TopicPartition },
    /// Kafka has ended this client for good.
    Kafka(String),
    /// What it is made of can't be made: a certificate that can't be read, a property that librdkafka
    /// refuses.
    Start(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { partition, offset, reject } => write!(
                f,
                "the record at {partition} offset {offset} was rejected: {}; name a dead_letter topic \
                 to set such records aside and go on",
                reject.reason
            ),
            Self::OutOfRange(lost) => {
                write!(f, "{lost}; set `offset_out_of_range` to `earliest` or `latest` to go on")
            }
            Self::NoStart { partition } => write!(
                f,
                "the group has committed no offset in {partition}, and `auto.offset.reset` is \
                 `error`; set it to `earliest` or `latest` to begin"
            ),
            Self::Kafka(reason) => write!(f, "Kafka: {reason}"),
            Self::Start(reason) => write!(f, "can't be started: {reason}"),
        }
    }
}
