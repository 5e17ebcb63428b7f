//! Three brokers, to kill, freeze and restart one by one.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::kafka::admin;
use super::process::{Process, free_port, process_control, started};
use super::{Kafka, READY_WITHIN};

/// Three KRaft brokers, each also a controller: topics have three replicas, of which two must be in sync, so one broker
/// may be away and nothing that was acknowledged is lost. Committed offsets have one partition: its leader
/// (`leader("__consumer_offsets", 0)`) coordinates every group.
pub struct Cluster {
    bootstrap: String,
    brokers: Vec<Broker>,
}

impl Cluster {
    pub fn start() -> Self {
        started(|| {
            let controllers: Vec<String> = (0..3).map(|_| free_port().to_string()).collect();
            // All at once: one alone has no quorum, and never becomes ready.
            let mut brokers: Vec<_> = (1..=3).map(|id| Broker::spawn(id, &controllers)).collect();
            for broker in &mut brokers {
                broker.became_ready()?;
            }
            let addresses: Vec<_> = brokers.iter().map(Broker::address).collect();
            let cluster = Self { bootstrap: addresses.join(","), brokers };
            cluster.kafka().wait_brokers(3);
            Ok(cluster)
        })
    }

    /// The cluster as clients see it: its address, and its topics. It borrows nothing, so that brokers may be killed
    /// meanwhile.
    pub fn kafka(&self) -> Kafka {
        Kafka { bootstrap: self.bootstrap.clone(), replicas: 3, process: None }
    }

    /// `host:port,host:port,host:port`, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// How many there are.
    pub fn brokers(&self) -> usize {
        self.brokers.len()
    }

    /// By its number from 0.
    pub fn broker(&mut self, number: usize) -> &mut Broker {
        &mut self.brokers[number]
    }

    /// Waits until every replica of these topics has what its leader has.
    pub fn wait_in_sync(&self, topics: &[String]) {
        let (kafka, deadline) = (self.kafka(), Instant::now() + READY_WITHIN);
        while !topics.iter().all(|topic| kafka.is_in_sync(topic)) {
            assert!(Instant::now() < deadline, "replicas of {topics:?} are not in sync");
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// The number of the broker that leads a partition now. Waits while there is none.
    pub fn leader(&self, topic: &str, partition: i32) -> usize {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(leader) = self.kafka().leader(topic, partition) {
                return usize::try_from(leader - 1).expect("ids from 1");
            }
            assert!(Instant::now() < deadline, "{topic}[{partition}] has no leader");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// One of the three.
pub struct Broker {
    id: i32,
    address: String,
    process: Option<Process>,
}

process_control!(Broker);

impl Broker {
    fn spawn(id: i32, controllers: &[String]) -> Self {
        let port = free_port();
        let mut arguments = vec![id.to_string(), port.to_string()];
        arguments.extend_from_slice(controllers);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let process = Process::start("kafka-cluster.sh", &arguments);
        Self { id, address: format!("127.0.0.1:{port}"), process: Some(process) }
    }

    fn address(&self) -> &str {
        &self.address
    }

    /// It answers, and the cluster takes it for alive.
    fn is_ready(&self) -> bool {
        TcpStream::connect(&self.address).is_ok()
            && admin(&self.address)
                .inner()
                .fetch_metadata(None, Duration::from_secs(2))
                .is_ok_and(|metadata| metadata.brokers().iter().any(|b| b.id() == self.id))
    }
}
