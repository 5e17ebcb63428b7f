//! Where the messages come from.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::IgnoredAny;

use crate::config::{Connector, Topics};
use crate::kafka::KafkaError;
use crate::kafka::range::{Bound, TopicReader};
use crate::record::{Offset, OwnedRecord, Record};

/// The largest file that is taken for one message, and the largest line.
const MAX_MESSAGE: u64 = 64 << 20;

/// Where to begin in the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    From(Bound),
    /// As many of the newest as are asked for.
    Newest,
}

impl Place {
    /// `earliest`, `latest`, or an offset.
    pub(crate) fn named(text: &str) -> Option<Self> {
        match text.trim() {
            "earliest" | "beginning" => Some(Self::From(Bound::Beginning)),
            "latest" | "end" => Some(Self::Newest),
            text => {
                let offset = text.parse().ok().filter(|offset| *offset >= 0);
                offset.map(|offset| Self::From(Bound::Offset(Offset(offset))))
            }
        }
    }
}

/// Messages, of which each is taken once.
pub(crate) enum Messages {
    Topics {
        reader: Box<TopicReader>,
        left: u32,
    },
    /// Read already.
    Kept(VecDeque<OwnedRecord>),
    Lines {
        lines: Box<dyn BufRead>,
        next: OwnedRecord,
        left: u32,
    },
}

/// Why there are no messages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("no topic of this connector has a partition {0}")]
    NoPartition(i32),
    #[error("{}: can't be read: {error}", file.display())]
    File { file: PathBuf, error: std::io::Error },
}

impl Messages {
    pub(crate) fn of_topics(
        connector: &Connector,
        place: Place,
        partition: Option<i32>,
        count: u32,
        timeout: Duration,
    ) -> Result<Self, SourceError> {
        let from = match place {
            Place::From(bound) => bound,
            Place::Newest => Bound::Last(count),
        };
        let mut reader =
            TopicReader::open(&connector.kafka, &connector.topics, from, Bound::End, timeout)?;
        if let Some(number) = partition {
            reader.only(number);
            if reader.partitions().is_empty() {
                return Err(SourceError::NoPartition(number));
            }
        }
        match place {
            Place::Newest => Ok(Self::Kept(newest(&mut reader, count as usize)?)),
            Place::From(_) => Ok(Self::Topics { reader: Box::new(reader), left: count }),
        }
    }

    pub(crate) fn of_file(
        file: &Path,
        whole: bool,
        count: u32,
        connector: &Connector,
    ) -> Result<Self, SourceError> {
        let wrong = |error: std::io::Error| SourceError::File { file: file.to_owned(), error };
        let is_stdin = file.as_os_str() == "-";
        let mut input: Box<dyn BufRead> = if is_stdin {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            Box::new(BufReader::new(File::open(file).map_err(wrong)?))
        };
        let next = first(connector);
        // Standard input may go on for ever, so its end is not waited for.
        if is_stdin && !whole {
            return Ok(Self::Lines { lines: input, next, left: count });
        }
        let mut bytes = Vec::new();
        input.by_ref().take(MAX_MESSAGE).read_to_end(&mut bytes).map_err(wrong)?;
        if whole || is_one_document(&bytes) {
            let record = OwnedRecord { value: Some(bytes), ..next };
            return Ok(Self::Kept([record].into()));
        }
        let lines = Box::new(std::io::Cursor::new(bytes).chain(input));
        Ok(Self::Lines { lines, next, left: count })
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Result<Option<OwnedRecord>, SourceError> {
        match self {
            Self::Kept(records) => Ok(records.pop_front()),
            Self::Topics { left: 0, .. } | Self::Lines { left: 0, .. } => Ok(None),
            Self::Topics { reader, left } => {
                *left -= 1;
                let record = reader.next_record()?;
                Ok(record.map(|record| OwnedRecord::of(&record)))
            }
            Self::Lines { lines, next, left } => loop {
                let mut line = Vec::new();
                let mut limited = lines.by_ref().take(MAX_MESSAGE);
                let wrong = |error| SourceError::File { file: "-".into(), error };
                if limited.read_until(b'\n', &mut line).map_err(wrong)? == 0 {
                    return Ok(None);
                }
                let line = line.trim_ascii_end();
                if line.is_empty() {
                    continue;
                }
                *left -= 1;
                let record = OwnedRecord { value: Some(line.to_vec()), ..next.clone() };
                next.offset = Offset(next.offset.0 + 1);
                return Ok(Some(record));
            },
        }
    }
}

/// A record as the first of the connector's topics would have it now.
fn first(connector: &Connector) -> OwnedRecord {
    let topic = match &connector.topics {
        Topics::List(topics) => topics.first().map_or("file", String::as_str),
        Topics::Pattern(_) => "file",
    };
    #[expect(clippy::disallowed_methods, reason = "a file's line has no timestamp of its own")]
    let now = jiff::Timestamp::now().as_millisecond();
    OwnedRecord { value: None, ..OwnedRecord::new(topic, Vec::new(), Some(now)) }
}

fn is_one_document(bytes: &[u8]) -> bool {
    bytes.trim_ascii().contains(&b'\n') && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// The records with the latest timestamps, the oldest of them first.
pub(crate) fn newest(
    reader: &mut TopicReader,
    count: usize,
) -> Result<VecDeque<OwnedRecord>, KafkaError> {
    let mut newest = VecDeque::new();
    while let Some(record) = reader.next_record()? {
        let at = record.timestamp_millis();
        let place = newest.partition_point(|other: &OwnedRecord| other.timestamp_millis <= at);
        if newest.len() < count || place > 0 {
            newest.insert(place, OwnedRecord::of(&record));
        }
        if newest.len() > count {
            newest.pop_front();
        }
    }
    Ok(newest)
}
