//! What a static member sees to once it has started: that its group leaves no partition out.
//!
//! Kafka hands a static member that comes back what it had, and calls the group stable (KIP-345). What has come since
//! was given to nobody: topics of a changed subscription, and topics and partitions that were made meanwhile. The same
//! holds for partitions that a cooperative assignment was about to move. No error says so, and librdkafka has no call
//! that asks for a rebalance. So the group is looked at from outside, and where it leaves something out, a dynamic
//! member visits it: for one that joins, Kafka has the group divide everything again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tracing::{debug, info, warn};

use super::{ASSIGNMENT, INSTANCE_ID, KafkaConsumer};
use crate::config::{Secret, Topics};
use crate::kafka::{Consumer as _, Event, KafkaError, Properties, group, range};
use crate::record::TopicPartition;

const LOOKS_APART: Duration = Duration::from_secs(5);
/// A group that changes all the time, or that may not be looked at, is not looked at for ever.
const LOOKS: u32 = 60;
/// A look may find a rebalance between its two steps. What is still so at the second is visited, and again later.
const VISITED_AT: &[u32] = &[2, 12, 36];
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// A rebalance takes as long as the slowest member needs to give its partitions up.
const VISIT: Duration = Duration::from_mins(2);
const TURN: Duration = Duration::from_millis(100);

/// Ends when it is dropped.
pub(super) struct AssignmentCheck {
    ended: Arc<AtomicBool>,
}

/// A group, and how to join it.
struct Group {
    properties: Properties,
    name: String,
    topics: Topics,
}

/// What all looks together have seen of a group.
enum Seen {
    Enough,
    /// Never an assignment, and why.
    Nothing(String),
}

impl AssignmentCheck {
    /// Of a member with these properties that has just been made. Looks on a thread of its own until the assignment has
    /// been found whole once.
    pub(super) fn start(
        properties: &Properties,
        assignment: &str,
        group: &str,
        topics: &Topics,
    ) -> Self {
        let mut properties = properties.clone();
        // Whoever visits is to leave again, and Kafka lets nobody in who has another assignment.
        properties.remove(INSTANCE_ID);
        properties.insert(ASSIGNMENT.to_owned(), Secret::new(assignment));
        let group = Group { properties, name: group.to_owned(), topics: topics.clone() };
        let ended = Arc::<AtomicBool>::default();
        let is_ended = Arc::clone(&ended);
        let looks = move || {
            let seen =
                group.look_until_whole(LOOKS, LOOKS_APART, &|| is_ended.load(Ordering::Acquire));
            if let Seen::Nothing(reason) = seen {
                warn!(
                    group = group.name,
                    reason, "whether the group leaves partitions out could not be seen"
                );
            }
        };
        if let Err(error) = thread::Builder::new().name("assignment".into()).spawn(looks) {
            debug!(%error, "no thread looks at the group");
        }
        Self { ended }
    }
}

impl Drop for AssignmentCheck {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

impl Group {
    fn look_until_whole(&self, looks: u32, apart: Duration, is_ended: &dyn Fn() -> bool) -> Seen {
        let mut left_out = 0;
        let mut reason =
            String::from("it was never stable, or this user may not see it (DESCRIBE)");
        for _ in 0..looks {
            let next = Instant::now() + apart;
            while Instant::now() < next {
                if is_ended() {
                    return Seen::Enough;
                }
                thread::sleep(TURN.min(apart));
            }
            match self.is_whole() {
                Ok(Some(true)) => return Seen::Enough,
                Ok(Some(false)) => left_out += 1,
                Ok(None) => continue,
                Err(error) => {
                    reason = error.reason;
                    continue;
                }
            }
            if VISITED_AT.contains(&left_out)
                && let Err(error) = self.visit(is_ended)
            {
                debug!(%error, group = self.name, "the group can't be visited");
            }
        }
        if left_out > 0 { Seen::Enough } else { Seen::Nothing(reason) }
    }

    /// `None` while the group is about to agree on an assignment.
    fn is_whole(&self) -> Result<Option<bool>, KafkaError> {
        let outsider = group::outsider(&self.properties, &self.name)?;
        let groups = outsider.client().fetch_group_list(Some(&self.name), ANSWERED_WITHIN)?;
        let Some(group) = groups.groups().iter().find(|group| group.state() == "Stable") else {
            return Ok(None);
        };
        let members = group.members().iter();
        let assigned: HashSet<_> =
            members.flat_map(|member| assigned(member.assignment().unwrap_or_default())).collect();
        Ok(Some(self.subscribed(&outsider)?.iter().all(|partition| assigned.contains(partition))))
    }

    /// The partitions of the topics, as far as these are there.
    fn subscribed(
        &self,
        outsider: &BaseConsumer<group::Outsider>,
    ) -> Result<Vec<TopicPartition>, KafkaError> {
        let topics = match &self.topics {
            Topics::List(names) => {
                let numbers = |name: &String| {
                    let numbers = range::partitions(outsider, name, ANSWERED_WITHIN)?;
                    Ok((name.clone(), numbers))
                };
                names.iter().map(numbers).collect::<Result<Vec<_>, KafkaError>>()?
            }
            Topics::Pattern(_) => range::existing(outsider, &self.topics, ANSWERED_WITHIN)?,
        };
        Ok(range::each_partition(topics))
    }

    /// Joins the group, and leaves it as soon as it has been given something, or nothing.
    fn visit(&self, is_ended: &dyn Fn() -> bool) -> Result<(), KafkaError> {
        info!(
            group = self.name,
            "a static member was given what it had before, and some partitions have no member that \
             reads them: the group divides them again"
        );
        let visitor = KafkaConsumer::new(&self.properties, &self.name, &self.topics, 0)?;
        let deadline = Instant::now() + VISIT;
        while Instant::now() < deadline && !is_ended() {
            if let Some(Event::Assigned(partitions)) = visitor.poll(TURN) {
                return visitor.assign(&partitions);
            }
        }
        Ok(())
    }
}

/// A member's partitions, as the group's leader has written them (`ConsumerProtocolAssignment.json` of Kafka): none
/// where there is nothing, or something else.
fn assigned(bytes: &[u8]) -> Vec<TopicPartition> {
    let mut bytes = Bytes(bytes);
    let mut all = Vec::new();
    let mut read = || {
        let _version = bytes.short()?;
        for _ in 0..bytes.int()? {
            let length = usize::try_from(bytes.short()?).ok()?;
            let topic: Arc<str> = std::str::from_utf8(bytes.take(length)?).ok()?.into();
            for _ in 0..bytes.int()? {
                all.push(TopicPartition { topic: Arc::clone(&topic), partition: bytes.int()? });
            }
        }
        Some(())
    };
    read();
    all
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(*self.take(2)?.first_chunk()?))
    }

    fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(*self.take(4)?.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kafka::mock::MockKafka;

    /// librdkafka's own cluster lists no groups, like a broker whose user may not see them.
    #[test]
    fn a_group_that_can_not_be_looked_at_is_told_of() {
        let kafka = MockKafka::start(&[("t", 1)]).unwrap();
        let properties = kafka.properties();
        let topics = Topics::List(vec!["t".into()]);
        let group = Group { properties, name: "g".into(), topics };
        let seen = group.look_until_whole(2, Duration::from_millis(1), &|| false);
        assert!(matches!(seen, Seen::Nothing(reason) if !reason.is_empty()));
        assert!(matches!(group.look_until_whole(2, TURN, &|| true), Seen::Enough));
    }

    /// Two partitions of one topic and one of another, and no data of the leader's own.
    const WRITTEN: &[u8] = b"\0\x01\0\0\0\x02\
        \0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x07\
        \0\x02bc\0\0\0\x01\0\0\x01\0\
        \xff\xff\xff\xff";

    #[test]
    fn a_members_partitions_are_read() {
        let expected = [("a", 0), ("a", 7), ("bc", 256)];
        let named =
            |(topic, partition): (&str, i32)| TopicPartition { topic: topic.into(), partition };
        assert_eq!(assigned(WRITTEN), expected.map(named));
        assert_eq!(assigned(b""), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic_or_grow(
            bytes in prop::collection::vec(any::<u8>(), 0..64), end in 0..WRITTEN.len()
        ) {
            prop_assert!(assigned(&bytes).len() < 64);
            prop_assert!(assigned(&WRITTEN[..end]).len() <= 3);
        }
    }
}
