//! A bounded part of topics, read once, aside from any group: nothing is joined and nothing is
//! committed, so a running connector is not disturbed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError as LibraryError;
use rdkafka::message::BorrowedMessage;
use rdkafka::metadata::{Metadata, MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::Offset as LibraryOffset;
use rdkafka::{ClientContext, Message as _};
use regex::Regex;
use tracing::debug;

use super::group::set_properties;
use super::{KafkaError, Properties};
use crate::config::Topics;
use crate::record::{Offset, TopicPartition};

/// How long one poll waits.
const TURN: Duration = Duration::from_millis(100);

/// Where a range begins or ends, in each of its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The oldest record that there is.
    Beginning,
    /// Behind the newest record that there is at the time of opening.
    End,
    /// The first record that is not older: milliseconds since the epoch, of records' timestamps.
    Time(i64),
    /// This offset, or the nearest that there is.
    Offset(Offset),
    /// So many offsets before the end.
    Last(u32),
}

/// The part of a partition that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRange {
    pub partition: TopicPartition,
    /// The first offset that belongs to the range.
    pub from: Offset,
    /// The first offset that does not, any more. Not before `from`.
    pub to: Offset,
    /// The next offset to be read; `to` when the partition is done.
    pub next: Offset,
}

/// Reads each record of a range once, one topic after the other.
///
/// Records of an open transaction, and all behind it in their partition, are not read: a partition
/// ends where Kafka shows no more (`isolation.level` is `read_committed` unless set otherwise).
pub struct TopicReader {
    consumer: BaseConsumer<Context>,
    partitions: Vec<PartitionRange>,
    /// Those of `partitions` that are being read: of one topic, because librdkafka names the number
    /// alone of a partition that has ended.
    assigned: std::ops::Range<usize>,
    within: Duration,
}

impl TopicReader {
    /// Asks the brokers where the range lies. `within` is how long they may take for each answer,
    /// now and later.
    ///
    /// # Errors
    /// When no broker answers, or a topic of the list does not exist.
    pub fn open(
        properties: &Properties,
        topics: &Topics,
        from: Bound,
        to: Bound,
        within: Duration,
    ) -> Result<Self, KafkaError> {
        let consumer = consumer(properties)?;
        let mut partitions = Vec::new();
        for (topic, numbers) in existing(&consumer, topics, within)? {
            partitions.extend(ranges(&consumer, &topic, &numbers, from, to, within)?);
        }
        Ok(Self { consumer, partitions, assigned: 0..0, within })
    }

    /// Leaves out all partitions but those of this number. Before the first record is read.
    pub fn only(&mut self, number: i32) {
        self.partitions.retain(|range| range.partition.partition == number);
    }

    /// Every partition, also those without a record in the range, with how far it has been read.
    pub fn partitions(&self) -> &[PartitionRange] {
        &self.partitions
    }

    /// Offsets in the range, of which compaction and transactions may leave some without a record.
    pub fn len(&self) -> u64 {
        self.partitions.iter().map(|range| range.to.0.abs_diff(range.from.0)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Offsets of the range that have been passed.
    pub fn passed(&self) -> u64 {
        self.partitions.iter().map(|range| range.next.0.abs_diff(range.from.0)).sum()
    }

    /// The next record, or `None` behind the last one.
    ///
    /// # Errors
    /// When nothing has come for the time given to [`TopicReader::open`]. The place is kept: the
    /// next call tries again.
    pub fn next_record(&mut self) -> Result<Option<BorrowedMessage<'_>>, KafkaError> {
        let mut deadline = Instant::now() + self.within;
        let mut problem = None;
        loop {
            if self.partitions[self.assigned.clone()].iter().all(|range| range.next >= range.to) {
                let start = self.assigned.end;
                let Some(count) = assign_topic(&self.consumer, &self.partitions[start..])? else {
                    return Ok(None);
                };
                self.assigned = start..start + count;
                deadline = Instant::now() + self.within;
            }
            let reading = &mut self.partitions[self.assigned.clone()];
            match self.consumer.poll(TURN) {
                Some(Ok(message)) => {
                    let number = message.partition();
                    let range = reading.iter_mut().find(|r| r.partition.partition == number);
                    let Some(range) = range.filter(|range| range.next < range.to) else { continue };
                    // A gap (a compacted record, a transaction's marker) may reach over the end.
                    range.next = Offset((message.offset() + 1).min(range.to.0));
                    if range.next >= range.to {
                        pause(&self.consumer, &range.partition)?;
                    }
                    if message.offset() < range.to.0 {
                        return Ok(Some(message));
                    }
                }
                Some(Err(LibraryError::PartitionEOF(number))) => {
                    if let Some(range) =
                        reading.iter_mut().find(|range| range.partition.partition == number)
                    {
                        range.next = range.to;
                    }
                }
                Some(Err(error)) => {
                    debug!(%error, "while reading a range");
                    problem = Some(error);
                }
                None => {}
            }
            if Instant::now() > deadline {
                let within = self.within;
                let silent = || format!("no record and no end within {within:?}");
                return Err(problem.map_or_else(
                    || KafkaError { reason: silent(), fatal: false },
                    KafkaError::from,
                ));
            }
        }
    }
}

impl std::fmt::Debug for TopicReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicReader").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

pub(super) fn consumer(properties: &Properties) -> Result<BaseConsumer<Context>, KafkaError> {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "tidegate")
        .set("isolation.level", "read_committed")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "50");
    set_properties(&mut config, properties);
    config
        // librdkafka polls only with a group's name; one that assigns by itself joins nothing.
        .set("group.id", "tidegate-reader")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        // Records that retention deletes while they are waited for are passed over.
        .set("auto.offset.reset", "earliest")
        .set_log_level(RDKafkaLogLevel::Info);
    Ok(config.create_with_context(Context)?)
}

/// The numbers of a topic's partitions, in order; none where there is no such topic.
pub(super) fn partitions<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    within: Duration,
) -> Result<Vec<i32>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), within)?;
    Ok(metadata.topics().first().map(numbers).unwrap_or_default())
}

/// The numbers of a topic's partitions, in order.
pub(super) fn numbers(topic: &MetadataTopic) -> Vec<i32> {
    let mut numbers: Vec<i32> = topic.partitions().iter().map(MetadataPartition::id).collect();
    numbers.sort_unstable();
    numbers
}

/// The topics that a pattern matches, with the numbers of their partitions, in order.
pub(super) fn matching(
    pattern: &str,
    cluster: &Metadata,
) -> Result<Vec<(String, Vec<i32>)>, KafkaError> {
    let pattern = Regex::new(pattern)
        .map_err(|error| KafkaError { reason: error.to_string(), fatal: false })?;
    let matching = cluster.topics().iter().filter(|topic| pattern.is_match(topic.name()));
    let mut found: Vec<_> =
        matching.map(|topic| (topic.name().to_owned(), numbers(topic))).collect();
    found.sort_unstable();
    Ok(found)
}

/// All of them, each by itself.
pub(super) fn each_partition(topics: Vec<(String, Vec<i32>)>) -> Vec<TopicPartition> {
    let of_topic = |(topic, numbers): (String, Vec<i32>)| {
        let topic: Arc<str> = topic.into();
        let named = move |partition| TopicPartition { topic: Arc::clone(&topic), partition };
        numbers.into_iter().map(named)
    };
    topics.into_iter().flat_map(of_topic).collect()
}

/// The topics and the numbers of their partitions, in order.
pub(super) fn existing<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &Topics,
    within: Duration,
) -> Result<Vec<(String, Vec<i32>)>, KafkaError> {
    match topics {
        Topics::List(names) => names
            .iter()
            .map(|name| {
                let numbers = partitions(consumer, name, within)?;
                if numbers.is_empty() {
                    let reason = format!("the topic {name} {}", super::MISSING);
                    return Err(KafkaError { reason, fatal: false });
                }
                Ok((name.clone(), numbers))
            })
            .collect(),
        Topics::Pattern(pattern) => matching(pattern, &consumer.fetch_metadata(None, within)?),
    }
}

fn ranges(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    numbers: &[i32],
    from: Bound,
    to: Bound,
    within: Duration,
) -> Result<Vec<PartitionRange>, KafkaError> {
    let starts = by_time(consumer, topic, numbers, from, within)?;
    let ends = by_time(consumer, topic, numbers, to, within)?;
    let topic: Arc<str> = topic.into();
    let range = |&partition: &i32| {
        let (low, high) = consumer.fetch_watermarks(&topic, partition, within)?;
        let found = |list: &TopicPartitionList| {
            match list.find_partition(&topic, partition).map(|found| found.offset()) {
                Some(LibraryOffset::Offset(offset)) => offset,
                // No record is that young.
                _ => high,
            }
        };
        let place = |bound: Bound, by_time: &TopicPartitionList| match bound {
            Bound::Beginning => low,
            Bound::End => high,
            Bound::Time(_) => found(by_time).clamp(low, high),
            Bound::Offset(offset) => offset.0.clamp(low, high),
            Bound::Last(count) => (high - i64::from(count)).max(low),
        };
        let from = place(from, &starts);
        let to = place(to, &ends).max(from);
        let partition = TopicPartition { topic: topic.clone(), partition };
        Ok(PartitionRange { partition, from: Offset(from), to: Offset(to), next: Offset(from) })
    };
    numbers.iter().map(range).collect()
}

/// The offsets of the first records that are not older than the bound; an empty list for a bound
/// that is no time.
fn by_time(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    numbers: &[i32],
    bound: Bound,
    within: Duration,
) -> Result<TopicPartitionList, KafkaError> {
    let mut times = TopicPartitionList::new();
    let Bound::Time(millis) = bound else { return Ok(times) };
    for number in numbers {
        times.add_partition_offset(topic, *number, LibraryOffset::Offset(millis))?;
    }
    Ok(consumer.offsets_for_times(times, within)?)
}

/// Begins to read the first topic of these partitions; says how many are its. `None` when there are
/// no more.
fn assign_topic(
    consumer: &BaseConsumer<Context>,
    partitions: &[PartitionRange],
) -> Result<Option<usize>, KafkaError> {
    let Some(first) = partitions.first() else {
        return Ok(None);
    };
    let topic = &first.partition.topic;
    let count = partitions.iter().take_while(|range| range.partition.topic == *topic).count();
    let mut list = TopicPartitionList::new();
    for range in partitions[..count].iter().filter(|range| range.next < range.to) {
        let offset = LibraryOffset::Offset(range.next.0);
        list.add_partition_offset(topic, range.partition.partition, offset)?;
    }
    consumer.assign(&list)?;
    Ok(Some(count))
}

fn pause(consumer: &BaseConsumer<Context>, partition: &TopicPartition) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition(&partition.topic, partition.partition);
    Ok(consumer.pause(&list)?)
}

/// Errors that no poll returns are of connections, which librdkafka mends.
pub(super) struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::pass_on_log(level, facility, message);
    }

    fn error(&self, error: LibraryError, reason: &str) {
        debug!(%error, reason, "the reader of a range");
    }
}

impl rdkafka::consumer::ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::super::mock::MockKafka;
    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    /// Two topics: `a` with keys in two partitions, `b` with one.
    fn kafka() -> (MockKafka, Properties) {
        let kafka = MockKafka::start(&[("a", 2), ("b", 1), ("empty", 3)]).unwrap();
        let producer = kafka.producer().unwrap();
        for number in 0..100i64 {
            let topic = if number % 4 == 0 { "b" } else { "a" };
            let key = format!("k{}", number % 7);
            producer.send(topic, &key, number.to_string().as_bytes(), 1000 + number).unwrap();
        }
        producer.flush(WITHIN).unwrap();
        let properties = kafka.properties();
        (kafka, properties)
    }

    fn read(properties: &Properties, topics: &Topics, from: Bound, to: Bound) -> Vec<i64> {
        let mut reader = TopicReader::open(properties, topics, from, to, WITHIN).unwrap();
        let mut numbers = Vec::new();
        while let Some(message) = reader.next_record().unwrap() {
            numbers.push(String::from_utf8(message.payload().unwrap().into()).unwrap());
        }
        assert_eq!(reader.passed(), reader.len());
        let mut numbers: Vec<i64> = numbers.iter().map(|n| n.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    fn list(topics: &[&str]) -> Topics {
        Topics::List(topics.iter().map(|&topic| topic.to_owned()).collect())
    }

    #[test]
    fn every_record_of_every_topic_is_read_once() {
        let (_kafka, properties) = kafka();
        let (from, to) = (Bound::Beginning, Bound::End);
        let all: Vec<i64> = (0..100).collect();
        assert_eq!(read(&properties, &list(&["a", "empty", "b"]), from, to), all);
        assert_eq!(read(&properties, &Topics::Pattern("^[ab]$".into()), from, to), all);
        assert_eq!(read(&properties, &list(&["empty"]), from, to), Vec::<i64>::new());
    }

    #[test]
    fn an_offset_bounds_each_partition() {
        let (_kafka, properties) = kafka();
        let (from, to) = (Bound::Offset(Offset(3)), Bound::Offset(Offset(5)));
        assert_eq!(read(&properties, &list(&["b"]), from, to), [12, 16]);
        assert_eq!(read(&properties, &list(&["b"]), Bound::Last(2), Bound::End), [92, 96]);
        let beyond = Bound::Offset(Offset(1000));
        assert_eq!(read(&properties, &list(&["b"]), beyond, Bound::End), Vec::<i64>::new());
    }

    #[test]
    fn one_partition_can_be_read_alone() {
        let (_kafka, properties) = kafka();
        let (topics, from, to) = (list(&["a", "b"]), Bound::Beginning, Bound::End);
        let mut reader = TopicReader::open(&properties, &topics, from, to, WITHIN).unwrap();
        reader.only(1);
        let mut count = 0;
        while let Some(message) = reader.next_record().unwrap() {
            assert_eq!(message.partition(), 1);
            count += 1;
        }
        assert!(0 < count && count < 75, "{count}");
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_an_empty_range() {
        let (_kafka, properties) = kafka();
        let (from, to) = (Bound::Beginning, Bound::End);
        let topics = Topics::Pattern("^nothing$".into());
        assert_eq!(read(&properties, &topics, from, to), Vec::<i64>::new());
    }
}
