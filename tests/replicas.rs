//! Several processes with the same connectors: each takes part in all changes, and answers for all.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;
#[path = "support/steered.rs"]
mod steered;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use run::{Message, Topic, unique};
use serde_json::{Value, json};
use stack::{Kafka, http_request, shared_kafka};
use steered::{PROCESS, Steered, stored};

/// Without it a request is answered with 401.
const TOKEN: (&str, &str) = ("Authorization", "Bearer open sesame");

/// A process with a folder of its own, that asks for a token.
fn replica(kafka: &Kafka, shared: &str, folder: &Path, variables: &[(&str, &str)]) -> Steered {
    let process = PROCESS.replace(
        "'${LISTEN}'",
        "'${LISTEN}', connectors: '${FOLDER}', connectors_topic: '${SHARED}', token_file: '${TOKEN}'",
    ) + &format!("kafka: {{ bootstrap.servers: '{}' }}\n", kafka.bootstrap());
    fs::create_dir_all(folder).expect("a folder");
    let token = folder.with_extension("token");
    fs::write(&token, "open sesame\n").expect("a file");
    let (folder, token) = (folder.to_str().expect("UTF-8"), token.to_str().expect("UTF-8"));
    let own = [("FOLDER", folder), ("SHARED", shared), ("TOKEN", token)];
    let variables: Vec<_> = own.iter().chain(variables).copied().collect();
    Steered { headers: vec![TOKEN], ..Steered::run(&process, &[], &variables) }
}

/// A connector that each replica writes into a file of its own.
fn config(topics: &str, linger: &str) -> Value {
    json!({
        "topics": topics,
        "point.measurement": "shared",
        "point.fields.v.path": "v",
        "point.fields.v.type": "integer",
        "sink.file.path": "${FOLDER}.lines",
        "batch.linger": linger,
        "kafka.statistics.interval.ms": "200",
    })
}

fn make(at: &Steered, name: &str, mut config: Value, state: &str) {
    config["group"] = json!(unique(name));
    let new = json!({ "name": name, "config": config, "initial_state": state }).to_string();
    let (code, body) = at.ask("POST", "/connectors", &new);
    assert_eq!(code, 201, "{body}");
}

fn json_at(address: &str, path: &str) -> Value {
    let body = http_request(address, "GET", path, &[TOKEN], "").1;
    serde_json::from_str(&body).expect("JSON")
}

fn write_row(kafka: &Kafka, topic: &str, key: &str, value: &[u8]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    let producer: BaseProducer = config.create().expect("a producer");
    producer.send(BaseRecord::to(topic).key(key).payload(value)).expect("room for a row");
    producer.flush(Duration::from_secs(10)).expect("the row is there");
}

/// Worker → states of its tasks, as one replica says it.
fn tasks(status: &Value) -> BTreeMap<String, Vec<String>> {
    let mut tasks = BTreeMap::<_, Vec<_>>::new();
    for (id, task) in status["tasks"].as_array().into_iter().flatten().enumerate() {
        assert_eq!(task["id"], id, "{status}");
        let text = |key: &str| task[key].as_str().unwrap_or_default().to_owned();
        tasks.entry(text("worker_id")).or_default().push(text("state"));
    }
    tasks
}

#[test]
fn replicas_share_connectors_in_a_topic_and_a_change_on_one_is_one_on_all() {
    let kafka = shared_kafka();
    let out = tempfile::tempdir().expect("a folder");
    let topic = Topic::create(&kafka, unique("shared"), 2);
    let shared = unique("connectors");
    let run = |name: &str| replica(&kafka, &shared, &out.path().join(name), &[]);
    let (mut one, mut two) = (run("one"), run("two"));
    // Stopped at first: no replica may run it for a moment.
    for (name, state) in [("runs", "RUNNING"), ("rests", "STOPPED")] {
        make(&one, name, config(&topic.name, "50ms"), state);
    }
    let has = |steered: &mut Steered, names: &Value| {
        let address = steered.address.clone();
        steered.tidegate.until("it has the connectors", || {
            let body = http_request(&address, "GET", "/connectors", &[TOKEN], "").1;
            serde_json::from_str::<Value>(&body).expect("JSON") == *names
        });
    };
    has(&mut two, &json!(["rests", "runs"]));
    two.until_state("rests", "STOPPED");
    two.until_state("runs", "RUNNING");
    let addresses = [one.address.clone(), two.address.clone()];
    one.tidegate.until("the group has spread the work over both", || {
        addresses.iter().all(|address| {
            let page = http_request(address, "GET", "/metrics", &[], "").1;
            page.contains("tidegate_partitions_assigned{connector=\"runs\"} 1\n")
        })
    });
    topic.produce((0..100).map(|v| Message::new(format!(r#"{{"v":{v}}}"#)).in_partition(v % 2)));
    let lines = |name: &str| stored(&out.path().join(format!("{name}.lines")));
    one.tidegate.until("all is written", || lines("one").len() + lines("two").len() == 100);
    assert_eq!((lines("one").len(), lines("two").len()), (50, 50), "each its partition");

    assert_eq!(two.ask("PUT", "/connectors/runs/pause", "").0, 202);
    one.until_state("runs", "PAUSED");
    let (code, body) = two.ask("PATCH", "/connectors/runs/config", r#"{"batch.linger": "60ms"}"#);
    assert_eq!(code, 200, "{body}");
    one.tidegate.until("the change is there, too", || {
        let body = http_request(&addresses[0], "GET", "/connectors/runs/config", &[TOKEN], "").1;
        body.contains("60ms")
    });
    one.until_state("runs", "PAUSED");

    // What was removed while a replica was away is gone when it comes back, and a new one has the rest.
    one.tidegate.stop();
    assert_eq!(two.ask("DELETE", "/connectors/rests", "").0, 204);
    let (mut one, mut three) = (run("one"), run("three"));
    has(&mut one, &json!(["runs"]));
    has(&mut three, &json!(["runs"]));
    for replica in [&mut one, &mut three] {
        replica.until_state("runs", "PAUSED");
    }
    assert_eq!(one.ask("PUT", "/connectors/runs/resume", "").0, 202);
    two.until_state("runs", "RUNNING");
    three.until_state("runs", "RUNNING");
    for mut replica in [one, two, three] {
        replica.tidegate.stop();
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story of three processes, told to its end")]
fn each_replica_answers_for_all_a_restart_reaches_all_and_one_that_is_killed_vanishes() {
    let kafka = shared_kafka();
    let out = tempfile::tempdir().expect("a folder");
    let topic = Topic::create(&kafka, unique("all"), 3);
    let shared = unique("connectors");
    let table = Topic::create_with(&kafka, &shared, 1, &[("cleanup.policy", "compact")]);
    let foreign = || {
        for (key, value) in [
            ("nonsense", b"x".as_slice()),
            ("connector-broken", b"{"),
            ("connector-wrong", br#"{"topics":"a","sink.file.path":"relative"}"#),
            ("connector-../out", br#"{"topics":"a"}"#),
            ("target-state-nobody", b"\xff"),
            ("restart-connector-runs", b"{"),
            ("replica-", b"{}"),
            ("status-task-runs-x", b"[]"),
        ] {
            write_row(&kafka, &shared, key, value);
        }
    };
    foreign();
    let names = ["one", "two", "three"];
    let own: Vec<_> = names.iter().map(|name| Topic::create(&kafka, unique(name), 1)).collect();
    let mut replicas: Vec<_> = names
        .iter()
        .zip(&own)
        .map(|(name, own)| {
            replica(&kafka, &shared, &out.path().join(name), &[("OWN", own.name.as_str())])
        })
        .collect();
    let addresses: Vec<_> = replicas.iter().map(|replica| replica.address.clone()).collect();
    let mut runs = config(&topic.name, "50ms");
    runs["tasks.max"] = json!("2");
    make(&replicas[0], "runs", runs, "RUNNING");
    make(&replicas[1], "own", config("${OWN}", "50ms"), "RUNNING");

    // Each says the same of all.
    let agree = |replicas: &mut [Steered], name: &str, expected: &BTreeMap<String, Vec<String>>| {
        let addresses: Vec<_> = replicas.iter().map(|replica| replica.address.clone()).collect();
        let path = format!("/connectors/{name}/status");
        replicas[0].tidegate.until(&format!("all say {expected:?} of {name}"), || {
            let all: Vec<_> = addresses.iter().map(|address| json_at(address, &path)).collect();
            tasks(&all[0]) == *expected && all.iter().all(|one| *one == all[0])
        });
    };
    let each = |count: usize, states: [&str; 3]| -> BTreeMap<String, Vec<String>> {
        let states = states.map(|state| vec![state.to_owned(); count]);
        addresses.iter().cloned().zip(states).filter(|(_, states)| states[0] != "gone").collect()
    };
    let running = ["RUNNING"; 3];
    agree(&mut replicas, "runs", &each(2, running));
    agree(&mut replicas, "own", &each(1, running));
    foreign();
    let messages = (0..300).map(|v| Message::new(format!(r#"{{"v":{v}}}"#)).in_partition(v % 3));
    topic.produce(messages);
    for replica in &mut replicas {
        let address = replica.address.clone();
        replica.tidegate.until("its figures are those of all", || {
            let summary = json_at(&address, "/summary");
            let runs = &summary["connectors"][1];
            let each = runs["replicas"].as_array().expect("replicas");
            let points = each.iter().map(|one| one["figures"]["points_written"].as_u64());
            runs["points_written"] == 300
                && points.sum::<Option<u64>>() == Some(300)
                && runs["partitions"].as_array().map(Vec::len) == Some(3)
        });
        let expanded = replica.get("/connectors?expand=status");
        assert_eq!(tasks(&expanded["runs"]["status"]), each(2, running));
        assert_eq!(replica.get("/connectors/runs/tasks").as_array().map(Vec::len), Some(6));
        assert_eq!(replica.get("/connectors")[1], "runs", "foreign rows make no connector");
        assert_eq!(replica.ask("GET", "/connectors/runs/tasks/6/status", "").0, 404);
    }
    let shown = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["status", "--server", &addresses[1], "--token-file"])
        .arg(out.path().join("one.token"))
        .output()
        .expect("the binary");
    let shown = String::from_utf8(shown.stdout).expect("UTF-8");
    assert!(addresses.iter().all(|address| shown.contains(address)), "{shown}");

    // A restart reaches all, one of what has failed those that have, and a task's its own replica.
    let restarts = |replicas: &[Steered]| -> Vec<_> {
        let count =
            |replica: &Steered| replica.tidegate.log().matches("a restart was asked for").count();
        replicas.iter().map(count).collect()
    };
    assert_eq!(replicas[0].ask("POST", "/connectors/runs/restart", ""), (204, Value::Null));
    for replica in &mut replicas {
        replica.tidegate.until_logged("a restart was asked for");
    }
    agree(&mut replicas, "runs", &each(2, running));
    own[2].produce([Message::new("no JSON")]);
    agree(&mut replicas, "own", &each(1, ["RUNNING", "RUNNING", "FAILED"]));
    let status = replicas[0].get("/connectors/own/status");
    assert_eq!(
        (&status["connector"]["state"], &status["connector"]["worker_id"]),
        (&json!("FAILED"), &json!(addresses[2]))
    );
    assert!(status["connector"]["trace"].as_str().expect("why").contains("offset 0"), "{status}");
    let summary = replicas[1].get("/summary");
    let reason = summary["connectors"][0]["reason"].as_str().expect("why");
    assert!(reason.contains(&addresses[2]) && reason.contains("offset 0"), "{summary}");
    let path = "/connectors/own/restart?onlyFailed=true&includeTasks=true";
    let (code, body) = replicas[0].ask("POST", path, "");
    assert_eq!((code, &body["name"]), (202, &json!("own")), "{body}");
    let seen = |replicas: &mut [Steered], counts: [usize; 3]| {
        let logs = counts.map(|count| format!("{count} restarts"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while restarts(replicas) != counts && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(restarts(replicas), counts, "{logs:?}");
    };
    seen(&mut replicas, [1, 1, 2]);
    let status = replicas[0].get("/connectors/own/status");
    let task = status["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .position(|task| task["worker_id"] == addresses[1]);
    let path = format!("/connectors/own/tasks/{}/restart", task.expect("its task"));
    assert_eq!(replicas[2].ask("POST", &path, "").0, 204);
    seen(&mut replicas, [1, 2, 2]);

    // One that does not answer is waited for once, and shown without figures.
    replicas[2].tidegate.signal("STOP");
    for within in [Duration::from_millis(2500), Duration::from_millis(500)] {
        let asked = Instant::now();
        let summary = replicas[0].get("/summary");
        assert!(asked.elapsed() < within, "{:?}", asked.elapsed());
        let each = summary["connectors"][1]["replicas"].as_array().expect("replicas").iter();
        let silent: Vec<_> = each.filter(|one| one["figures"].is_null()).collect();
        assert!(silent.len() == 1 && silent[0]["worker_id"] == addresses[2], "{summary}");
    }

    // One that is killed is away, and then gone, with all that it has written.
    drop(replicas.pop());
    agree(&mut replicas, "runs", &each(2, ["RUNNING", "RUNNING", "UNASSIGNED"]));
    agree(&mut replicas, "runs", &each(2, ["RUNNING", "RUNNING", "gone"]));
    let has_rows = |address: &String| {
        let mut rows = BTreeMap::new();
        for row in table.read() {
            let key = String::from_utf8_lossy(rdkafka::Message::key(&row).unwrap_or_default());
            rows.insert(key.into_owned(), rdkafka::Message::payload(&row).is_some());
        }
        rows.iter().any(|(key, is_there)| *is_there && key.ends_with(address))
    };
    assert!(has_rows(&addresses[1]), "such as its heartbeat");
    replicas[0].tidegate.until("its rows are removed", || !has_rows(&addresses[2]));
    let log = replicas[0].tidegate.log();
    let told = log.lines().filter(|line| line.contains("no configuration"));
    assert_eq!(told.count(), 2, "each broken row once, however often it is read: {log}");
    // One that ends removes its own.
    replicas.pop().expect("two").tidegate.stop();
    assert!(!has_rows(&addresses[1]));
    agree(&mut replicas, "runs", &each(2, ["RUNNING", "gone", "gone"]));
    replicas[0].tidegate.stop();
    let lines: BTreeSet<u64> =
        names.iter().flat_map(|name| stored(&out.path().join(format!("{name}.lines")))).collect();
    assert_eq!(lines, (0..300).collect());
}

#[test]
fn while_the_topic_cannot_be_reached_connectors_run_on_and_nobody_is_taken_for_gone() {
    let kafka = shared_kafka();
    let mut own = Kafka::start();
    let out = tempfile::tempdir().expect("a folder");
    let topic = Topic::create(&kafka, unique("on"), 2);
    let shared = unique("connectors");
    let run = |name: &str| replica(&own, &shared, &out.path().join(name), &[]);
    let mut replicas = [run("one"), run("two")];
    let addresses = replicas.each_ref().map(|replica| replica.address.clone());
    let mut config = config(&topic.name, "50ms");
    config["kafka.bootstrap.servers"] = json!(kafka.bootstrap());
    make(&replicas[0], "on", config, "RUNNING");
    let both_run = |address: &str| {
        let tasks = tasks(&json_at(address, "/connectors/on/status"));
        addresses
            .iter()
            .all(|worker| tasks.get(worker).is_some_and(|states| *states == ["RUNNING"]))
    };
    for replica in &mut replicas {
        let address = replica.address.clone();
        replica.tidegate.until("both run", || both_run(&address));
    }
    own.kill();
    replicas[0].tidegate.until_logged("can't be told this one's states");
    topic.produce((0..100).map(|v| Message::new(format!(r#"{{"v":{v}}}"#)).in_partition(v % 2)));
    let lines = || -> usize {
        let lines = |name: &str| stored(&out.path().join(format!("{name}.lines"))).len();
        lines("one") + lines("two")
    };
    replicas[0].tidegate.until("all is written", || lines() == 100);
    let (code, body) = replicas[0].ask("POST", "/connectors/on/restart", "");
    assert_eq!(code, 500, "{body}");
    std::thread::sleep(Duration::from_secs(15));
    assert!(addresses.iter().all(|address| both_run(address)), "nobody knows better");
    own.restart();
    for replica in &mut replicas {
        replica.tidegate.until_logged("the other replicas see this one's states again");
    }
    assert_eq!(replicas[1].ask("POST", "/connectors/on/restart", "").0, 204);
    replicas[0].tidegate.until_logged("a restart was asked for");
    for mut replica in replicas {
        replica.tidegate.stop();
    }
}
