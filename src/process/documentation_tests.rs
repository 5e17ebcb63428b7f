//! The examples of docs/processors.md: a section, messages in their order, and what is written of them.

use std::fs;
use std::time::Duration;

use crate::batch::{OpenBatch, OpenParts, RecordIndex};
use crate::config::{Environment, Process, load_text};
use crate::connector;
use crate::map::Scratch;
use crate::map::documentation_tests::fences;
use crate::record::{Offset, OwnedRecord};
use crate::route::Destination;
use crate::sink::Sink;

const PAGE: &str = include_str!("../../docs/processors.md");

const SINK: &str = "sink: { influxdb: { url: 'http://db', org: o, bucket: b, precision: s } }\n";

/// What is written, behind its destination, if the section's own sink tells that from the record. `table` is the text of a table that the section names as /etc/tidegate/sites.csv.
fn written(point: &str, section: &str, table: Option<&str>, messages: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sites.csv");
    fs::write(&file, table.unwrap_or_default()).unwrap();
    let section = section.replace("/etc/tidegate/sites.csv", file.to_str().unwrap());
    let text = format!(
        "topics: [t]\nkafka: {{ bootstrap.servers: k }}\n{point}{section}\n{}",
        if section.contains("\nsink:") { "" } else { SINK }
    );
    let environment = Environment::variables(|_| None);
    let config = load_text("example.yaml", &text, &Process::default(), &environment);
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let sink = Sink::new(&config.sink, Duration::from_secs(1)).unwrap();
    let mut transform = connector::transform(&config, &sink);
    let (mut scratch, mut open) = (Scratch::default(), OpenParts::default());
    for (offset, message) in (0..).zip(messages.lines()) {
        let record = OwnedRecord {
            offset: Offset(offset),
            ..OwnedRecord::new("t", message.into(), Some(1_700_000_000_000))
        };
        let taken = transform.apply(&record, RecordIndex(0), &mut scratch, &mut open);
        taken.unwrap_or_else(|refusal| panic!("{message} {refusal:?}"));
    }
    let lines = |(to, open): (Destination, &OpenBatch)| {
        let to = if to.is_constant() { String::new() } else { format!("{to}: ") };
        let text = String::from_utf8(open.bytes.clone()).unwrap();
        text.split_inclusive('\n').flat_map(|line| [to.clone(), line.into()]).collect::<String>()
    };
    open.iter().map(lines).collect()
}

#[test]
fn every_example_of_the_page_is_written_as_it_says() {
    let fences = fences(PAGE);
    let (mut point, mut section, mut table, mut messages) = ("", "", None, "");
    let (mut examples, mut differences) = (0, Vec::new());
    for (language, text) in &fences {
        match *language {
            "yaml" if text.starts_with("point:") => point = text,
            "yaml" => (section, table) = (text, None),
            "csv" => table = Some(text.as_str()),
            "json" => messages = text,
            "text" => {
                let written = written(point, section, table, messages);
                if written != *text {
                    differences.push(format!("{section}{messages}is written as\n{written}"));
                }
                examples += 1;
            }
            "console" | "python" => {}
            other => panic!("no part of an example: {other}"),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(examples >= 11, "{examples}");
}
