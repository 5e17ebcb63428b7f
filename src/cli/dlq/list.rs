//! `tidegate dlq list`: the letters by reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::{Target, Trouble, bar, dead_letters, letters, print, time};
use crate::dead_letter::{Account, DeadLetters, Group, Origin, Reasons};
use crate::excerpt::printable;
use crate::kafka::range::Bound;
use crate::record::{Record, TopicPartition};

/// More other connectors than this are counted as one.
const MOST_OTHERS: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    target: Target,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What the topic holds.
struct List {
    topic: String,
    groups: Vec<Group>,
    /// Letters of other connectors, by name.
    others: BTreeMap<String, u64>,
    /// Records without a dead letter's headers.
    no_letters: u64,
}

pub(super) fn run(arguments: ListArguments) -> Result<ExitCode, Trouble> {
    let list = read(&dead_letters(arguments.target)?)?;
    match arguments.output {
        Output::Text => print(&list.text()),
        Output::Json => print(&format!("{:#}\n", list.json())),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(dead: &DeadLetters) -> Result<List, Trouble> {
    let mut reader = dead.reader(Bound::Beginning, Bound::End)?;
    let replayed = dead.replayed(reader.partitions())?;
    let bar = bar(reader.len(), "reading");
    let (mut reasons, mut others, mut no_letters) = (Reasons::default(), BTreeMap::new(), 0);
    while let Some(letter) = reader.next_record()? {
        let (topic, partition, offset) = letter.place();
        let partition = TopicPartition { topic: topic.into(), partition };
        match Account::of(&letter) {
            None => no_letters += 1,
            Some(account) if account.connector.as_ref() == Some(&dead.written_by) => {
                let replayed = replayed.includes(&partition, offset);
                reasons.add(account, &partition, offset, letter.timestamp_millis(), replayed);
            }
            Some(account) => {
                let mut name = account.connector.unwrap_or_default();
                if others.len() >= MOST_OTHERS && !others.contains_key(&name) {
                    name = String::new();
                }
                *others.entry(name).or_default() += 1;
            }
        }
        bar.set_position(reader.passed());
    }
    bar.finish_and_clear();
    Ok(List { topic: dead.topic.clone(), groups: reasons.into_groups(), others, no_letters })
}

impl List {
    fn count(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum()
    }

    fn replayed(&self) -> u64 {
        self.groups.iter().map(|group| group.replayed).sum()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let reasons = self.groups.len();
        let plural = if reasons == 1 { "" } else { "s" };
        let (count, replayed) = (letters(self.count()), self.replayed());
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "{}: {count}, {reasons} reason{plural}, {replayed} replayed",
            self.topic
        );
        for group in &self.groups {
            text.push('\n');
            text.push_str(&block(group));
        }
        for (name, count) in &self.others {
            let count = letters(*count);
            let _ = match name.as_str() {
                "" => writeln!(text, "\nalso {count} of a connector without a name, or of many"),
                name => {
                    let name = printable(name);
                    writeln!(text, "\nalso {count} of the connector {name}: --written-by {name}")
                }
            };
        }
        if self.no_letters > 0 {
            let _ = writeln!(text, "\nalso {} records that are no dead letters", self.no_letters);
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "topic": self.topic,
            "letters": self.count(),
            "replayed": self.replayed(),
            "groups": self.groups.iter().map(group_json).collect::<Vec<_>>(),
            "other_connectors": self.others,
            "no_letters": self.no_letters,
        })
    }
}

/// A group for people. Also what a dry run of a replay shows.
pub(super) fn block(group: &Group) -> String {
    let replayed = match group.replayed {
        0 => String::new(),
        count if count == group.count => ", all replayed".to_owned(),
        count => format!(", {count} replayed"),
    };
    let times = match group.times {
        None => String::new(),
        Some((first, last)) if first == last => format!("  {}", time(first)),
        Some((first, last)) => format!("  {} to {}", time(first), time(last)),
    };
    let example = &group.example;
    let origin = match &example.origin {
        Some(origin) => printable(&origin.to_string()),
        None => "unknown".to_owned(),
    };
    format!(
        "{}{replayed}  {}{times}\n  {}\n  such as {}:{}, from {origin}\n",
        letters(group.count),
        printable(&group.stage),
        printable(&group.reason),
        example.partition.partition,
        example.offset,
    )
}

fn group_json(group: &Group) -> serde_json::Value {
    let time = |pick: fn((i64, i64)) -> i64| group.times.map(|times| time(pick(times)));
    json!({
        "stage": group.stage,
        "reason": group.reason,
        "letters": group.count,
        "replayed": group.replayed,
        "first": time(|(first, _)| first),
        "last": time(|(_, last)| last),
        "example": {
            "partition": group.example.partition.partition,
            "offset": group.example.offset.0,
            "origin": group.example.origin.as_ref().map(Origin::to_json),
            "reason": group.example.reason,
        },
    })
}
