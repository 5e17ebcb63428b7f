//! librdkafka's statistics: where partitions end, and which are not fetched.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::PartitionEnd;
use crate::record::{Offset, TopicPartition};

/// What librdkafka's statistics say, for the fuzz target.
#[cfg(any(test, fuzzing))]
pub(crate) fn ends(statistics: &[u8]) -> Result<Vec<PartitionEnd>, serde_json::Error> {
    serde_json::from_slice::<Statistics>(statistics).map(Statistics::ends)
}

/// The part of librdkafka's statistics (its STATISTICS.md) that Tidegate needs.
#[derive(Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    topics: BTreeMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: BTreeMap<i32, PartitionStatistics>,
}

#[derive(Deserialize)]
struct PartitionStatistics {
    lo_offset: i64,
    ls_offset: i64,
    committed_offset: i64,
    app_offset: i64,
    fetch_state: String,
}

impl Statistics {
    /// Those that librdkafka has not begun to fetch, or has given up.
    pub(super) fn idle(&self) -> Vec<TopicPartition> {
        let mut idle = Vec::new();
        for (topic, statistics) in &self.topics {
            let none = |p: &PartitionStatistics| matches!(&*p.fetch_state, "none" | "stopped");
            let partitions = statistics.partitions.iter();
            idle.extend(partitions.filter(|(number, p)| **number >= 0 && none(p)).map(
                |(number, _)| TopicPartition { topic: topic.as_str().into(), partition: *number },
            ));
        }
        idle
    }

    /// Negative numbers mean "not known yet".
    pub(super) fn ends(self) -> Vec<PartitionEnd> {
        let mut ends = Vec::new();
        for (topic, statistics) in self.topics {
            let topic: Arc<str> = topic.into();
            for (partition, p) in statistics.partitions {
                if partition >= 0 && p.ls_offset >= 0 {
                    let partition = TopicPartition { topic: topic.clone(), partition };
                    let committed = Offset(p.committed_offset.max(p.lo_offset).max(0));
                    let polled = Offset(p.app_offset.max(0));
                    let end = Offset(p.ls_offset);
                    ends.push(PartitionEnd { partition, end, committed, polled });
                }
            }
        }
        ends
    }
}
