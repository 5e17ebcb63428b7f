//! A dead letter read back: what its headers say, whoever wrote it.

use super::{PREFIX, Stage};
use crate::record::{Offset, Record, TopicPartition};

/// Where a dead letter's record was read before it was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub partition: TopicPartition,
    pub offset: Offset,
}

/// What a dead letter's headers say of it: Tidegate's, or those of a Java worker of Kafka Connect.
/// Of headers that are there twice, as Kafka Connect leaves them, the last counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The connector that has rejected it.
    pub connector: Option<String>,
    pub origin: Option<Origin>,
    /// Tidegate's word, or else Kafka Connect's.
    pub stage: String,
    /// Never empty.
    pub reason: String,
}

impl Account {
    /// Reads a letter's headers. `None` when there is not one of the kind: it is no dead letter.
    pub fn of<R: Record>(letter: &R) -> Option<Self> {
        let text = |name: &str| {
            let bytes = letter.header(&format!("{PREFIX}{name}"))?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        if !letter.headers().iter().any(|(name, _)| name.starts_with(PREFIX)) {
            return None;
        }
        let exception = text("exception.class.name");
        let stage =
            Stage::ALL.iter().find(|stage| exception.as_deref() == Some(stage.exception_name()));
        // A Java exception may have no message.
        let reason = text("exception.message").filter(|reason| !reason.is_empty()).or(exception);
        Some(Self {
            connector: text("connector.name"),
            origin: Origin::of(letter),
            stage: match stage {
                Some(stage) => stage.name().to_owned(),
                None => text("stage").unwrap_or_else(|| "unknown stage".to_owned()),
            },
            reason: reason.unwrap_or_else(|| "no reason given".to_owned()),
        })
    }
}

impl Origin {
    /// For replies and output.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "topic": &*self.partition.topic,
            "partition": self.partition.partition,
            "offset": self.offset.0,
        })
    }

    /// Where a record was read, or, of a replayed letter, was read at first.
    pub fn new<R: Record>(record: &R) -> Self {
        let partition =
            TopicPartition { topic: record.topic().into(), partition: record.partition() };
        Self { partition, offset: record.offset() }
    }

    /// Where a letter's record was read. `None` when its headers don't say so.
    pub fn of<R: Record>(letter: &R) -> Option<Self> {
        let text =
            |name: &str| std::str::from_utf8(letter.header(&format!("{PREFIX}{name}"))?).ok();
        let partition = TopicPartition {
            topic: text("topic")?.into(),
            partition: text("partition")?.parse().ok()?,
        };
        Some(Self { partition, offset: Offset(text("offset")?.parse().ok()?) })
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}
