//! The two connectors, each with a database, a group and a dead-letter topic of its own.

use std::path::Path;

use crate::stack::InfluxDb2;
use crate::stream::Kind;
use crate::support::proxy::{self, Database};

pub const TOPIC: &str = "chaos";
pub const INFLUXDB: Target = Target { name: "influxdb" };
pub const PROMETHEUS: Target = Target { name: "prometheus" };

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub name: &'static str,
}

impl Target {
    pub fn group(self) -> String {
        format!("chaos-{}", self.name)
    }

    pub fn dead_topic(self) -> String {
        format!("chaos.dead.{}", self.name)
    }

    /// Whether such a message ends in the database, and not in the dead-letter topic.
    pub fn stores(self, kind: Kind) -> bool {
        match kind {
            Kind::Good => true,
            Kind::TypeConflict | Kind::TooLong => self == PROMETHEUS,
            Kind::Garbage | Kind::Unmapped => false,
        }
    }

    /// For its proxy.
    pub fn database(self, url: &str) -> Database {
        let decode = if self == PROMETHEUS { proxy::remote_write } else { proxy::line_protocol };
        Database { url: url.to_owned(), decode }
    }

    fn sink(self) -> String {
        match self.name {
            "influxdb" => format!(
                "influxdb: {{ url: '${{INFLUXDB}}', org: {}, bucket: {}, token: {}, compression: none }}",
                InfluxDb2::ORG,
                InfluxDb2::BUCKET,
                InfluxDb2::TOKEN
            ),
            // Prometheus itself takes labels of any length, so the other's poison is good here.
            _ => "prometheus: { url: '${PROMETHEUS}/api/v1/write', label_value_length_limit: 0 }"
                .to_owned(),
        }
    }

    fn connector(self) -> String {
        let (group, dead, sink) = (self.group(), self.dead_topic(), self.sink());
        format!(
            "topics: [{TOPIC}]
group: {group}
kafka:
  session.timeout.ms: 6000
  heartbeat.interval.ms: 1000
  socket.timeout.ms: 6000
point:
  measurement: '{{{{ value.kind }}}}'
  tags: {{ series: series, note: note }}
  fields: {{ reading: {{ path: reading, required: true }} }}
  timestamp: {{ path: at, unit: ms }}
batch: {{ max_points: 200, linger: 100ms }}
delivery: {{ timeout: 3s, min_backoff: 50ms, max_backoff: 1s, drain: 3s }}
dead_letter: {{ topic: {dead} }}
sink:
  {sink}
"
        )
    }
}

/// `tidegate.yaml` and the connectors; the databases' addresses come from the environment.
pub fn write_configuration(folder: &Path, bootstrap: &str) {
    let process = format!("kafka: {{ bootstrap.servers: '{bootstrap}' }}\n");
    std::fs::write(folder.join("tidegate.yaml"), process).expect("room for a file");
    let connectors = folder.join("connectors");
    std::fs::create_dir_all(&connectors).expect("room for a folder");
    for target in [INFLUXDB, PROMETHEUS] {
        let file = connectors.join(format!("{}.yaml", target.name));
        std::fs::write(file, target.connector()).expect("room for a file");
    }
}
