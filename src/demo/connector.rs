//! The demo's hold on the connector itself: the same configuration and code as `tidegate run`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::runtime::Runtime;

use crate::config::{self, Environment, Process};
use crate::connector::{self, Running, State};
use crate::kafka::mock::MockKafka;
use crate::telemetry::Metrics;

const FILE: &str = include_str!("connector.yaml");

/// The dead-letter topic that the file names.
pub(crate) const DEAD_LETTERS: &str = "weather.dead";
/// The consumer group, by the connector's name.
pub(crate) const GROUP: &str = "tidegate-demo";

/// The connector, running.
#[derive(Debug)]
pub(crate) struct Connector {
    running: Mutex<Option<Running>>,
    metrics: Metrics,
}

impl Connector {
    /// Starts it, from the mock cluster to the store.
    pub(crate) fn start(
        kafka: &MockKafka,
        store: SocketAddr,
        runtime: &Arc<Runtime>,
    ) -> Result<Self, String> {
        let connector = load(&kafka.bootstrap_servers(), store)?;
        let running = connector::start(&connector, runtime).map_err(|why| why.to_string())?;
        Ok(Self { metrics: running.metrics().clone(), running: Mutex::new(Some(running)) })
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Why it failed, if it has.
    pub(crate) fn failure(&self) -> Option<String> {
        let running = self.running.lock().ok()?;
        match running.as_ref()?.state() {
            State::Failed(why) => Some(why.to_string()),
            State::Running | State::Paused | State::Stopped => None,
        }
    }

    /// Stops it, and waits until it has committed and left its group.
    pub(crate) fn stop(&self) -> Result<(), String> {
        let running = self.running.lock().ok().and_then(|mut running| running.take());
        let Some(running) = running else {
            return Ok(());
        };
        running.stop();
        match running.join() {
            State::Failed(why) => Err(why.to_string()),
            State::Running | State::Paused | State::Stopped => Ok(()),
        }
    }
}

fn load(kafka: &str, store: SocketAddr) -> Result<config::Connector, String> {
    let variable = |name: &str| match name {
        "DEMO_KAFKA" => Some(kafka.to_owned()),
        "DEMO_STORE" => Some(format!("http://{store}")),
        _ => None,
    };
    let no_files = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let environment = Environment::new(variable, no_files);
    config::load_text("connector.yaml", FILE, &Process::default(), &environment)
        .map_err(|errors| errors.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_is_a_valid_connector() {
        let connector = load("localhost:9092", ([127, 0, 0, 1], 8086).into()).unwrap();
        assert_eq!(connector.group, GROUP);
        assert_eq!(connector.dead_letter.as_deref(), Some(DEAD_LETTERS));
    }
}
