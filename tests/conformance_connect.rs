//! Kafka Connect's tools see the same of Tidegate as of Kafka Connect: kafka-connect-py runs its command set against
//! both, and the fields of all replies are compared.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use run::{Message, Tidegate, Topic, unique};
use serde_json::{Value, json};
use stack::{free_port, http_request, shared_kafka};

/// A JVM on a loaded machine takes its time.
const STARTS_WITHIN: Duration = Duration::from_mins(2);

#[test]
fn kafka_connect_py_sees_the_same_of_tidegate_as_of_kafka_connect() {
    let kafka = shared_kafka();
    let folder = tempfile::tempdir().expect("a folder");
    let topic = Topic::create(&kafka, unique("dialect"), 1);
    topic.produce([Message::new(r#"{"v":1}"#)]);

    let made = folder.path().join("made");
    fs::create_dir(&made).expect("a folder");
    let address = format!("127.0.0.1:{}", free_port());
    let process = format!(
        "server: {{ listen: '{address}', connectors: '{}' }}\n\
         kafka: {{ bootstrap.servers: '{}', statistics.interval.ms: 200 }}\n",
        made.display(),
        kafka.bootstrap()
    );
    let beside = "{ topics: [beside], point: { measurement: m, fields: { v: v } }, sink: { blackhole: {} } }";
    let mut tidegate =
        Tidegate::run_all(&[("../tidegate.yaml", &process), ("beside.yaml", beside)], &[]);
    tidegate.until("it listens", || TcpStream::connect(&address).is_ok());
    let ours = json!({
        "name": topic.name,
        "connector.class": "tidegate",
        "tasks.max": "1",
        "topics": topic.name,
        "point.measurement": "m",
        "point.fields.v": "v",
        "sink.file.path": folder.path().join("ours"),
    });
    let ours = told(&address, "tidegate", &ours);
    tidegate.stop();

    let connect = Connect::start(kafka.bootstrap(), folder.path());
    let class = "org.apache.kafka.connect.file.FileStreamSinkConnector";
    let theirs = json!({
        "name": topic.name,
        "connector.class": class,
        "tasks.max": "1",
        "topics": topic.name,
        "file": folder.path().join("theirs"),
    });
    let theirs = told(&connect.address, class, &theirs);
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differ.is_empty() && ours.len() == theirs.len(), "{differ:#?}");
}

/// What kafka-connect-py has to tell.
fn told(address: &str, plugin: &str, config: &Value) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/steer_connect.py");
    let output = Command::new(format!("{}/venv/bin/python", installed("kafka-connect-py")))
        .args([script, &format!("http://{address}"), plugin, &config.to_string()])
        .output()
        .expect("a client, by tests/stack/install.sh matrix");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn installed(name: &str) -> String {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
    let output = Command::new(install).args(["--where", name]).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// A standalone worker of Kafka Connect; dropped, it is killed.
struct Connect {
    child: Child,
    address: String,
}

impl Connect {
    fn start(bootstrap: &str, folder: &Path) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let worker = folder.join("worker.properties");
        let text = format!(
            "bootstrap.servers={bootstrap}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.file.filename={}
listeners=http://{address}
",
            folder.join("offsets").display()
        );
        fs::write(&worker, text).expect("a file");
        let child = Command::new("java")
            .args(["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"])
            .arg(format!("{}/libs/*", installed("kafka-connect")))
            .arg("org.apache.kafka.connect.cli.ConnectStandalone")
            .arg(worker)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("java");
        let connect = Self { child, address };
        let deadline = Instant::now() + STARTS_WITHIN;
        // It listens long before it answers.
        let answers = || http_request(&connect.address, "GET", "/", &[], "").0 == 200;
        while TcpStream::connect(&connect.address).is_err() || !answers() {
            assert!(Instant::now() < deadline, "Kafka Connect does not listen");
            thread::sleep(Duration::from_millis(200));
        }
        connect
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
