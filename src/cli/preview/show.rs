//! A message and what becomes of it, on the screen or as JSON.

use std::fmt;
use std::fmt::Write as _;

use super::super::paint::Paint;
use crate::dead_letter::Reject;
use crate::excerpt::{Spot, lines, printable, short};
use crate::record::{OwnedRecord, TopicPartition};
use crate::trial::{Outcome, Written, shown};

/// How messages are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    pub(super) is_json: bool,
    /// As the sink writes them, and not as points.
    pub(super) as_sink: bool,
    /// Also those that are not rejected.
    pub(super) input: bool,
    /// Of each message.
    pub(super) max_bytes: usize,
    pub(super) paint: Paint,
}

/// What became of all messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// With points.
    pub(super) messages: usize,
    pub(super) points: usize,
    pub(super) excluded: usize,
    pub(super) rejected: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        let all = self.messages + self.excluded + self.rejected;
        write!(f, "{}: {}", plural(all, "message"), plural(self.points, "point"))?;
        writeln!(f, ", {} rejected, {} excluded", self.rejected, self.excluded)
    }
}

impl Show {
    pub(super) fn message(
        self,
        record: &OwnedRecord,
        outcome: &Outcome,
        written: &[Written],
    ) -> String {
        if self.is_json {
            self.json(record, outcome, written)
        } else {
            self.text(record, outcome, written)
        }
    }

    fn text(self, record: &OwnedRecord, outcome: &Outcome, written: &[Written]) -> String {
        let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
        let time =
            record.timestamp_millis.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let time = time.map(|time| format!("  {time}")).unwrap_or_default();
        let key = record.key.as_deref().map(|key| format!("  key {}", short(key)));
        let head = format!("{partition}@{}{time}{}", record.offset, key.unwrap_or_default());
        let mut text = format!("{}\n", self.paint.faint(&printable(&head)));
        let value = record.value.as_deref();
        if self.input && !matches!(outcome, Outcome::Rejected(_)) {
            push(&mut text, &lines(value.unwrap_or_default(), None, self.max_bytes));
        }
        match outcome {
            Outcome::Points(points) => {
                let points: Vec<_> = if self.as_sink {
                    written.iter().map(|written| printable(&written.to_string())).collect()
                } else {
                    points.iter().map(|point| printable(&point.to_string())).collect()
                };
                let points: Vec<_> = points.iter().map(|point| self.paint.good(point)).collect();
                push(&mut text, &points);
            }
            Outcome::Excluded => push(&mut text, &["nothing to write"]),
            Outcome::Rejected(Reject { stage, reason, .. }) => {
                let stage = format!("rejected, {}: ", stage.name());
                push(&mut text, &[format!("{}{}", self.paint.bad(&stage), printable(reason))]);
                let shown =
                    lines(value.unwrap_or_default(), Spot::of(reason).as_ref(), self.max_bytes);
                let mark = |line: &String| {
                    let marked = line.ends_with("◀ here") || line.ends_with("^ here");
                    if marked { self.paint.bad(line).into_owned() } else { line.clone() }
                };
                push(
                    &mut text,
                    &shown.iter().map(|line| format!("  {}", mark(line))).collect::<Vec<_>>(),
                );
            }
        }
        text
    }

    fn json(self, record: &OwnedRecord, outcome: &Outcome, written: &[Written]) -> String {
        let mut object = shown::message(record, outcome, written);
        if self.input || matches!(outcome, Outcome::Rejected(_)) {
            object["value"] = record.value.as_deref().map(shown::text_or_base64).into();
        }
        format!("{object}\n")
    }
}

fn push<T: AsRef<str>>(text: &mut String, lines: &[T]) {
    for line in lines {
        // Writing to a String can't fail.
        let _ = writeln!(text, "  {}", line.as_ref());
    }
}
