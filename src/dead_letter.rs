//! What a rejected record carries into the dead-letter topic: itself unchanged, and why.
//!
//! The headers are those of Kafka Connect (KIP-298,
//! `org.apache.kafka.connect.runtime.errors.DeadLetterQueueReporter`), because existing tools read
//! them. There is no `exception.stacktrace`: a reason here is not an exception and has none.

mod account;
mod kind;
mod reasons;
mod topic;

use std::borrow::Cow;

use crate::record::Record;

pub use account::{Account, Origin};
pub use kind::ReasonKind;
pub(crate) use reasons::folded;
pub use reasons::{Group, Reasons};
pub use topic::{DeadLetters, Replayed};

/// What the names of all added headers begin with. Such headers that a record has already are of an
/// earlier rejection, and are not kept beside the new ones.
pub const PREFIX: &str = "__connect.errors.";

/// The longest reason in a header, in bytes. Some databases send back the whole request.
const LONGEST_REASON: usize = 4096;

/// Why a record is not written: what its dead letter says, or why the connector has stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub stage: Stage,
    pub kind: ReasonKind,
    pub reason: String,
    /// Where in the record's value, in bytes, where that is known.
    pub offset: Option<usize>,
}

impl Reject {
    /// For a reason that has no place in the record's value.
    pub fn new(stage: Stage, kind: ReasonKind, reason: impl Into<String>) -> Self {
        Self { stage, kind, reason: reason.into(), offset: None }
    }
}

/// Where on its way a record was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The value is not a message of the declared format.
    Decode,
    /// The message can't become a point by the mapping.
    Map,
    /// A processor refuses the point.
    Process,
    /// The point is not one that the database can take.
    Encode,
    /// The database refused the point.
    Write,
}

impl Stage {
    /// In the order of the flow.
    pub(crate) const ALL: [Self; 5] =
        [Self::Decode, Self::Map, Self::Process, Self::Encode, Self::Write];

    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Map => "map",
            Self::Process => "process",
            Self::Encode => "encode",
            Self::Write => "write",
        }
    }

    /// Kafka Connect's name of the stage (`org.apache.kafka.connect.runtime.errors.Stage`).
    fn connect_name(self) -> &'static str {
        match self {
            Self::Decode => "VALUE_CONVERTER",
            Self::Map | Self::Process | Self::Encode => "TRANSFORMATION",
            Self::Write => "TASK_PUT",
        }
    }

    /// What was at work, in place of the Java class that Kafka Connect puts there.
    fn class_name(self) -> &'static str {
        match self {
            Self::Decode => "tidegate.Decoder",
            Self::Map => "tidegate.Mapping",
            Self::Process => "tidegate.Processor",
            Self::Encode => "tidegate.Encoder",
            Self::Write => "tidegate.Sink",
        }
    }

    /// What failed, in place of the Java exception's class that Kafka Connect puts there.
    fn exception_name(self) -> &'static str {
        match self {
            Self::Decode => "tidegate.DecodeError",
            Self::Map => "tidegate.MapError",
            Self::Process => "tidegate.ProcessError",
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
) -> [Header; 9] {
    [
        ("__connect.errors.topic", record.topic().to_owned()),
        ("__connect.errors.partition", record.partition().to_string()),
        ("__connect.errors.offset", record.offset().to_string()),
        ("__connect.errors.connector.name", connector.to_owned()),
        ("__connect.errors.task.id", worker.to_string()),
        ("__connect.errors.stage", reject.stage.connect_name().to_owned()),
        ("__connect.errors.class.name", reject.stage.class_name().to_owned()),
        ("__connect.errors.exception.class.name", reject.stage.exception_name().to_owned()),
        ("__connect.errors.exception.message", shortened(&reject.reason).into_owned()),
    ]
}

/// The record's headers without those of an earlier rejection, in order.
pub fn own_headers<R: Record>(record: &R) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
    record.headers().into_iter().filter(|(name, _)| !name.starts_with(PREFIX))
}

fn shortened(reason: &str) -> Cow<'_, str> {
    if reason.len() <= LONGEST_REASON {
        return Cow::Borrowed(reason);
    }
    let end = reason.floor_char_boundary(LONGEST_REASON);
    Cow::Owned(format!("{}… ({} more bytes)", &reason[..end], reason.len() - end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Offset, OwnedRecord};

    fn record(headers: &[(&str, &[u8])]) -> OwnedRecord {
        OwnedRecord {
            topic: "t".into(),
            partition: 3,
            offset: Offset(17),
            key: None,
            value: Some(b"x".to_vec()),
            timestamp_millis: Some(1),
            headers: headers.iter().map(|(k, v)| ((*k).to_owned(), Some(v.to_vec()))).collect(),
        }
    }

    /// What a letter is after its topic has taken it.
    fn letter(record: &OwnedRecord, reject: &Reject) -> OwnedRecord {
        let own = own_headers(record).map(|(name, value)| (name.to_owned(), value.map(Into::into)));
        let added = headers(record, "c", 0, reject);
        let added = added.into_iter().map(|(name, value)| (name.to_owned(), Some(value.into())));
        OwnedRecord { headers: own.chain(added).collect(), ..record.clone() }
    }

    #[test]
    fn a_letter_that_is_rejected_again_has_each_header_once() {
        let reject = |reason: &str| Reject::new(Stage::Map, ReasonKind::WrongType, reason);
        let once = letter(&record(&[("trace", b"1")]), &reject("first"));
        let again = letter(&once, &reject("second"));
        let mut names: Vec<_> = again.headers().into_iter().map(|(name, _)| name).collect();
        assert_eq!((names.len(), names[0]), (10, "trace"));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 10);
        assert_eq!(Account::of(&again).unwrap().reason, "second");
    }

    #[test]
    fn a_letter_is_read_back_as_it_was_written() {
        for stage in Stage::ALL {
            let reject = Reject::new(stage, ReasonKind::Malformed, "no");
            let account = Account::of(&letter(&record(&[]), &reject)).unwrap();
            assert_eq!((account.stage.as_str(), account.reason.as_str()), (stage.name(), "no"));
            assert_eq!(account.connector.as_deref(), Some("c"));
            assert_eq!(account.origin.unwrap().to_string(), "t[3]@17");
        }
        assert_eq!(Account::of(&record(&[("trace", b"1")])), None);
    }

    /// As `DeadLetterQueueReporter` writes them; a letter that came back has them twice.
    #[test]
    fn a_letter_of_a_java_worker_is_understood() {
        let account = Account::of(&record(&[
            ("__connect.errors.topic", b"old"),
            ("__connect.errors.partition", b"9"),
            ("__connect.errors.offset", b"9"),
            ("__connect.errors.topic", b"sensors"),
            ("__connect.errors.partition", b"2"),
            ("__connect.errors.offset", b"331"),
            ("__connect.errors.connector.name", b"influx-sink"),
            ("__connect.errors.task.id", b"0"),
            ("__connect.errors.stage", b"VALUE_CONVERTER"),
            ("__connect.errors.class.name", b"org.apache.kafka.connect.json.JsonConverter"),
            (
                "__connect.errors.exception.class.name",
                b"org.apache.kafka.connect.errors.DataException",
            ),
            ("__connect.errors.exception.message", b""),
            ("__connect.errors.exception.stacktrace", b"org.apache\n\tat org.apache"),
        ]))
        .unwrap();
        assert_eq!(account.origin.unwrap().to_string(), "sensors[2]@331");
        assert_eq!(account.connector.as_deref(), Some("influx-sink"));
        assert_eq!(account.stage, "VALUE_CONVERTER");
        assert_eq!(account.reason, "org.apache.kafka.connect.errors.DataException");
    }

    #[test]
    fn an_absurdly_long_reason_is_cut_between_characters() {
        let reason = format!("a{}", "ü".repeat(5000));
        let cut = shortened(&reason);
        assert!(cut.len() < LONGEST_REASON + 40);
        assert!(cut.ends_with("ü… (5906 more bytes)"), "{}", &cut[cut.len() - 40..]);
        assert_eq!(shortened("short"), "short");
    }
}
