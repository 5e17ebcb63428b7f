//! `tidegate dlq show`: letters whole.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{Target, Trouble, bar, dead_letters, print, time};
use crate::dead_letter::{Account, DeadLetters, Replayed, own_headers};
use crate::excerpt::{Spot, lines, printable, short};
use crate::kafka::range::{Bound, TopicReader};
use crate::record::{Offset, OwnedRecord, Record, TopicPartition};

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    target: Target,
    /// One letter, by its place in the dead-letter topic. Default: the newest ones.
    #[arg(value_name = "PARTITION:OFFSET", value_parser = place)]
    place: Option<(i32, i64)>,
    /// How many letters, the newest first.
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "place",
        value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Only letters whose reason has this text in it, in capitals or not.
    #[arg(long, value_name = "TEXT", conflicts_with = "place")]
    reason: Option<String>,
    /// How much of each value is shown, about.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    max_bytes: usize,
}

fn place(text: &str) -> Result<(i32, i64), String> {
    let parts = text.split_once(':');
    let parts =
        parts.and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    parts.filter(|(partition, offset)| *partition >= 0 && *offset >= 0).ok_or_else(|| {
        "write it like 0:17, a partition and an offset of the dead-letter topic".to_owned()
    })
}

pub(super) fn run(arguments: ShowArguments) -> Result<ExitCode, Trouble> {
    let ShowArguments { target, place, limit, reason, max_bytes } = arguments;
    let dead = dead_letters(target)?;
    let (from, to) = match place {
        Some((_, offset)) => (Bound::Offset(Offset(offset)), Bound::Offset(Offset(offset + 1))),
        None => (Bound::Beginning, Bound::End),
    };
    let mut reader = dead.reader(from, to)?;
    let replayed = dead.replayed(reader.partitions())?;
    let shown = if let Some(place) = place {
        vec![one(&mut reader, &dead, place)?]
    } else {
        let bar = bar(reader.len(), "reading");
        let moved = |passed| bar.set_position(passed);
        let newest = dead.newest(&mut reader, usize::from(limit), reason.as_deref(), moved)?;
        bar.finish_and_clear();
        newest
    };
    if shown.is_empty() {
        println!("{}: no such letter", dead.topic);
    }
    for (number, letter) in shown.iter().enumerate() {
        let between = if number > 0 { "\n" } else { "" };
        print(&format!("{between}{}", whole(letter, &replayed, max_bytes)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The letter at a place, whoever wrote it.
fn one(
    reader: &mut TopicReader,
    dead: &DeadLetters,
    (partition, offset): (i32, i64),
) -> Result<OwnedRecord, Trouble> {
    while let Some(letter) = reader.next_record()? {
        let (_, number, at) = letter.place();
        if (number, at) == (partition, Offset(offset)) {
            return Ok(OwnedRecord::of(&letter));
        }
    }
    Err(Trouble::Other(format!("{}[{partition}] has no record at offset {offset}", dead.topic)))
}

/// A letter for people.
fn whole(letter: &OwnedRecord, replayed: &Replayed, limit: usize) -> String {
    let (topic, number, offset) = letter.place();
    let partition = TopicPartition { topic: topic.into(), partition: number };
    let mark = if replayed.includes(&partition, offset) { "  (replayed)" } else { "" };
    let mut text = format!("{partition}@{offset}{mark}\n");
    let account = Account::of(letter);
    // Writing to a String can't fail.
    let _ = match &account {
        None => writeln!(text, "  no dead letter: without its headers"),
        Some(account) => {
            let origin = account.origin.as_ref().map(ToString::to_string);
            let origin = origin.unwrap_or_else(|| "unknown".to_owned());
            let by = account.connector.as_deref().unwrap_or("unknown");
            writeln!(text, "  from      {}, by the connector {}", printable(&origin), printable(by))
                .and_then(|()| {
                    let (stage, reason) = (printable(&account.stage), printable(&account.reason));
                    writeln!(text, "  rejected  {stage}: {reason}")
                })
        }
    };
    if let Some(at) = letter.timestamp_millis() {
        let _ = writeln!(text, "  time      {}", time(at));
    }
    for (name, value) in own_headers(letter) {
        let value = value.map_or_else(|| "null".to_owned(), short);
        let _ = writeln!(text, "  header    {} = {value}", printable(name));
    }
    let _ = writeln!(text, "  key       {}", letter.key().map_or_else(|| "none".to_owned(), short));
    let spot = account.and_then(|account| Spot::of(&account.reason));
    match letter.value() {
        None => text.push_str("  value     none\n"),
        Some(value) => {
            let _ = writeln!(text, "  value     {} bytes", value.len());
            for line in lines(value, spot.as_ref(), limit) {
                let _ = writeln!(text, "    {line}");
            }
        }
    }
    text
}
