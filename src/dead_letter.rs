//! What a rejected record carries into the dead-letter topic: itself unchanged, and why.
//!
//! The headers are those of Kafka Connect (KIP-298,
//! `org.apache.kafka.connect.runtime.errors.DeadLetterQueueReporter`), because existing tools read
//! them.

use crate::record::Record;

/// Why a record is not written: what its dead letter says, or why the connector has stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub stage: Stage,
    pub reason: String,
}

/// Where on its way a record was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The value is not a message of the declared format.
    Decode,
    /// The message can't become a point by the mapping.
    Map,
    /// The point is not one that the database can take.
    Encode,
    /// The database refused the point.
    Write,
}

impl Stage {
    /// Kafka Connect's name of the stage (`org.apache.kafka.connect.runtime.errors.Stage`).
    fn connect_name(self) -> &'static str {
        match self {
            Self::Decode => "VALUE_CONVERTER",
            Self::Map | Self::Encode => "TRANSFORMATION",
            Self::Write => "TASK_PUT",
        }
    }

    /// What failed, in place of the Java exception's class that Kafka Connect puts there.
    fn class_name(self) -> &'static str {
        match self {
            Self::Decode => "tidegate.DecodeError",
            Self::Map => "tidegate.MapError",
            Self::Encode => "tidegate.EncodeError",
            Self::Write => "tidegate.RejectedByDatabase",
        }
    }
}

/// A header to add to a dead letter.
pub type Header = (&'static str, String);

/// The headers that say where a rejected record comes from and why it was rejected; they follow the
/// record's own.
pub fn headers<R: Record>(
    record: &R,
    connector: &str,
    worker: usize,
    reject: &Reject,
) -> [Header; 8] {
    [
        ("__connect.errors.topic", record.topic().to_owned()),
        ("__connect.errors.partition", record.partition().to_string()),
        ("__connect.errors.offset", record.offset().to_string()),
        ("__connect.errors.connector.name", connector.to_owned()),
        ("__connect.errors.task.id", worker.to_string()),
        ("__connect.errors.stage", reject.stage.connect_name().to_owned()),
        ("__connect.errors.exception.class.name", reject.stage.class_name().to_owned()),
        ("__connect.errors.exception.message", reject.reason.clone()),
    ]
}
