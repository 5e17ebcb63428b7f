//! Messages of confluent-kafka's own serialisers, by its own producer into a real Kafka, and Tidegate reading
//! them by a schema registry's API: what arrives is what was produced, and an outage of the registry loses
//! nothing and rejects nothing.
//!
//! `tests/clients/produce_confluent.py` is the producer and the registry.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that has no server, or no client, can only panic"
)]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use run::{Group, Tidegate, Topic, unique};
use stack::Kafka;

/// Of each format; those that say the id in a header have the same values.
const FORMATS: [&str; 5] = ["avro", "avro_header", "protobuf", "protobuf_header", "json_schema"];
/// Messages of each.
const EACH: usize = 3;

/// The producer, which goes on as the registry.
struct Registry {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Registry {
    fn start(kafka: &Kafka, prefix: &str) -> Self {
        let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
        let output = Command::new(install).args(["--where", "confluent-kafka"]).output();
        let output = output.expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = String::from_utf8(output.stdout).expect("UTF-8");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/produce_confluent.py");
        let mut child = Command::new(format!("{}/venv/bin/python", folder.trim()))
            .args([script, kafka.bootstrap(), prefix])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = lines.next().expect("an address").expect("text");
        Self { child, lines, url }
    }

    fn until(&mut self, word: &str) {
        while self.lines.next().expect("a line more").expect("text") != word {}
    }

    fn tell(&mut self, word: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        writeln!(input, "{word}").expect("a registry");
        self.until(word);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The golden folder's connector, on this topic and into a file.
fn connector(format: &str, topic: &str, file: &Path) -> String {
    let folder = match format.trim_end_matches("_header") {
        "avro" => "avro_registry",
        "protobuf" => "protobuf_registry",
        other => other,
    };
    let path = format!("{}/tests/formats/{folder}/connector.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("a connector");
    let (rules, _) = text.split_once("\nsink:\n").expect("a sink at the end");
    let rules = rules.replace("topics: [sensors]", &format!("topics: [{topic}]")).replace(
        "registry: { url: '${REGISTRY}' }",
        "registry: { url: '${REGISTRY}', basic_auth: { username: reader, password: secret } }",
    );
    let file = file.display();
    format!(
        "name: {topic}\n{rules}\nkafka: {{ bootstrap.servers: '${{KAFKA}}' }}\ndead_letter: {{ topic: {topic}.dead }}\nbatch: {{ linger: 50ms }}\nsink: {{ file: {{ path: '{file}' }} }}\n"
    )
}

/// The line that the golden folder expects of the first input.
fn expected(format: &str) -> String {
    let folder = match format.trim_end_matches("_header") {
        "avro" => "avro_registry",
        "protobuf" => "protobuf_registry",
        other => other,
    };
    let path = format!("{}/tests/formats/{folder}/expected.lp", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("expected lines");
    let (_, of_it) = text.split_once("# input.bin\n").expect("the first input");
    of_it.lines().next().expect("a line").to_owned()
}

#[test]
fn what_confluents_serialisers_produce_arrives_through_an_outage_of_the_registry() {
    let kafka = stack::shared_kafka();
    let prefix = unique("registry");
    let names: Vec<_> = FORMATS.iter().map(|format| format!("{prefix}_{format}")).collect();
    let topics: Vec<_> = names.iter().map(|name| Topic::create(&kafka, name, 1)).collect();
    let dead: Vec<_> =
        names.iter().map(|name| Topic::create(&kafka, format!("{name}.dead"), 1)).collect();
    let mut registry = Registry::start(&kafka, &prefix);
    registry.until("done");
    registry.tell("down");

    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| -> PathBuf { folder.path().join(format!("{name}.lp")) };
    let connectors: Vec<_> = FORMATS
        .iter()
        .zip(&names)
        .map(|(format, name)| (format!("{name}.yaml"), connector(format, name, &file(name))))
        .collect();
    let files: Vec<_> =
        connectors.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let variables = [("KAFKA", kafka.bootstrap()), ("REGISTRY", registry.url.as_str())];
    let mut tidegate = Tidegate::run_all(&files, &variables);
    let group = |name: &str| Group::new(&kafka, &format!("tidegate-{name}"));

    // JSON needs no schema, and so no registry.
    let json = FORMATS.len() - 1;
    tidegate.until_committed(&group(&names[json]), &topics[json]);
    std::thread::sleep(Duration::from_secs(3));
    for (name, dead) in names.iter().zip(&dead).take(json) {
        assert!(dead.read().is_empty(), "{name}: an outage is no fault of a record");
        let written = fs::read_to_string(file(name)).unwrap_or_default();
        assert_eq!(written, "", "{name}");
    }
    registry.tell("up");
    for (name, topic) in names.iter().zip(&topics) {
        tidegate.until_committed(&group(name), topic);
    }
    tidegate.stop();

    for ((format, name), dead) in FORMATS.iter().zip(&names).zip(&dead) {
        let written = fs::read_to_string(file(name)).expect("a file");
        let expected = expected(format);
        assert_eq!(written.lines().collect::<Vec<_>>(), vec![expected.as_str(); EACH], "{name}");
        // One of the messages names a schema that nobody has registered.
        let refused = usize::from(*format == "avro");
        assert_eq!(dead.read().len(), refused, "{name}");
        if refused == 0 {
            is_drafted(format, name, &kafka, &registry.url, folder.path());
        }
    }
}

/// `tidegate init` tells the format from the topic and the registry, and its draft maps every message.
fn is_drafted(format: &str, topic: &str, kafka: &Kafka, registry: &str, folder: &Path) {
    let login = registry.replace("http://", "http://reader:secret@");
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["init", "--topic", topic, "--bootstrap", kafka.bootstrap(), "--sink", "stdout"])
        .args(["--registry", "${REGISTRY_LOGIN}"])
        .env("REGISTRY_LOGIN", login)
        .env_remove("TIDEGATE_CONFIG")
        .current_dir(folder)
        .output()
        .expect("tidegate");
    let said = String::from_utf8_lossy(&output.stderr);
    let draft = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&format!("{EACH} of {EACH} messages give a point")), "{said}\n{draft}");
    let decode = match format.trim_end_matches("_header") {
        "json_schema" => "decode: json_schema\n".to_owned(),
        kind => format!("decode: {{ {kind}: {{ registry: {{ url: '${{REGISTRY_LOGIN}}' }} }} }}\n"),
    };
    assert!(draft.contains(&decode) && !draft.contains("secret"), "{draft}");
}
