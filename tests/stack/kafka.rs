//! The broker.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaErrorCode;

use super::process::{Process, block_on, free_port, process_control, started};
use super::{READY_WITHIN, shared};

pub fn shared_kafka() -> Kafka {
    Kafka { bootstrap: shared("TIDEGATE_TEST_KAFKA"), replicas: 1, process: None }.answering()
}

process_control!(Kafka);

/// One KRaft broker that creates no topic by itself (or the brokers of a `Cluster`, seen from outside).
pub struct Kafka {
    pub(super) bootstrap: String,
    /// Of each topic that is created.
    pub(super) replicas: i32,
    pub(super) process: Option<Process>,
}

impl Kafka {
    pub fn start() -> Self {
        started(|| {
            let (port, controller) = (free_port(), free_port());
            let process = Process::start("kafka.sh", &[&port.to_string(), &controller.to_string()]);
            let bootstrap = format!("127.0.0.1:{port}");
            let mut kafka = Self { bootstrap, replicas: 1, process: Some(process) };
            kafka.became_ready().map(|()| kafka)
        })
    }

    /// `host:port`, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]);
    }

    /// Creates a topic with configurations such as `("cleanup.policy", "compact")`, and returns when it has leaders.
    pub fn create_topic_with(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.replicas));
        for (key, value) in configs {
            topic = topic.set(key, value);
        }
        let admin = self.admin();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let answer = block_on(admin.create_topics([&topic], &options))
            .unwrap_or_else(|error| panic!("topic {name}: {error}"));
        for result in answer {
            if let Err((_, code)) = result {
                panic!("topic {name}: {code}");
            }
        }
        let expected = usize::try_from(partitions).expect("a positive number of partitions");
        let deadline = Instant::now() + Duration::from_secs(10);
        while partitions_with_leader(&admin, name) < expected {
            assert!(Instant::now() < deadline, "topic {name} got no leaders within 10 s");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn delete_topic(&self, name: &str) {
        let answer = block_on(self.admin().delete_topics(&[name], &AdminOptions::new()))
            .unwrap_or_else(|error| panic!("topic {name}: {error}"));
        for result in answer {
            if let Err((_, code)) = result {
                assert_eq!(code, RDKafkaErrorCode::UnknownTopicOrPartition, "topic {name}");
            }
        }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        admin(&self.bootstrap)
    }

    /// The id of the broker that leads a partition, if one does.
    pub(super) fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let admin = self.admin();
        let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        let leader = partitions.find(|p| p.id() == partition)?.leader();
        (leader >= 0).then_some(leader)
    }

    /// Every replica of the topic has what its leader has.
    pub(super) fn is_in_sync(&self, topic: &str) -> bool {
        let admin = self.admin();
        admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)).is_ok_and(|metadata| {
            let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            partitions.all(|partition| partition.isr().len() == partition.replicas().len())
        })
    }

    pub(super) fn wait_brokers(&self, count: usize) {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let metadata = self.admin().inner().fetch_metadata(None, Duration::from_secs(2));
            if metadata.is_ok_and(|metadata| metadata.brokers().len() == count) {
                return;
            }
            assert!(Instant::now() < deadline, "{} has not {count} brokers", self.bootstrap);
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn is_ready(&self) -> bool {
        // Asking the port first is cheap; a client of librdkafka waits longer between its attempts.
        TcpStream::connect(&self.bootstrap).is_ok()
            && self
                .admin()
                .inner()
                .fetch_metadata(None, Duration::from_secs(2))
                .is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    fn answering(self) -> Self {
        assert!(self.is_ready(), "TIDEGATE_TEST_KAFKA={} does not answer", self.bootstrap);
        self
    }
}

pub(super) fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("log_level", "2") // a broker that is down on purpose is no news
        .create()
        .expect("an admin client needs no more than the address")
}

fn partitions_with_leader(admin: &AdminClient<DefaultClientContext>, topic: &str) -> usize {
    let Ok(metadata) = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)) else {
        return 0;
    };
    metadata
        .topics()
        .iter()
        .flat_map(MetadataTopic::partitions)
        .filter(|partition| partition.error().is_none() && partition.leader() >= 0)
        .count()
}
