//! `testdata/*` with the expected files beside each in `*.yaml`; `UPDATE_GOLDEN=1 cargo test` writes them
//! anew: read the difference before it is committed.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::{Environment, Process, Secret, load_text};

fn golden(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/testdata");
    let imported = import(&fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    let mut process = Process::default();
    process.kafka.insert("bootstrap.servers".into(), Secret::new("localhost:9092"));
    let environment = Environment::variables(|_| None);
    let mut found = String::new();
    for imported in &imported {
        let text = imported.draft();
        if let Err(errors) = load_text("imported.yaml", &text, &process, &environment) {
            panic!("{errors}\n{text}");
        }
        found.extend(["# ", &imported.name, ".yaml\n", &text, "\n"]);
    }
    assert!(!found.contains("hunter2"), "{found}");
    let file = folder.join(format!("{name}.yaml"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn stream_reactors_documented_example_becomes_a_connector() {
    golden("stream-reactor.properties");
}

#[test]
fn each_statement_of_kcql_becomes_a_connector() {
    golden("stream-reactor-tags.properties");
}

#[test]
fn the_body_of_a_request_to_kafka_connect_is_read_as_well() {
    golden("stream-reactor.json");
}

#[test]
fn confluents_sink_becomes_a_connector() {
    golden("confluent.json");
}

#[test]
fn telegrafs_kafka_consumer_becomes_a_connector() {
    golden("telegraf.conf");
}

#[test]
fn what_is_no_known_configuration_is_said() {
    for (text, reason) in [
        ("", "no connector.class"),
        ("{", "not JSON"),
        ("[]", "no connector.class"),
        (
            r#"{"connector.class":"x.S3SinkConnector"}"#,
            "x.S3SinkConnector is no connector that can be imported",
        ),
        ("connector.class=a.InfluxSinkConnector", "connect.influx.kcql is missing"),
        (
            "connector.class=a.InfluxSinkConnector\nconnect.influx.kcql=SELECT 1",
            "does not begin with INSERT INTO",
        ),
        ("[[inputs.cpu]]", "there is no [[inputs.kafka_consumer]]"),
        ("[[inputs.kafka_consumer]]\ntopics = [\"a\"]", "there is neither [[outputs.influxdb_v2]]"),
        ("[[inputs.kafka_consumer]]\ntopics = [", "not TOML"),
    ] {
        let error = import(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
