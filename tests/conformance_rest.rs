//! The REST interface keeps to its own description, whatever it is asked: Schemathesis makes requests from
//! `/openapi.json`, right ones and wrong ones, and looks at every reply.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use run::{Message, Tidegate, Topic, unique};
use stack::{free_port, http_request, shared_kafka};

#[test]
fn no_request_is_answered_with_a_server_error_or_in_a_way_that_is_not_described() {
    let kafka = shared_kafka();
    let folder = tempfile::tempdir().expect("a folder");
    let topic = Topic::create(&kafka, unique("rest"), 2);
    let dead = Topic::create(&kafka, format!("{}_dead", topic.name), 1);
    topic.produce([r#"{"v":1}"#, "no JSON"].map(Message::new));
    let made = folder.path().join("made");
    fs::create_dir(&made).expect("a folder");
    let address = format!("127.0.0.1:{}", free_port());
    let process = format!(
        "server: {{ listen: '{address}', connectors: '{}' }}\n\
         kafka: {{ bootstrap.servers: '{}', statistics.interval.ms: 200 }}\n",
        made.display(),
        kafka.bootstrap()
    );
    let connector = format!(
        "{{ name: {0}, topics: [{0}], point: {{ measurement: m, fields: {{ v: v }} }}, \
         sink: {{ blackhole: {{}} }}, dead_letter: {{ topic: {1} }} }}",
        topic.name, dead.name
    );
    let files = [("../tidegate.yaml", process.as_str()), ("c.yaml", &connector)];
    let mut tidegate = Tidegate::run_all(&files, &[]);
    tidegate.until("it listens", || TcpStream::connect(&address).is_ok());
    tidegate.until("a record is rejected", || !dead.read().is_empty());

    // Names that lead nowhere, and then those that there are.
    schemathesis("nowhere", &address, folder.path(), "");
    let names = format!(
        "[parameters]\n\"path.name\" = \"{}\"\n\"path.plugin\" = \"tidegate\"\n\"path.task\" = \"0\"\n",
        topic.name
    );
    schemathesis("there", &address, folder.path(), &names);

    let (code, body) = http_request(&address, "GET", "/health/ready", &[], "");
    assert_eq!(code, 200, "it goes on: {body}");
    assert!(!tidegate.log().contains("panicked"), "{}", tidegate.log());
    tidegate.stop();
}

fn schemathesis(name: &str, address: &str, folder: &Path, config: &str) {
    let file = folder.join(format!("{name}.toml"));
    fs::write(&file, config).expect("a file");
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("report");
    let output = Command::new(format!("{}/venv/bin/python", installed("schemathesis")))
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(file)
        .args([
            "run",
            &format!("http://{address}/openapi.json"),
            "--url",
            &format!("http://{address}"),
        ])
        // A configuration is checked for more than its form, so that what is right by the description
        // may be refused.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "30"])
        .args(["--seed", "1", "--continue-on-failure", "--request-timeout", "40"])
        .args(["--report", "junit", "--report-junit-path"])
        .arg(report.join(format!("schemathesis-{name}.xml")))
        .current_dir(folder)
        .output()
        .expect("a client, by tests/stack/install.sh matrix");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Test cases:"), "nothing was asked: {text}");
}

fn installed(name: &str) -> String {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
    let output = Command::new(install).args(["--where", name]).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}
