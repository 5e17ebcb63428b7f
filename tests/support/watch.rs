//! Looks at what a group has committed, over and over, and holds it against what was durable by then.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::{GroupInfo, GroupMemberInfo};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::now_ms;

const OBSERVE_EVERY: Duration = Duration::from_millis(20);
/// Less than librdkafka's own patience with a broker that hangs, so that the watch looks elsewhere soon.
const KAFKA_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A partition is seen to be committed further than before.
#[derive(Debug, Clone)]
pub struct Advance {
    pub partition: usize,
    /// What is committed now and was not before.
    pub offsets: Range<usize>,
    /// A moment by which it was committed, on the monotonic clock and in milliseconds of the wall's.
    pub by: Instant,
    pub by_ms: i64,
}

/// Those of the offsets that were not durable by then, so that no commit may cover them.
pub type NotDurable = Box<dyn FnMut(&Advance) -> Vec<usize> + Send>;

/// Watches one group on one topic.
pub struct Watch {
    consumer: Arc<BaseConsumer>,
    topic: String,
    group: String,
    observed: Arc<Mutex<Observed>>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What has been seen so far.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// By partition: the furthest.
    pub committed: Vec<usize>,
    /// How often that has moved.
    pub commits: usize,
    /// Records that were committed and not durable.
    pub ahead: usize,
    pub first_ahead: Option<String>,
    /// How often less was committed than before. It loses nothing, and a broker that has hung may say it mistakenly.
    pub went_back: usize,
}

impl Watch {
    pub fn start(
        bootstrap: &str,
        topic: &str,
        group: &str,
        partitions: usize,
        mut not_durable: NotDurable,
    ) -> Self {
        // Never subscribes, so it is no member of the group.
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", group)
            .set("socket.timeout.ms", "3000")
            .set("log_level", "2") // a broker that is down on purpose is no news
            .create()
            .expect("a consumer");
        let consumer = Arc::new(consumer);
        let mut seen = Observed { committed: vec![0; partitions], ..Observed::default() };
        let observed = Arc::new(Mutex::new(seen.clone()));
        let ended = Arc::new(AtomicBool::new(false));
        let thread = {
            let (consumer, topic) = (Arc::clone(&consumer), topic.to_owned());
            let (observed, ended) = (Arc::clone(&observed), Arc::clone(&ended));
            thread::spawn(move || {
                while !ended.load(Ordering::Acquire) {
                    if let Some(committed) = committed_by_group(&consumer, &topic, partitions) {
                        // Not under the lock: what is durable is under a lock, too.
                        seen.take(&committed, &mut not_durable);
                        observed.lock().unwrap().clone_from(&seen);
                    }
                    thread::sleep(OBSERVE_EVERY);
                }
            })
        };
        Self { consumer, topic: topic.to_owned(), group: group.to_owned(), observed, ended, thread }
    }

    pub fn observed(&self) -> Observed {
        self.observed.lock().unwrap().clone()
    }

    /// The broker's own word on where the partitions end.
    pub fn log_ends(&self) -> Vec<usize> {
        let partitions = self.observed().committed.len();
        let end = |partition| {
            let watermarks =
                self.consumer.fetch_watermarks(&self.topic, partition, Duration::from_secs(10));
            let (_, high) = watermarks.expect("watermarks");
            usize::try_from(high).expect("an offset")
        };
        (0..).take(partitions).map(end).collect()
    }

    /// The group as its coordinator sees it: its state, and who its members are.
    pub fn group(&self) -> String {
        let list = match self.consumer.fetch_group_list(Some(&self.group), KAFKA_ANSWERS_WITHIN) {
            Ok(list) => list,
            Err(error) => return error.to_string(),
        };
        let member = |member: &GroupMemberInfo| {
            let assigned = member.assignment().map_or(0, <[u8]>::len);
            format!("{} ({assigned} bytes assigned)", member.id())
        };
        let group = |group: &GroupInfo| {
            let members: Vec<_> = group.members().iter().map(member).collect();
            format!("{} is {}: {members:?}", group.name(), group.state())
        };
        list.groups().iter().map(group).collect::<Vec<_>>().join(", ")
    }

    /// Ends the watch; returns all that it has seen.
    pub fn end(self) -> Observed {
        self.ended.store(true, Ordering::Release);
        self.thread.join().expect("the watch");
        self.observed.lock().unwrap().clone()
    }
}

/// What the group has committed in each partition.
fn committed_by_group(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: usize,
) -> Option<Vec<usize>> {
    let mut list = TopicPartitionList::new();
    for partition in (0..).take(partitions) {
        list.add_partition(topic, partition);
    }
    let list = consumer.committed_offsets(list, KAFKA_ANSWERS_WITHIN).ok()?;
    let next = |partition| match list.find_partition(topic, partition)?.offset() {
        Offset::Offset(next) => usize::try_from(next).ok(),
        _ => Some(0),
    };
    (0..).take(partitions).map(next).collect()
}

impl Observed {
    fn take(&mut self, committed: &[usize], not_durable: &mut NotDurable) {
        let (by, by_ms) = (Instant::now(), now_ms());
        self.commits += usize::from(self.committed != committed);
        for (partition, (seen, next)) in self.committed.iter_mut().zip(committed).enumerate() {
            self.went_back += usize::from(next < seen);
            if next <= seen {
                continue;
            }
            let offsets = *seen..*next;
            let ahead = not_durable(&Advance { partition, offsets, by, by_ms });
            self.ahead += ahead.len();
            if let (Some(offset), None) = (ahead.first(), &self.first_ahead) {
                self.first_ahead = Some(format!(
                    "partition {partition} is committed up to {next}, and offset {offset} was not durable"
                ));
            }
            *seen = *next;
        }
    }
}
