//! The rows of the table: each database by one of its routes, and in what they differ.

use tidegate::point::Value;

use super::database::{Stored, number};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    InfluxDb1,
    InfluxDb2,
    InfluxDb3,
    VictoriaMetricsByLines,
    VictoriaMetricsByRemoteWrite,
    Prometheus,
    Prometheus3,
    Prometheus3ByVersion2,
    Mimir,
    Cortex,
    Thanos,
    QuestDb,
    GreptimeDb,
    FileOfLineProtocol,
    FileOfJsonLines,
    Stdout,
    Blackhole,
}

pub const ROWS: [Row; 17] = [
    Row::InfluxDb1,
    Row::InfluxDb2,
    Row::InfluxDb3,
    Row::VictoriaMetricsByLines,
    Row::VictoriaMetricsByRemoteWrite,
    Row::Prometheus,
    Row::Prometheus3,
    Row::Prometheus3ByVersion2,
    Row::Mimir,
    Row::Cortex,
    Row::Thanos,
    Row::QuestDb,
    Row::GreptimeDb,
    Row::FileOfLineProtocol,
    Row::FileOfJsonLines,
    Row::Stdout,
    Row::Blackhole,
];

/// What is kept of two values of one series at one time, written in two batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameTime {
    Last,
    Greatest,
    /// The second write is refused.
    First,
    Both,
}

/// What becomes of a sample that is older than its series' newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    Taken,
    /// Refused, and all others of its request with it.
    RolledBack,
    /// Refused and named; the others are written.
    RestWritten,
    /// Refused and counted, without a name; the others are written.
    RestWrittenUnnamed,
}

impl Late {
    pub fn rest_is_written(self) -> bool {
        matches!(self, Self::RestWritten | Self::RestWrittenUnnamed)
    }
}

impl Row {
    pub fn sink(self) -> &'static str {
        match self {
            Self::InfluxDb1
            | Self::InfluxDb2
            | Self::InfluxDb3
            | Self::VictoriaMetricsByLines
            | Self::QuestDb
            | Self::GreptimeDb => "influxdb",
            Self::VictoriaMetricsByRemoteWrite
            | Self::Prometheus
            | Self::Prometheus3
            | Self::Prometheus3ByVersion2
            | Self::Mimir
            | Self::Cortex
            | Self::Thanos => "prometheus",
            Self::FileOfLineProtocol | Self::FileOfJsonLines => "file",
            Self::Stdout => "stdout",
            Self::Blackhole => "blackhole",
        }
    }

    /// As `tests/stack/install.sh` calls what it installs.
    pub fn server(self) -> &'static str {
        match self {
            Self::InfluxDb1 => "influxdb1",
            Self::InfluxDb2 => "influxdb2",
            Self::InfluxDb3 => "influxdb3",
            Self::VictoriaMetricsByLines | Self::VictoriaMetricsByRemoteWrite => "victoria-metrics",
            Self::Prometheus => "prometheus",
            Self::Prometheus3 | Self::Prometheus3ByVersion2 => "prometheus3",
            Self::Mimir => "mimir",
            Self::Cortex => "cortex",
            Self::Thanos => "thanos",
            Self::QuestDb => "questdb",
            Self::GreptimeDb => "greptimedb",
            Self::FileOfLineProtocol => "line_protocol",
            Self::FileOfJsonLines => "json_lines",
            Self::Stdout => "stdout",
            Self::Blackhole => "blackhole",
        }
    }

    /// As in the names of the tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::VictoriaMetricsByLines => "victoria_metrics_by_lines",
            Self::VictoriaMetricsByRemoteWrite => "victoria_metrics_by_remote_write",
            Self::Prometheus3ByVersion2 => "prometheus3_by_remote_write_2",
            Self::FileOfLineProtocol => "a_file_of_line_protocol",
            Self::FileOfJsonLines => "a_file_of_json_lines",
            other => other.server(),
        }
    }

    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::InfluxDb1 => "InfluxDB 1",
            Self::InfluxDb2 => "InfluxDB 2",
            Self::InfluxDb3 => "InfluxDB 3",
            Self::VictoriaMetricsByLines => "VictoriaMetrics, line protocol",
            Self::VictoriaMetricsByRemoteWrite => "VictoriaMetrics, remote write",
            Self::Prometheus => "Prometheus 2",
            Self::Prometheus3 => "Prometheus 3",
            Self::Prometheus3ByVersion2 => "Prometheus 3, remote write 2.0",
            Self::Mimir => "Grafana Mimir",
            Self::Cortex => "Cortex",
            Self::Thanos => "Thanos Receive",
            Self::QuestDb => "QuestDB",
            Self::GreptimeDb => "GreptimeDB",
            Self::FileOfLineProtocol => "File, `line_protocol`",
            Self::FileOfJsonLines => "File, `json_lines`",
            Self::Stdout => "Standard output",
            Self::Blackhole => "Blackhole",
        }
    }

    /// Where the answers of a database come from that is not to be had: there is a fake that gives them.
    pub fn fake(self) -> Option<&'static str> {
        match self {
            Self::InfluxDb3 => Some("`influxdb3_server/src/http.rs` of influxdata/influxdb 3"),
            Self::GreptimeDb => Some(
                "`src/servers/src/influxdb.rs` and `src/mito2/src/request.rs` of GreptimeTeam/greptimedb",
            ),
            _ => None,
        }
    }

    /// Whether it takes text.
    pub fn by_lines(self) -> bool {
        self.sink() != "prometheus"
    }

    pub fn is_json(self) -> bool {
        matches!(self, Self::FileOfJsonLines | Self::Stdout)
    }

    /// Whether it has no server.
    pub fn is_local(self) -> bool {
        matches!(self.sink(), "file" | "stdout" | "blackhole")
    }

    pub fn is_influx(self) -> bool {
        matches!(self, Self::InfluxDb1 | Self::InfluxDb2 | Self::InfluxDb3)
    }

    /// Whether it names fields beside measurements, and keeps their types.
    pub fn has_fields(self) -> bool {
        self.is_influx() || self.is_local() || matches!(self, Self::QuestDb | Self::GreptimeDb)
    }

    pub fn has_unsigned(self) -> bool {
        // InfluxDB 1 has them only in a build that nobody releases.
        !matches!(self, Self::InfluxDb1 | Self::QuestDb)
    }

    pub fn same_time(self) -> SameTime {
        match self {
            Self::InfluxDb1
            | Self::InfluxDb2
            | Self::InfluxDb3
            | Self::QuestDb
            | Self::GreptimeDb => SameTime::Last,
            Self::VictoriaMetricsByLines | Self::VictoriaMetricsByRemoteWrite => SameTime::Greatest,
            Self::Prometheus
            | Self::Prometheus3
            | Self::Prometheus3ByVersion2
            | Self::Mimir
            | Self::Cortex
            | Self::Thanos => SameTime::First,
            Self::FileOfLineProtocol | Self::FileOfJsonLines | Self::Stdout | Self::Blackhole => {
                SameTime::Both
            }
        }
    }

    pub fn late(self) -> Late {
        match self {
            Self::Prometheus | Self::Prometheus3 => Late::RolledBack,
            Self::Prometheus3ByVersion2 | Self::Mimir | Self::Cortex => Late::RestWritten,
            Self::Thanos => Late::RestWrittenUnnamed,
            _ => Late::Taken,
        }
    }

    /// The finest step of its times, in nanoseconds.
    pub fn unit(self) -> i64 {
        match self {
            Self::QuestDb => 1_000,
            _ if self.has_fields() => 1,
            _ => 1_000_000,
        }
    }

    /// What a field becomes, if its names are legal everywhere; the time is in milliseconds.
    pub fn stored(
        self,
        measurement: &str,
        tags: &[(&str, &str)],
        field: &str,
        value: &Value<'_>,
        millis: i64,
    ) -> Stored {
        let tags = tags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let nanos = millis * 1_000_000;
        if self.has_fields() {
            let (name, field) = (measurement.to_owned(), field.to_owned());
            let mut value = typed(value);
            if self.is_json() {
                value = value.replacen("uint ", "int ", 1);
            }
            return Stored { name, tags, field, nanos, value };
        }
        let name = format!("{measurement}_{field}");
        Stored { name, tags, field: String::new(), nanos, value: number(as_number(value)) }
    }
}

/// Of databases that have just numbers; a string can't be written by remote write, and is 0 by lines.
fn as_number(value: &Value<'_>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "they keep floats only")]
    match value {
        Value::Float(number) => number.to_f64(),
        Value::Integer(number) => *number as f64,
        Value::Unsigned(number) => *number as f64,
        Value::Boolean(truth) => f64::from(u8::from(*truth)),
        Value::String(_) => 0.0,
        Value::Stale => f64::NAN,
        Value::NotFinite(number) => number.to_f64(),
    }
}

fn typed(value: &Value<'_>) -> String {
    match value {
        Value::Float(float) => number(float.to_f64()),
        Value::Integer(number) => format!("int {number}"),
        Value::Unsigned(number) => format!("uint {number}"),
        Value::Boolean(truth) => format!("bool {truth}"),
        Value::String(text) => format!("string {text}"),
        Value::Stale => "the end of the series".into(),
        Value::NotFinite(number) => number.to_f64().to_string(),
    }
}
