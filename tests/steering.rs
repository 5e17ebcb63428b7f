//! Steering a running process: reload, and the REST interface in Kafka Connect's dialect.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;
#[path = "support/steered.rs"]
mod steered;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use run::{Group, Message, Topic, unique};
use serde_json::{Value, json};
use stack::{Kafka, http_request, shared_kafka};
use steered::{PROCESS, Steered, stored};

fn connector(kafka: &Kafka, topic: &str, file: &Path, linger_millis: usize) -> String {
    format!(
        "
name: {topic}
topics: [{topic}]
kafka: {{ bootstrap.servers: '{}', statistics.interval.ms: 200 }}
point:
  measurement: {topic}
  fields: {{ v: {{ path: v, type: integer, required: true }} }}
sink: {{ file: {{ path: '{}' }} }}
batch: {{ linger: {linger_millis}ms }}
",
        kafka.bootstrap(),
        file.display()
    )
}

#[test]
fn a_hundred_changes_of_files_under_load_lose_nothing_and_leave_the_unchanged_alone() {
    let kafka = shared_kafka();
    let out = tempfile::tempdir().expect("a folder");
    let topics: Vec<_> =
        (0..4).map(|n| Topic::create(&kafka, format!("{}_{n}", unique("reload")), 1)).collect();
    let file = |n: usize| out.path().join(format!("{n}.lines"));
    let text = |n: usize, linger| connector(&kafka, &topics[n].name, &file(n), linger);
    let texts: Vec<_> = (0..4).map(|n| (format!("c{n}.yaml"), text(n, 50))).collect();
    let files: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut steered = Steered::run(PROCESS, &files, &[]);
    let connectors = steered.tidegate.folder().join("connectors");
    // The first three are changed, again and again; some of the changes are broken.
    let mut produced = 0;
    for change in 0..100_usize {
        let n = change % 3;
        let path = connectors.join(format!("c{n}.yaml"));
        if change % 10 == 9 {
            fs::write(&path, "topics: [").expect("a file");
            let (code, body) = steered.ask("POST", "/reload", "");
            assert_eq!((code, &body["error_code"]), (409, &json!(409)), "{body}");
        }
        fs::write(&path, text(n, 51 + change)).expect("a file");
        let (code, body) = steered.ask("POST", "/reload", "");
        assert_eq!((code, &body["changed"]), (200, &json!([topics[n].name])), "{body}");
        let messages =
            || (produced..produced + 20).map(|v| Message::new(format!(r#"{{"v":{v}}}"#)));
        for topic in &topics {
            topic.produce(messages());
        }
        produced += 20;
    }
    for (n, topic) in topics.iter().enumerate() {
        let group = Group::new(&kafka, &format!("tidegate-{}", topic.name));
        steered.tidegate.until_committed(&group, topic);
        assert_eq!(stored(&file(n)), (0..produced).collect(), "connector {n}");
    }
    let summary = steered.get("/summary");
    let of = |n: usize| {
        let all = summary["connectors"].as_array().expect("connectors");
        all.iter().find(|one| one["name"] == topics[n].name).expect("this one").clone()
    };
    assert_eq!(of(3)["rebalances"], 1, "the unchanged one has joined once: {}", of(3));
    assert!(of(0)["rebalances"].as_u64() > Some(1), "{}", of(0));
    assert_eq!(summary["reloads"]["failed"], 10, "{summary}");
    steered.tidegate.stop();
}

#[test]
fn a_file_that_changes_is_taken_in_and_a_broken_one_leaves_everything_as_it_was() {
    let kafka = shared_kafka();
    let out = tempfile::tempdir().expect("a folder");
    let topic = Topic::create(&kafka, unique("watched"), 1);
    let (old, new) = (out.path().join("old"), out.path().join("new"));
    let process = "server: { listen: '${LISTEN}' }";
    let text = connector(&kafka, &topic.name, &old, 50);
    let mut steered = Steered::run(process, &[("c.yaml", &text)], &[]);
    let path = steered.tidegate.folder().join("connectors/c.yaml");
    fs::write(&path, "nonsense: true").expect("a file");
    steered.tidegate.until_logged("all runs on as before");
    topic.produce([Message::new(r#"{"v":1}"#)]);
    steered.tidegate.until("the old one goes on", || stored(&old).contains(&1));

    // As Kubernetes does it: a link that leads to another folder.
    let other = steered.tidegate.folder().join("other.yaml");
    fs::write(&other, connector(&kafka, &topic.name, &new, 50)).expect("a file");
    fs::remove_file(&path).expect("the old file");
    std::os::unix::fs::symlink(&other, &path).expect("a link");
    steered.tidegate.until_logged("the configuration was reloaded");
    // What it was may read a record more before it ends.
    let mut produced = 1;
    steered.tidegate.until("the new one writes elsewhere", || {
        produced += 1;
        topic.produce([Message::new(format!(r#"{{"v":{produced}}}"#))]);
        !stored(&new).is_empty()
    });
    let page = http_request(&steered.address, "GET", "/metrics", &[], "").1;
    assert!(page.contains("tidegate_config_last_reload_successful 1"), "{page}");

    let other = connector(&kafka, &topic.name, &old, 60);
    fs::remove_file(&path).expect("the link");
    fs::write(&path, other).expect("a file");
    steered.tidegate.signal("HUP");
    let before = stored(&old).len();
    steered.tidegate.until("it is as it was at first", || {
        produced += 1;
        topic.produce([Message::new(format!(r#"{{"v":{produced}}}"#))]);
        stored(&old).len() > before
    });
    let group = Group::new(&kafka, &format!("tidegate-{}", topic.name));
    steered.tidegate.until_committed(&group, &topic);
    let (old, new) = (stored(&old), stored(&new));
    assert_eq!(old.union(&new).copied().collect::<BTreeSet<_>>(), (1..=produced).collect());
    assert!(old.is_disjoint(&new), "each change goes on at its place: {old:?} {new:?}");
    steered.tidegate.stop();
}

#[test]
fn a_connector_is_paused_stopped_set_back_and_restarted_over_rest() {
    let kafka = shared_kafka();
    let out = tempfile::tempdir().expect("a folder");
    let file = out.path().join("lines");
    let topic = Topic::create(&kafka, unique("steered"), 1);
    let name = topic.name.clone();
    let text = connector(&kafka, &name, &file, 50);
    let mut steered = Steered::run(PROCESS, &[("c.yaml", &text)], &[]);
    let path = |rest: &str| format!("/connectors/{name}{rest}");
    topic.produce([Message::new(r#"{"v":1}"#)]);
    steered.tidegate.until("the first is written", || stored(&file).contains(&1));

    assert_eq!(steered.ask("PUT", &path("/pause"), ""), (202, Value::Null));
    steered.until_state(&name, "PAUSED");
    thread::sleep(Duration::from_millis(300));
    topic.produce([Message::new(r#"{"v":2}"#)]);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(stored(&file), [1].into(), "nothing is read in a pause");
    let (code, body) = steered.ask("DELETE", &path("/offsets"), "");
    assert_eq!(code, 400, "{body}");
    assert_eq!(steered.ask("PUT", &path("/resume"), "").0, 202);
    steered.tidegate.until("the second is written", || stored(&file).contains(&2));

    assert_eq!(steered.ask("PUT", &path("/stop"), ""), (204, Value::Null));
    steered.until_state(&name, "STOPPED");
    let place = |offset: u64| {
        json!({ "offsets": [{
            "partition": { "kafka_topic": name, "kafka_partition": 0 },
            "offset": { "kafka_offset": offset },
        }] })
    };
    assert_eq!(steered.get(&path("/offsets")), place(2));
    assert_eq!(steered.get(&path("/status"))["tasks"], json!([]));
    fs::write(&file, "").expect("a file");
    let (code, body) = steered.ask("PATCH", &path("/offsets"), &place(1).to_string());
    assert_eq!(code, 200, "{body}");
    assert_eq!(steered.get(&path("/offsets")), place(1));
    assert_eq!(steered.ask("PUT", &path("/resume"), "").0, 202);
    steered.tidegate.until("the second is written again", || stored(&file) == [2].into());

    assert_eq!(steered.ask("PUT", &path("/stop"), "").0, 204);
    steered.until_state(&name, "STOPPED");
    let (code, body) = steered.ask("DELETE", &path("/offsets"), "");
    assert_eq!(code, 200, "{body}");
    assert_eq!(steered.get(&path("/offsets")), json!({ "offsets": [] }));
    assert_eq!(steered.ask("PUT", &path("/resume"), "").0, 202);
    steered.tidegate.until("all is written again", || stored(&file) == [1, 2].into());

    topic.produce([Message::new("no JSON")]);
    steered.until_state(&name, "FAILED");
    let status = steered.get(&path("/status"));
    assert!(status["tasks"][0]["trace"].as_str().expect("why").contains("offset 2"), "{status}");
    let (code, body) = steered.ask("POST", &path("/restart?includeTasks=true&onlyFailed=true"), "");
    assert_eq!((code, &body["name"]), (202, &json!(name)), "{body}");
    let summary = steered.get("/summary");
    assert_eq!(summary["connectors"][0]["rejected"][0]["offset"], 2, "{summary}");
    let (code, body) = steered.ask("DELETE", &path(""), "");
    assert_eq!(code, 403, "it has a file: {body}");
    let (code, body) = steered.ask("GET", "/connectors/nobody/status", "");
    assert_eq!((code, &body["error_code"]), (404, &json!(404)), "{body}");
}

#[test]
fn a_connector_is_made_changed_and_removed_over_rest_and_its_secrets_are_not_shown() {
    let kafka = shared_kafka();
    let out = tempfile::tempdir().expect("a folder");
    let topic = Topic::create(&kafka, unique("made"), 1);
    let folder = out.path().join("made");
    fs::create_dir(&folder).expect("a folder");
    let process = format!("{PROCESS}kafka: {{ bootstrap.servers: '{}' }}\n", kafka.bootstrap())
        .replace("'${LISTEN}'", "'${LISTEN}', connectors: '${FOLDER}'");
    let other = connector(&kafka, &unique("beside"), &out.path().join("beside"), 50);
    let variables = [("FOLDER", folder.to_str().expect("UTF-8"))];
    let mut steered = Steered::run(&process, &[("other.yaml", &other)], &variables);
    let file = out.path().join("lines");
    let config = json!({
        "connector.class": "tidegate",
        "tasks.max": "1",
        "topics": topic.name,
        "point.measurement": "made",
        "point.fields.v.path": "v",
        "point.fields.v.type": "integer",
        "sink.file.path": file,
        "batch.linger": "50ms",
        "kafka.sasl.password": "hunter2",
    });
    let new = json!({ "name": "made", "config": config, "initial_state": "STOPPED" }).to_string();
    topic.produce([Message::new(r#"{"v":1}"#)]);
    let (code, body) = steered.ask("POST", "/connectors", &new);
    assert_eq!((code, &body["config"]["kafka.sasl.password"]), (201, &json!("***")), "{body}");
    steered.until_state("made", "STOPPED");
    assert_eq!(steered.ask("POST", "/connectors", &new).0, 409);
    assert_eq!(steered.ask("PUT", "/connectors/made/resume", "").0, 202);
    steered.tidegate.until("it writes", || stored(&file).contains(&1));

    let wrong = json!({ "topics": "a", "point.measurement": "m", "batch.linger": "soon" });
    let path = "/connector-plugins/tidegate/config/validate";
    let (code, body) = steered.ask("PUT", path, &wrong.to_string());
    assert_eq!(code, 200, "{body}");
    let rows = body["configs"].as_array().expect("rows");
    let linger = rows.iter().find(|row| row["value"]["name"] == "batch.linger").expect("the row");
    assert_ne!(linger["value"]["errors"], json!([]), "{linger}");
    assert!(body["error_count"].as_u64() > Some(0), "{body}");
    let (code, body) = steered.ask("PUT", "/connectors/made/config", &wrong.to_string());
    assert_eq!(code, 400, "{body}");

    let shown = steered.get("/connectors/made/config");
    let (code, body) = steered.ask("PUT", "/connectors/made/config", &shown.to_string());
    assert_eq!(code, 200, "{body}");
    let kept = fs::read_to_string(folder.join("made.json")).expect("its file");
    assert!(kept.contains("hunter2"), "a secret that was shown masked is kept: {kept}");
    let changed = r#"{"batch.linger": "60ms", "tasks.max": null}"#;
    let (code, body) = steered.ask("PATCH", "/connectors/made/config", changed);
    assert_eq!((code, &body["config"]["batch.linger"]), (200, &json!("60ms")), "{body}");
    let doctor = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["doctor", "--server", &steered.address])
        .current_dir(out.path())
        .output()
        .expect("the binary");
    let report = String::from_utf8(doctor.stdout).expect("UTF-8");
    for text in [
        "librdkafka 2.",
        "## Configuration of made",
        "## Place of the group of made",
        "tidegate_records_consumed_total",
    ] {
        assert!(report.contains(text), "{text}: {report}");
    }
    assert!(report.contains("***") && !report.contains("hunter2"), "{report}");
    for name in ["..", "../x", "a/b", "", "%2e%2e"] {
        let body = json!({ "name": name, "config": config }).to_string();
        let (code, body) = steered.ask("POST", "/connectors", &body);
        assert_eq!(code, 400, "{name}: {body}");
    }
    assert_eq!(steered.ask("DELETE", "/connectors/made", ""), (204, Value::Null));
    assert_eq!(steered.ask("GET", "/connectors/made", "").0, 404);
    assert!(!folder.join("made.json").exists());
}

#[test]
fn a_pause_and_a_stop_outlive_the_process() {
    let kafka = shared_kafka();
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().join("made");
    fs::create_dir(&folder).expect("a folder");
    let process = PROCESS.replace("'${LISTEN}'", "'${LISTEN}', connectors: '${FOLDER}'");
    let names = ["paused", "stopped", "resumed"].map(unique);
    let topics: Vec<_> = names.iter().map(|name| Topic::create(&kafka, name, 1)).collect();
    let text = |n: usize| connector(&kafka, &names[n], &out.path().join(&names[n]), 50);
    let texts: Vec<_> = (0..3).map(|n| (format!("c{n}.yaml"), text(n))).collect();
    let files: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let variables = [("FOLDER", folder.to_str().expect("UTF-8"))];
    let mut steered = Steered::run(&process, &files, &variables);
    for (n, order, code) in [(0, "pause", 202), (1, "stop", 204), (2, "stop", 204)] {
        let path = format!("/connectors/{}/{order}", names[n]);
        assert_eq!(steered.ask("PUT", &path, "").0, code);
    }
    assert_eq!(steered.ask("PUT", &format!("/connectors/{}/resume", names[2]), "").0, 202);
    steered.until_state(&names[2], "RUNNING");
    steered.tidegate.stop();

    let mut steered = Steered::run(&process, &files, &variables);
    for (name, state) in names.iter().zip(["PAUSED", "STOPPED", "RUNNING"]) {
        steered.until_state(name, state);
    }
    for topic in &topics {
        topic.produce([Message::new(r#"{"v":1}"#)]);
    }
    steered.tidegate.until("what runs writes", || !stored(&out.path().join(&names[2])).is_empty());
    assert_eq!(steered.ask("POST", &format!("/connectors/{}/restart", names[0]), "").0, 204);
    thread::sleep(Duration::from_secs(2));
    assert!(stored(&out.path().join(&names[0])).is_empty(), "a restart of it is no resume");
    for n in [0, 1] {
        assert_eq!(steered.ask("PUT", &format!("/connectors/{}/resume", names[n]), "").0, 202);
        let file = out.path().join(&names[n]);
        steered.tidegate.until("it goes on", || stored(&file).contains(&1));
    }
    steered.tidegate.stop();
}

#[test]
fn hostile_requests_harm_nothing() {
    let kafka = shared_kafka();
    let out = tempfile::tempdir().expect("a folder");
    let token = out.path().join("token");
    fs::write(&token, "open sesame\n").expect("a file");
    let text = connector(&kafka, &unique("guarded"), &out.path().join("lines"), 50);
    let process = PROCESS.replace("'${LISTEN}'", "'${LISTEN}', token_file: '${TOKEN}'");
    let variables = [("TOKEN", token.to_str().expect("UTF-8"))];
    let mut steered = Steered::run(&process, &[("c.yaml", &text)], &variables);
    let with = |headers: &[(&str, &str)], method: &str, path: &str, body: &str| {
        http_request(&steered.address, method, path, headers, body)
    };
    let good = ("Authorization", "Bearer open sesame");
    // `:open sesame` as a login.
    let login = ("Authorization", "Basic OnBlbiBzZXNhbWU=");
    assert_eq!(with(&[], "GET", "/connectors", "").0, 401);
    assert_eq!(with(&[("Authorization", "Bearer open")], "GET", "/connectors", "").0, 401);
    assert_eq!(with(&[login], "GET", "/connectors", "").0, 401, "its password is another");
    assert_eq!(with(&[good], "GET", "/connectors", "").0, 200);
    assert_eq!(with(&[], "GET", "/health/ready", "").0, 200);
    let elsewhere = ("Origin", "http://evil.example");
    assert_eq!(with(&[good, elsewhere], "POST", "/reload", "").0, 403);
    for path in ["/../etc/passwd", "/connectors/..%2f..%2fetc", "/connectors//", "/%00", "/nothing"]
    {
        let (code, body) = with(&[good], "GET", path, "");
        assert_eq!(code, 404, "{path}: {body}");
        assert!(body.contains("error_code"), "{path}: {body}");
    }
    assert_eq!(with(&[good], "PATCH", "/connectors", "").0, 405);
    assert_eq!(with(&[good], "POST", "/connectors", "{").0, 400);
    assert_eq!(with(&[good], "POST", "/connectors", "[]").0, 400);
    let huge = format!("\"{}\"", "x".repeat(2 * 1024 * 1024));
    assert_eq!(with(&[good], "POST", "/connectors", &huge).0, 413);
    // Those that say nothing take their places, and no more than that.
    let silent: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(&steered.address).expect("a connection");
            stream.write_all(b"GET /metr").expect("half a request");
            stream
        })
        .collect();
    assert_eq!(with(&[good], "GET", "/connectors", "").0, 200);
    drop(silent);
    // Those that ask for much and read nothing.
    let deaf: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = TcpStream::connect(&steered.address).expect("a connection");
            let ask = "GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(200);
            // It takes no more requests than it can answer, so not all may fit.
            let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
            let _ = stream.write_all(ask.as_bytes());
            stream
        })
        .collect();
    assert_eq!(with(&[good], "GET", "/connectors", "").0, 200);
    assert!(
        steered.tidegate.resident_kib() < 256 * 1024,
        "it holds no more than a little for each"
    );
    drop(deaf);
    for path in ["preview", "dead-letters", "dead-letters/replay"] {
        let path = format!("/connectors/x/{path}");
        assert_eq!(with(&[], "GET", &path, "").0, 401, "{path}");
        assert_eq!(with(&[good], "GET", &path, "").0, 404, "{path}");
    }
    let mut slow = TcpStream::connect(&steered.address).expect("a connection");
    slow.write_all(b"POST /connectors HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer open sesame\r\nContent-Length: 9\r\n\r\n{").expect("half a request");
    let mut answer = String::new();
    slow.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    let _ = slow.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    steered.tidegate.stop();
}
