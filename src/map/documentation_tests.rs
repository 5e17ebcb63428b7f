//! The examples of docs/mapping.md: a section, a message, and what is written of it.

use std::time::Duration;

use crate::batch::{OpenParts, RecordIndex};
use crate::config::{Environment, Process, load_text};
use crate::connector;
use crate::map::Scratch;
use crate::record::{Offset, OwnedRecord};
use crate::sink::Sink;

const PAGE: &str = include_str!("../../docs/mapping.md");

/// The fenced texts of a page, each with its language.
pub(crate) fn fences(page: &str) -> Vec<(&str, String)> {
    let (mut fences, mut open) = (Vec::new(), None::<(&str, String)>);
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language, String::new())),
            (Some(_), Some(_)) => fences.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    fences
}

fn written(section: &str, message: &str) -> String {
    let file = format!(
        "topics: [t]\nkafka: {{ bootstrap.servers: k }}\n{section}\nsink: {{ influxdb: {{ url: 'http://db', org: o, bucket: b, \
         precision: ms }} }}\n"
    );
    let environment = Environment::variables(|_| None);
    let config = load_text("example.yaml", &file, &Process::default(), &environment);
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let sink = Sink::new(&config.sink, Duration::from_secs(1)).unwrap();
    let mut transform = connector::transform(&config, &sink);
    let record = OwnedRecord {
        offset: Offset(7),
        ..OwnedRecord::new("t", message.into(), Some(1_700_000_000_000))
    };
    let mut open = OpenParts::default();
    let taken = transform.apply(&record, RecordIndex(0), &mut Scratch::default(), &mut open);
    taken.unwrap_or_else(|refusal| panic!("{message} {refusal:?}"));
    let (_, parts) =
        open.iter().next().map_or((None, Vec::new()), |(to, open)| (Some(to), open.bytes.clone()));
    String::from_utf8(parts).unwrap()
}

#[test]
fn every_example_of_the_page_is_written_as_it_says() {
    let fences = fences(PAGE);
    let mut section = "";
    let mut examples = 0;
    for pair in fences.windows(2) {
        match [&pair[0], &pair[1]] {
            [(_, _), ("yaml", _)] | [("text", _), _] => {}
            [("yaml", yaml), _] => section = yaml,
            [("json", message), ("text", expected)] => {
                assert_eq!(&written(section, message), expected, "{section}{message}");
                examples += 1;
            }
            other => panic!("no example: {other:?}"),
        }
    }
    assert!(examples >= 8, "{examples}");
}
