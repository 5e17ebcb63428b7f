//! librdkafka's statistics: where partitions end, and which are not fetched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::PartitionEnd;
use crate::record::{Offset, TopicPartition};
use crate::telemetry::{BrokerFigures, ClientFigures};

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
    #[serde(default)]
    brokers: BTreeMap<String, BrokerStatistics>,
    #[serde(default)]
    rx_bytes: u64,
}

#[derive(Deserialize)]
struct BrokerStatistics {
    /// Negative for those that stand for another: the first to be asked, the group's coordinator.
    nodeid: i32,
    #[serde(default)]
    state: String,
    #[serde(default)]
    txerrs: u64,
    #[serde(default)]
    rxerrs: u64,
    #[serde(default)]
    req_timeouts: u64,
    #[serde(default)]
    rtt: Window,
}

/// Microseconds, since the statistics before.
#[derive(Deserialize, Default)]
struct Window {
    avg: i64,
    cnt: i64,
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
    #[serde(default)]
    fetchq_cnt: u64,
    #[serde(default)]
    fetchq_size: u64,
}

impl BrokerStatistics {
    fn figures(&self) -> BrokerFigures {
        let micros = u64::try_from(self.rtt.avg).ok().filter(|_| self.rtt.cnt > 0);
        BrokerFigures {
            up: self.state == "UP",
            round_trip: micros.map(|micros| Duration::from_micros(micros).as_secs_f64()),
            errors: self.txerrs + self.rxerrs + self.req_timeouts,
        }
    }
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

    /// What is shown of the client itself.
    pub(super) fn client(&self) -> ClientFigures {
        let partitions = || self.topics.values().flat_map(|topic| topic.partitions.values());
        let brokers = self.brokers.values().filter(|broker| broker.nodeid >= 0);
        ClientFigures {
            received_bytes: self.rx_bytes,
            queued_records: partitions().map(|partition| partition.fetchq_cnt).sum(),
            queued_bytes: partitions().map(|partition| partition.fetchq_size).sum(),
            brokers: brokers.map(|broker| (broker.nodeid, broker.figures())).collect(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As librdkafka 2.12.1 writes them, cut down.
    const STATISTICS: &str = r#"{
        "rx_bytes": 5000,
        "brokers": {
            "localhost:9092/1": { "nodeid": 1, "state": "UP", "txerrs": 1, "rxerrs": 2, "req_timeouts": 3,
                "rtt": { "min": 1, "max": 9, "avg": 2500, "cnt": 4 } },
            "localhost:9093/2": { "nodeid": 2, "state": "DOWN", "rtt": { "avg": 0, "cnt": 0 } },
            "GroupCoordinator": { "nodeid": -1, "state": "UP" }
        },
        "topics": { "t": { "partitions": {
            "0": { "lo_offset": 0, "ls_offset": 9, "committed_offset": 5, "app_offset": 7,
                "fetch_state": "active", "fetchq_cnt": 3, "fetchq_size": 300 },
            "-1": { "lo_offset": -1, "ls_offset": -1, "committed_offset": -1, "app_offset": -1,
                "fetch_state": "none" }
        } } }
    }"#;

    #[test]
    fn a_client_is_shown_with_its_queue_and_with_brokers_but_not_with_what_stands_for_one() {
        let figures = serde_json::from_str::<Statistics>(STATISTICS).unwrap().client();
        let up = BrokerFigures { up: true, round_trip: Some(0.0025), errors: 6 };
        let down = BrokerFigures { up: false, round_trip: None, errors: 0 };
        let expected = ClientFigures {
            received_bytes: 5000,
            queued_records: 3,
            queued_bytes: 300,
            brokers: [(1, up), (2, down)].into(),
        };
        assert_eq!(figures, expected);
    }
}
