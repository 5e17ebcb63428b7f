//! What must hold for any bytes from outside: one function a parser, which panics when it doesn't.
//!
//! The targets in `fuzz/` call these with what libFuzzer finds, and every test run with the seeds in
//! `fuzz/seeds`: an input that has broken something stays there, under a name that says what.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a panic is how a check fails")]

mod documents;
mod encoders;
mod letters;
mod mapping;
mod points;
#[cfg(test)]
mod tests;

pub use documents::documents;
pub use encoders::{line_protocol, remote_write};
pub use letters::dead_letter;
pub use mapping::mapping;
pub use points::points;

use crate::config::{Environment, Process, Secret, load_text};
use crate::decode::json::{self, Json};
use crate::path::{Path, PathTrie};

/// Stands in every secret, and in nothing that may be shown.
const MARK: &str = "hunter2";
/// Is part of an error that no text may cause.
const DEFECT: &str = "by a defect of Tidegate";

/// A check of some bytes.
pub type Check = fn(&[u8]);

/// Every target by its name, which is also the name of its seeds' folder.
pub const TARGETS: [(&str, Check); 12] = [
    ("json", decoder),
    ("documents", documents),
    ("path", path),
    ("template", template),
    ("configuration", configuration),
    ("mapping", mapping),
    ("points", points),
    ("line_protocol", line_protocol),
    ("remote_write", remote_write),
    ("answer", answer),
    ("dead_letter", dead_letter),
    ("statistics", statistics),
];

/// The first line are paths with spaces between, the rest are messages with record separators between:
/// `serde_json` finds the same at those paths, or refuses the message as well, and so does who has
/// seen the ones before.
pub fn decoder(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let named = String::from_utf8_lossy(&data[..end]);
    let paths: Vec<Path> = named.split(' ').filter_map(|path| path.parse().ok()).take(8).collect();
    let messages = data.get(end + 1..).unwrap_or_default().split(|byte| *byte == b'\x1e');
    let messages: Vec<&[u8]> = messages.take(64).collect();
    for message in &messages {
        json::oracle::assert_same(message, &paths);
    }
    let mut trie = PathTrie::new();
    for path in &paths {
        trie.slot(path);
    }
    json::oracle::assert_same_in_turn(&mut Json::default(), &messages, &trie);
}

/// A path that is one is written as it is read.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Path>() {
        Ok(path) => assert_eq!(path.to_string().parse(), Ok(path)),
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.column), "{error}"),
    }
}

/// Any text as a measurement's template, and with `${…}` to be filled in.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let quoted = serde_json::to_string(text).unwrap();
    let url = "{ url: 'http://db', org: o, bucket: b }";
    configuration(
        format!("topics: [t]\npoint: {{ measurement: {quoted}, fields: {{ v: v }} }}\nsink: {{ influxdb: {url} }}\n")
            .as_bytes(),
    );
}

/// Any text as a connector's file: it is read, or refused without a word of a secret.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let variable = |name: &str| match name {
        "URL" => Some("http://db:8086".to_owned()),
        "TOKEN" => Some(MARK.to_owned()),
        "HARD" => Some(format!("{MARK}\": {{{{ }}}} # ${{URL}}")),
        _ => None,
    };
    // An error shows the text that is wrong, and libFuzzer finds out what is looked for.
    if text.contains(MARK) || text.contains(DEFECT) {
        return;
    }
    let servers = ("bootstrap.servers".to_owned(), Secret::new("localhost:9092"));
    let process = Process { kafka: [servers].into(), ..Process::default() };
    let shown = match load_text("fuzz.yaml", text, &process, &Environment::variables(variable)) {
        Ok(connector) => format!("{:?}", (&connector.kafka, &connector.sink)),
        Err(errors) => errors.to_string(),
    };
    assert!(!shown.contains(DEFECT), "{shown}");
    // A variable's value may be shown where it is no secret: only its place decides.
    assert!(!shown.contains(MARK) || !text.contains("token"), "{shown}");
}

/// A database's answer.
pub fn answer(data: &[u8]) {
    crate::sink::fuzzing::answer(data);
}

/// librdkafka's statistics: what can't be so is left out.
pub fn statistics(data: &[u8]) {
    for end in crate::kafka::ends(data).unwrap_or_default() {
        assert!(end.partition.partition >= 0 && end.end.0 >= 0 && end.committed.0 >= 0, "{end:?}");
    }
}
