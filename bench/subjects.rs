//! What is measured: each subject is a process that reads a topic and writes what it makes of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::topic::Topic;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// librdkafka through its Rust client: looks at each payload's length.
    Bare,
    Tidegate,
    Telegraf,
    /// Connect's JSON converter and its file sink, on a null file: the floor under any sink connector.
    KafkaConnect,
}

/// What becomes of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Nothing,
    LineProtocol,
    LineProtocolGzip,
    RemoteWrite,
    NullFile,
}

/// A subject that runs, in a consumer group of its own.
pub struct Running {
    pub child: Child,
    pub group: String,
    _folder: TempDir,
}

impl Subject {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare librdkafka consumer",
            Self::Tidegate => "Tidegate",
            Self::Telegraf => "Telegraf 1.36.2",
            Self::KafkaConnect => "Kafka Connect 4.3.1",
        }
    }

    /// Whether the time until its first commit is left out: a JVM's start would be most of a short run.
    pub fn is_warmed_up(self) -> bool {
        self == Self::KafkaConnect
    }

    /// Starts it: it reads the topic from its beginning and writes to the database at `url`.
    pub fn start(self, topic: &Topic, output: Output, url: &str, group: &str) -> Running {
        let folder = tempfile::tempdir().expect("a folder");
        let group = match self {
            // Both give the group a name by the connector's.
            Self::Tidegate => format!("tidegate-{group}"),
            Self::KafkaConnect => format!("connect-{group}"),
            Self::Bare | Self::Telegraf => group.to_owned(),
        };
        let mut command = match self {
            Self::Bare => bare(topic, &group),
            Self::Tidegate => tidegate(folder.path(), topic, &group, &sink(output, url), ""),
            Self::Telegraf => telegraf(folder.path(), &telegraf_file(topic, &group, output, url)),
            Self::KafkaConnect => kafka_connect(folder.path(), topic, &group),
        };
        let child = command.stdin(Stdio::piped()).spawn().expect("the subject starts");
        Running { child, group, _folder: folder }
    }
}

impl Output {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::LineProtocol => "line protocol",
            Self::LineProtocolGzip => "line protocol, gzip",
            Self::RemoteWrite => "remote write",
            Self::NullFile => "a null file",
        }
    }
}

impl Running {
    pub fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        asked.expect("a signal can be sent");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Running {
    /// Only where a measurement has panicked is it still there.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bare(topic: &Topic, group: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("bare").arg(&topic.bootstrap).arg(&topic.name).arg(group);
    command.arg(topic.messages.to_string()).stdout(Stdio::piped());
    command
}

pub fn sink(output: Output, url: &str) -> String {
    let lines = |compression| {
        format!("influxdb: {{ url: '{url}', org: o, bucket: b, compression: {compression} }}")
    };
    match output {
        Output::RemoteWrite => format!("prometheus: {{ url: '{url}/api/v1/write' }}"),
        Output::LineProtocolGzip => lines("gzip"),
        Output::LineProtocol | Output::Nothing | Output::NullFile => lines("none"),
    }
}

/// Starts Tidegate with its defaults for everything but what `more` says, in lines of YAML.
pub fn start_tidegate(topic: &Topic, group: &str, sink: &str, more: &str) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let group = format!("tidegate-{group}");
    let mut command = tidegate(folder.path(), topic, &group, sink, more);
    let child = command.stdin(Stdio::null()).spawn().expect("Tidegate starts");
    Running { child, group, _folder: folder }
}

/// Starts one Tidegate with so many connectors, named (and their groups) by their numbers.
pub fn start_tidegates(topic: &Topic, group: &str, sink: &str, connectors: u32) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let group = format!("tidegate-{group}");
    for number in 0..connectors {
        let text = connector_file(topic, &format!("{group}-{number}"), sink, "");
        let file = folder.path().join(format!("bench-{number}.yaml"));
        std::fs::write(file, text.replacen("name: bench", &format!("name: bench-{number}"), 1))
            .expect("a file");
    }
    let mut command = Command::new(tidegate_binary());
    command.arg("run").arg(folder.path()).stdin(Stdio::null());
    let child = command.spawn().expect("Tidegate starts");
    Running { child, group, _folder: folder }
}

/// The release binary, which lies beside the folder of examples that this program is in.
fn tidegate_binary() -> PathBuf {
    let examples = std::env::current_exe().expect("this program");
    examples.parent().expect("examples/").with_file_name("tidegate")
}

fn tidegate(folder: &Path, topic: &Topic, group: &str, sink: &str, more: &str) -> Command {
    let file = folder.join("bench.yaml");
    std::fs::write(&file, connector_file(topic, group, sink, more)).expect("a file");
    let mut command = Command::new(tidegate_binary());
    command.arg("run").arg(file);
    command
}

fn connector_file(topic: &Topic, group: &str, sink: &str, more: &str) -> String {
    let Topic { bootstrap, name, kind, .. } = topic;
    let properties = std::env::var("BENCH_KAFKA").map_or(String::new(), |more| format!(", {more}"));
    format!(
        "name: bench
topics: [{name}]
kafka: {{ bootstrap.servers: '{bootstrap}'{properties} }}
group: {group}
{}sink: {{ {sink} }}
{more}",
        kind.mapping()
    )
}

/// Where `tests/stack/install.sh` has put a program.
fn installed(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack/install.sh");
    let output = Command::new(script).args(["--where", name]).output().expect("install.sh");
    assert!(output.status.success(), "{name} is not installed: tests/stack/install.sh {name}");
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}

fn telegraf(folder: &Path, file: &str) -> Command {
    let path = folder.join("telegraf.conf");
    std::fs::write(&path, file).expect("a file");
    let mut command = Command::new(installed("telegraf").join("bin/telegraf"));
    command.arg("--quiet").arg("--config").arg(path);
    command
}

fn telegraf_file(topic: &Topic, group: &str, output: Output, url: &str) -> String {
    let Topic { bootstrap, name, .. } = topic;
    let tag = |(path, name): (&str, &str)| {
        format!("[[inputs.kafka_consumer.json_v2.tag]]\npath = '{path}'\nrename = '{name}'\n")
    };
    let tags = [("site", "site"), ("device.id", "device"), ("device.model", "model")].map(tag);
    let field = |name: &str| {
        let kind = if name == "cycles" { "int" } else { "float" };
        format!(
            "[[inputs.kafka_consumer.json_v2.field]]\npath = 'reading.{name}'\nrename = '{name}'\n\
             type = '{kind}'\n"
        )
    };
    let fields = ["temperature", "humidity", "pressure", "vibration", "cycles"].map(field);
    let output = match output {
        Output::RemoteWrite => format!(
            "[[outputs.http]]\nurl = '{url}/api/v1/write'\ndata_format = 'prometheusremotewrite'\n\
             [outputs.http.headers]\nContent-Type = 'application/x-protobuf'\n\
             Content-Encoding = 'snappy'\nX-Prometheus-Remote-Write-Version = '0.1.0'\n"
        ),
        _ => format!(
            "[[outputs.influxdb_v2]]\nurls = ['{url}']\ntoken = 't'\norganization = 'o'\n\
             bucket = 'b'\ncontent_encoding = 'identity'\n"
        ),
    };
    format!(
        "[agent]
omit_hostname = true
flush_interval = '200ms'
metric_batch_size = 5000
metric_buffer_limit = 100000
{output}
[[inputs.kafka_consumer]]
brokers = ['{bootstrap}']
kafka_version = '3.6.0'
topics = ['{name}']
consumer_group = '{group}'
offset = 'oldest'
max_undelivered_messages = 20000
data_format = 'json_v2'
[[inputs.kafka_consumer.json_v2]]
measurement_name = 'sensor'
timestamp_path = 'ts'
timestamp_format = 'unix_ms'
{}{}",
        tags.concat(),
        fields.concat()
    )
}

fn kafka_connect(folder: &Path, topic: &Topic, group: &str) -> Command {
    let Topic { bootstrap, name, .. } = topic;
    let (worker, sink) = (folder.join("worker.properties"), folder.join("sink.properties"));
    let offsets = folder.join("offsets");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = port.local_addr().expect("its address").port();
    let text = format!(
        "bootstrap.servers={bootstrap}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
offset.storage.file.filename={}
offset.flush.interval.ms=1000
listeners=http://127.0.0.1:{port}
",
        offsets.display()
    );
    std::fs::write(&worker, text).expect("a file");
    let connector = group.trim_start_matches("connect-");
    let text = format!(
        "name={connector}
connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector
tasks.max=1
topics={name}
file=/dev/null
"
    );
    std::fs::write(&sink, text).expect("a file");
    let libraries = installed("kafka-connect").join("libs/*");
    let mut command = Command::new("java");
    command
        .args(["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"])
        .arg(libraries)
        .arg("org.apache.kafka.connect.cli.ConnectStandalone")
        .args([worker, sink]);
    command
}
