//! `tidegate check` against real servers: all is well, or one thing is wrong and is named with its mend. Nothing is
//! joined and nothing is written.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't start the binary or has no server can only panic"
)]

mod stack;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::Value;
use tempfile::TempDir;

use stack::secured::SecuredKafka;
use stack::{Kafka, Prometheus, VictoriaMetrics};

/// bcrypt of the password below, at its least cost.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuAgOKWw0ll0TonimGpBaW.J8X6j/cGxm";
const PASSWORD: &str = "first-hunter2";

/// A connector on the shared servers, with topics of its own.
struct Check {
    kafka: Kafka,
    database: VictoriaMetrics,
    folder: TempDir,
    topic: String,
    variables: Vec<(&'static str, String)>,
}

/// The exit code, and the findings as (item, state, reason and mend).
type Found = (i32, Vec<(String, String, String)>);

impl Check {
    fn new() -> Self {
        let topic = format!("check-{:016x}", RandomState::new().hash_one(std::process::id()));
        let kafka = stack::shared_kafka();
        kafka.create_topic(&topic, 3);
        kafka.create_topic(&format!("{topic}.dead"), 1);
        let (database, folder) = (stack::shared_victoria_metrics(), tempfile::tempdir().unwrap());
        Self { kafka, database, folder, topic, variables: Vec::new() }
    }

    /// The connector's file, in which nothing is wrong.
    fn file(&self) -> String {
        let (topic, brokers, url) = (&self.topic, self.kafka.bootstrap(), self.database.url());
        format!(
            "topics: [{topic}]\nkafka: {{ bootstrap.servers: '{brokers}' }}\npoint: {{ measurement: m, fields: {{ f: f }} }}\n\
             sink: {{ influxdb: {{ url: '{url}', org: o, bucket: b }} }}\ndead_letter: {{ topic: {topic}.dead }}\n"
        )
    }

    fn run(&self, file: &str, arguments: &[&str]) -> (i32, String) {
        let path = self.folder.path().join("connector.yaml");
        fs::write(&path, file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("check").args(arguments).arg(path).current_dir(self.folder.path());
        for name in [
            "TIDEGATE_CONFIG",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "no_proxy",
        ] {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let all = text.clone() + &String::from_utf8_lossy(&output.stderr);
        assert!(!all.contains("hunter2"), "a secret in {all}");
        (output.status.code().unwrap(), text)
    }

    fn findings(&self, file: &str) -> Found {
        let (code, text) = self.run(file, &["--output", "json", "--timeout", "60"]);
        let json: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let findings = json["connectors"][0]["findings"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let found = findings.iter().map(|f| {
            (
                text(&f["item"]),
                text(&f["state"]),
                format!("{} → {}", text(&f["reason"]), text(&f["mend"])),
            )
        });
        (code, found.collect())
    }

    /// One item has failed, with these words; those before it are ok.
    #[track_caller]
    fn assert_failed(
        &self,
        file: &str,
        item: &str,
        words: &[&str],
    ) -> Vec<(String, String, String)> {
        let (code, found) = self.findings(file);
        assert_eq!(code, 1, "{found:?}");
        let failed: Vec<_> = found.iter().filter(|(_, state, _)| state == "failed").collect();
        assert_eq!(failed.len(), 1, "{found:?}");
        assert_eq!(failed[0].0, item, "{found:?}");
        for word in words {
            assert!(failed[0].2.contains(word), "{word} is not in {:?}", failed[0]);
        }
        found
    }

    fn state(found: &[(String, String, String)], item: &str) -> String {
        let found = found.iter().find(|(name, _, _)| name == item);
        found.unwrap_or_else(|| panic!("no {item}")).1.clone()
    }
}

#[test]
fn all_is_well_and_nothing_is_touched() {
    let check = Check::new();
    let (code, found) = check.findings(&check.file());
    assert!(found.iter().all(|(_, state, _)| state == "ok"), "{found:?}");
    assert_eq!(code, 0);
    let (topic, name) = (&check.topic, |item: &str| format!("{item} {}", check.topic));
    let items: Vec<_> = found.iter().map(|(item, ..)| item.clone()).collect();
    let dead = name("dead letters") + ".dead";
    let expected = [
        "brokers",
        &name("topic"),
        "group tidegate-connector",
        &dead,
        &format!("size of {dead}"),
        "database",
        "login",
        "bucket b of o",
        "write",
    ];
    assert_eq!(items, expected);

    let (code, text) = check.run(&check.file(), &[]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("  ok ") && line.ends_with("3 partitions")),
        "{text}"
    );

    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", check.kafka.bootstrap()).create().unwrap();
    let within = Duration::from_secs(10);
    let groups = client.fetch_group_list(Some("tidegate-connector"), within).unwrap();
    assert!(groups.groups().iter().all(|group| group.members().is_empty()), "a member was there");
    for topic in [topic.clone(), format!("{topic}.dead")] {
        assert_eq!(client.fetch_watermarks(&topic, 0, within).unwrap(), (0, 0), "{topic}");
    }
}

#[test]
fn what_is_wrong_with_kafka_is_named() {
    let check = Check::new();
    let (file, topic) = (check.file(), check.topic.as_str());
    let brokers = check.kafka.bootstrap();
    let start = Instant::now();
    let found = check.assert_failed(
        &file.replace(brokers, "127.0.0.1:1"),
        "brokers",
        &["refused", "bootstrap.servers"],
    );
    assert_eq!(Check::state(&found, &format!("topic {topic}")), "unknown");
    assert_eq!(Check::state(&found, "write"), "ok", "the database was looked at all the same");
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "it waits for the timeout: {:?}",
        start.elapsed()
    );

    let with = |property: &str| file.replace("kafka: { ", &format!("kafka: {{ {property}, "));
    let encrypted = with("security.protocol: ssl");
    check.assert_failed(
        &encrypted,
        "brokers' encryption",
        &["SSL handshake", "look at security.protocol"],
    );
    let bad = with("ssl.key.pem: hunter2, security.protocol: ssl");
    check.assert_failed(&bad, "brokers", &["ssl.key.pem"]);

    let missing = file.replace(&format!("[{topic}]"), &format!("[{topic}, {topic}-not]"));
    check.assert_failed(&missing, &format!("topic {topic}-not"), &["does not exist", "create it"]);
    let pattern = file.replace(&format!("topics: [{topic}]"), "topics_pattern: '^no-such-.*'");
    check.assert_failed(&pattern, "topic ^no-such-.*", &["matches no topic"]);
    let pattern =
        file.replace(&format!("topics: [{topic}]"), &format!("topics_pattern: '^{topic}$'"));
    let (code, found) = check.findings(&pattern);
    assert_eq!(code, 0, "{found:?}");

    let dead = format!("{topic}.dead");
    let missing = file.replace(&dead, &format!("{dead}er"));
    let item = format!("dead letters {dead}er");
    let (_, found) = check.findings(&missing);
    // The shared broker creates no topics.
    assert_eq!(Check::state(&found, &item), "failed", "{found:?}");
    let small = format!("{topic}.small");
    check.kafka.create_topic_with(&small, 1, &[("max.message.bytes", "1000")]);
    let item = format!("size of dead letters {small}");
    check.assert_failed(
        &file.replace(&dead, &small),
        &item,
        &["takes 1000 bytes", "max.message.bytes"],
    );
}

#[test]
fn what_is_wrong_with_the_database_is_named() {
    let mut check = Check::new();
    let (file, url) = (check.file(), check.database.url().to_owned());
    let found = check.assert_failed(
        &file.replace(&url, "http://127.0.0.1:1"),
        "database",
        &["refused", "`url`"],
    );
    assert_eq!(Check::state(&found, "write"), "unknown");
    check.assert_failed(
        &file.replace("http://", "https://"),
        "encryption",
        &["does not answer in TLS"],
    );
    let token = file.replace("org: o", "org: o, token_file: /no/such/hunter3");
    let found = check.assert_failed(&token, "login", &["/no/such/hunter3 can't be read"]);
    assert_eq!(Check::state(&found, "database"), "unknown");
    let elsewhere = file.replace(&url, &format!("{url}/no/such"));
    check.assert_failed(&elsewhere, "bucket b of o", &["/no/such"]);

    // The environment's proxy counts, and its exceptions.
    check.variables.push(("HTTP_PROXY", "http://u:hunter2@127.0.0.1:1".into()));
    check.assert_failed(&file, "database", &["can't connect"]);
    check.variables.push(("NO_PROXY", "127.0.0.1".into()));
    assert_eq!(check.findings(&file).0, 0);
    let (code, _) = check.run("topics: 7", &[]);
    assert_eq!(code, 2);
}

#[test]
fn a_receiver_behind_tls_and_a_login_is_told_apart_step_by_step() {
    let check = Check::new();
    let at = |name: &str| check.folder.path().join(name).display().to_string();
    stack::make_certificates(check.folder.path());
    let web = "tls_server_config: { cert_file: server.pem, key_file: server-key.pem }\nbasic_auth_users: { tidegate: ";
    fs::write(at("web.yml"), format!("{web}'{BCRYPT}' }}\n")).unwrap();
    let server = Prometheus::start_secured(&check.folder.path().join("web.yml"));
    fs::write(at("password"), PASSWORD).unwrap();
    fs::write(at("wrong"), "wrong-hunter2").unwrap();

    let influx = format!("influxdb: {{ url: '{}', org: o, bucket: b }}", check.database.url());
    let file = |tls: &str, password: &str, url: &str| {
        let login =
            format!("basic_auth: {{ username: tidegate, password_file: {} }}", at(password));
        let sink = format!("prometheus: {{ url: '{url}', {login}, tls_config: {tls} }}");
        check.file().replace(&influx, &sink)
    };
    let trusted = format!("{{ ca_file: {} }}", at("ca.pem"));
    let (url, deadline) = (server.write_url(), Instant::now() + Duration::from_secs(30));
    // Its port is open before it takes anything.
    while check.findings(&file(&trusted, "password", &url)).0 != 0 {
        assert!(
            Instant::now() < deadline,
            "{:?}",
            check.findings(&file(&trusted, "password", &url))
        );
    }
    let found =
        check.assert_failed(&file("{}", "password", &url), "encryption", &["`tls_config.ca_file`"]);
    assert_eq!(Check::state(&found, "database"), "ok");
    let found =
        check.assert_failed(&file(&trusted, "wrong", &url), "login", &["401", "correct the login"]);
    assert_eq!(Check::state(&found, "encryption"), "ok");
    let elsewhere = url.replace("/api/v1/write", "/no/such");
    let found = check.assert_failed(
        &file(&trusted, "password", &elsewhere),
        "receiver",
        &["404", "/api/v1/write"],
    );
    assert_eq!(Check::state(&found, "login"), "ok");
}

#[test]
fn a_broker_behind_tls_and_a_login_is_told_apart() {
    let check = Check::new();
    let secured = SecuredKafka::start();
    secured.kafka().create_topic(&check.topic, 1);
    secured.kafka().create_topic(&format!("{}.dead", check.topic), 1);
    let file = |authority: &str, password: &str| {
        let brokers = format!("bootstrap.servers: '{}'", check.kafka.bootstrap());
        let authority = secured.certificate(authority);
        let secure = format!(
            "bootstrap.servers: '{}', security.protocol: SASL_SSL, sasl.mechanism: SCRAM-SHA-512, \
             sasl.username: {}, sasl.password: '{password}', ssl.ca.location: '{}'",
            secured.sasl_tls,
            SecuredKafka::USER,
            authority.display()
        );
        check.file().replace(&brokers, &secure)
    };
    let (code, found) = check.findings(&file("ca", SecuredKafka::PASSWORD));
    assert_eq!(code, 0, "{found:?}");
    assert_eq!(Check::state(&found, "brokers' login"), "ok");
    let found =
        check.assert_failed(&file("ca", "wrong hunter2"), "brokers' login", &["sasl.password"]);
    assert_eq!(Check::state(&found, "brokers' encryption"), "ok");
    let found = check.assert_failed(
        &file("other", SecuredKafka::PASSWORD),
        "brokers' encryption",
        &["ssl.ca.location"],
    );
    assert_eq!(Check::state(&found, "brokers"), "ok");
    assert_eq!(Check::state(&found, "brokers' login"), "unknown");
}
