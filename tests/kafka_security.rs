//! Brokers that want to know who asks: the real binary logs in to a real broker in each way that the documentation
//! shows, and says at once, once, and without secrets what is wrong when it can't.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::fs;
use std::thread;
use std::time::Duration;

use run::{Group, Message, Tidegate, Topic, unique};
use stack::secured::SecuredKafka;
use stack::{VictoriaMetrics, shared_victoria_metrics};

/// How long a connector may go on trying before its log is counted.
const TRYING: Duration = Duration::from_secs(8);

/// The first YAML after a heading of docs/operations.md, with this broker's addresses and files put in.
fn documented(heading: &str, kafka: &SecuredKafka) -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let text = fs::read_to_string(file).expect(file);
    let (_, section) = text.split_once(&format!("\n### {heading}\n")).expect(heading);
    let (_, yaml) = section.split_once("```yaml\n").expect("an example");
    let (yaml, _) = yaml.split_once("```").expect("its end");
    let certificates = kafka.certificates();
    yaml.replace("kafka:9092", &kafka.sasl)
        .replace("kafka:9093", &kafka.tls)
        .replace("kafka:9094", &kafka.sasl_tls)
        .replace("/etc/tidegate", certificates.to_str().expect("a path of plain text"))
}

fn connector(name: &str, topic: &str, kafka: &str, database: &VictoriaMetrics) -> String {
    let url = database.url();
    format!(
        "
name: {name}
topics: [{topic}]
{kafka}
point:
  measurement: {name}
  fields: {{ v: v }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ influxdb: {{ url: '{url}', org: none, bucket: none }} }}
batch: {{ linger: 100ms }}
"
    )
}

fn reading() -> Message {
    Message::new(r#"{"v":1,"at":1700000000000}"#)
}

/// Runs all connectors in one process.
fn run_all(connectors: &[(String, String)]) -> Tidegate {
    let files: Vec<(String, &str)> =
        connectors.iter().map(|(name, text)| (format!("{name}.yaml"), text.as_str())).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    Tidegate::run_all(&files, &[("KAFKA_PASSWORD", SecuredKafka::PASSWORD)])
}

#[test]
fn delivers_in_every_documented_way_to_log_in() {
    let (kafka, database) = (SecuredKafka::start(), shared_victoria_metrics());
    let topic = Topic::create(kafka.kafka(), unique("login"), 1);
    topic.produce([reading()]);
    let mut connectors = Vec::new();
    for heading in ["PLAIN", "SCRAM over TLS", "Client certificate", "OAUTHBEARER"] {
        let properties = documented(heading, &kafka);
        connectors.push(properties.clone());
        if heading.starts_with("SCRAM") {
            connectors.push(properties.replace("SCRAM-SHA-512", "SCRAM-SHA-256"));
        }
    }
    let connectors: Vec<(String, String)> = connectors
        .into_iter()
        .map(|properties| {
            let name = unique("login");
            let text = connector(&name, &topic.name, &properties, &database);
            (name, text)
        })
        .collect();
    let mut tidegate = run_all(&connectors);
    for (name, text) in &connectors {
        println!("{text}");
        let group = Group::new(kafka.kafka(), &format!("tidegate-{name}"));
        tidegate.until_committed(&group, &topic);
        database.flush();
        let stored = database.export(&format!("{name}_v"));
        assert_eq!(stored.iter().map(|(_, samples)| samples.len()).sum::<usize>(), 1, "{text}");
    }
    tidegate.stop();
    assert_eq!(tidegate.log().lines().count(), 1, "{}", tidegate.log());
}

#[test]
fn what_is_wrong_is_said_at_once_and_once() {
    let (kafka, database) = (SecuredKafka::start(), shared_victoria_metrics());
    let topic = Topic::create(kafka.kafka(), unique("refused"), 1);
    let documented = |heading| documented(heading, &kafka);
    let wrong = |password: String| password.replace("${KAFKA_PASSWORD}", "hunter2");
    let mtls = documented("Client certificate");
    // What each connector's line must say.
    let cases = [
        (
            "plain",
            wrong(documented("PLAIN")),
            "Invalid username or password; look at sasl.mechanism, sasl.username",
        ),
        (
            "scram",
            wrong(documented("SCRAM over TLS")),
            "invalid credentials with SASL mechanism SCRAM-SHA-512; look at sasl",
        ),
        (
            "server",
            mtls.replace("/ca.pem", "/other.pem"),
            "verify that ssl.ca.location is correctly configured",
        ),
        (
            "client",
            mtls.replace("/client", "/stranger"),
            "look at ssl.certificate.location and ssl.key.location",
        ),
        (
            "plaintext_at_tls",
            format!("kafka: {{ bootstrap.servers: '{}' }}", kafka.tls),
            "look at security.protocol",
        ),
        (
            "plaintext_at_sasl",
            format!("kafka: {{ bootstrap.servers: '{}' }}", kafka.sasl),
            "look at security.protocol",
        ),
        (
            "nobody",
            "kafka: { bootstrap.servers: '127.0.0.1:9' }".to_owned(),
            "Connection refused; look at bootstrap.servers",
        ),
    ];
    let connectors: Vec<(String, String)> = cases
        .iter()
        .map(|(name, properties, _)| {
            ((*name).to_owned(), connector(name, &topic.name, properties, &database))
        })
        .collect();
    let mut tidegate = run_all(&connectors);
    for (_, _, expected) in &cases {
        tidegate.until_logged(expected);
    }
    thread::sleep(TRYING);
    let log = tidegate.log();
    for (name, _, expected) in &cases {
        let own: Vec<&str> =
            log.lines().filter(|line| line.contains(&format!("connector=\"{name}\""))).collect();
        assert!(own.iter().any(|line| line.contains(expected)), "{expected} in {own:#?}");
        // librdkafka has two texts for some failures.
        assert!(own.len() <= 2, "{own:#?}");
    }
    assert!(!log.contains("hunter2"), "{log}");
    tidegate.stop();
}

#[test]
fn a_password_that_is_mended_on_the_broker_needs_no_restart() {
    let (kafka, database) = (SecuredKafka::start(), shared_victoria_metrics());
    let topic = Topic::create(kafka.kafka(), unique("rotated"), 1);
    topic.produce([reading()]);
    let properties = documented("SCRAM over TLS", &kafka)
        .replace("SCRAM-SHA-512", "SCRAM-SHA-256")
        .replace("${KAFKA_PASSWORD}", "new one");
    let name = unique("rotated");
    let text = connector(&name, &topic.name, &properties, &database);
    let mut tidegate = Tidegate::run(&text, &[]);
    tidegate.until_logged("invalid credentials");
    kafka.set_password("new one");
    let group = Group::new(kafka.kafka(), &format!("tidegate-{name}"));
    tidegate.until_committed(&group, &topic);
    tidegate.stop();
}

/// What librdkafka refuses is told with its property, and without its value.
#[test]
fn a_property_that_is_refused_is_named_without_its_value() {
    let database = shared_victoria_metrics();
    let refused = |properties: &str| {
        let kafka = format!("kafka: {{ bootstrap.servers: 'localhost:1', {properties} }}");
        let mut tidegate = Tidegate::run(&connector("c", "t", &kafka, &database), &[]);
        assert_ne!(tidegate.exit_code(), 0, "{properties}");
        tidegate.log()
    };
    let log = refused("security.protocol: ssl, ssl.ca.location: /nowhere.pem");
    assert!(log.contains("ssl.ca.location failed"), "{log}");
    assert_eq!(log.matches("can this process read the file").count(), 1, "{log}");
    let log = refused("security.protocol: ssl, sasl.oauthbearer.client.secret: hunter2");
    assert!(log.contains("sasl.oauthbearer.client.secret"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    let log = refused("sasl.mechanism: OAUTHBEARER, sasl.oauthbearer.method: oidc");
    assert!(log.contains("needs a librdkafka with libcurl"), "{log}");
    let log = refused("sasl.mechanism: OAUTHBEARER");
    assert!(log.contains("no source of tokens"), "{log}");
}
