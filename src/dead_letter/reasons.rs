//! Dead letters by reason: what differs from record to record is folded.

use std::collections::HashMap;

use super::{Account, Origin};
use crate::record::{Offset, TopicPartition};

/// More reasons than this are not told apart: the rest is counted as one.
const MOST_GROUPS: usize = 1000;
/// The longest folded reason, in characters.
const LONGEST: usize = 300;

/// Letters that were rejected for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub stage: String,
    /// Numbers and quoted texts are folded to `…`.
    pub reason: String,
    pub count: u64,
    /// How many of them were sent through their connector again.
    pub replayed: u64,
    /// The least and the greatest timestamp of the records, in milliseconds.
    pub times: Option<(i64, i64)>,
    /// The last of them, as it was read.
    pub example: Letter,
}

/// One letter of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub partition: TopicPartition,
    pub offset: Offset,
    pub origin: Option<Origin>,
    pub connector: Option<String>,
    pub reason: String,
}

/// Collects groups; bounded, whatever it is fed.
#[derive(Debug, Default)]
pub struct Reasons {
    groups: HashMap<(String, String), Group>,
}

impl Reasons {
    /// Adds a letter.
    pub fn add(
        &mut self,
        account: Account,
        partition: &TopicPartition,
        offset: Offset,
        timestamp: Option<i64>,
        replayed: bool,
    ) {
        let mut key = (account.stage.clone(), folded(&account.reason));
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            key = ("various".to_owned(), format!("other than the first {MOST_GROUPS} reasons"));
        }
        let example = Letter {
            partition: partition.clone(),
            offset,
            origin: account.origin,
            connector: account.connector,
            reason: account.reason,
        };
        let times = timestamp.map(|at| (at, at));
        let Some(group) = self.groups.get_mut(&key) else {
            let (stage, reason) = key.clone();
            let replayed = u64::from(replayed);
            self.groups.insert(key, Group { stage, reason, count: 1, replayed, times, example });
            return;
        };
        group.count += 1;
        group.replayed += u64::from(replayed);
        group.times = match (group.times, times) {
            (Some((first, last)), Some((at, _))) => Some((first.min(at), last.max(at))),
            (before, now) => before.or(now),
        };
        group.example = example;
    }

    /// The groups, the one with the newest record first.
    pub fn into_groups(self) -> Vec<Group> {
        let mut groups: Vec<_> = self.groups.into_values().collect();
        let last = |group: &Group| std::cmp::Reverse(group.times.map(|(_, last)| last));
        groups.sort_by(|a, b| {
            let by_name = || (&a.stage, &a.reason).cmp(&(&b.stage, &b.reason));
            last(a).cmp(&last(b)).then_with(by_name)
        });
        groups
    }
}

/// A reason without what differs from record to record: numbers, and texts in quotes. A number that
/// is part of a name (`sensor_2`, `UTF-8`) stays.
pub(crate) fn folded(reason: &str) -> String {
    let mut out = String::new();
    let mut characters = reason.chars().peekable();
    // The last character, or the one before a hyphen.
    let mut before = ' ';
    while let Some(c) = characters.next() {
        let quote = matches!(c, '"' | '`') || (c == '\'' && !before.is_alphanumeric());
        if quote && characters.clone().any(|next| next == c) {
            out.extend([c, '…', c]);
            let mut escaped = false;
            for next in characters.by_ref() {
                if next == c && !escaped {
                    break;
                }
                escaped = next == '\\' && !escaped;
            }
        } else if c.is_ascii_digit() && !(before.is_alphanumeric() || before == '_') {
            out.push('…');
            let part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '+' | '-');
            let mut rest = characters.clone();
            while let Some(next) = rest.next().filter(part) {
                // A stop at the end of a sentence is not the number's.
                let stop = matches!(next, '.' | ':')
                    && !rest.peek().is_some_and(char::is_ascii_alphanumeric);
                if stop {
                    break;
                }
                characters.next();
            }
        } else {
            out.push(c);
        }
        if c != '-' || !before.is_alphabetic() {
            before = c;
        }
        // There is enough: a character has four bytes at most.
        if out.len() > 4 * LONGEST {
            break;
        }
    }
    if let Some((end, _)) = out.char_indices().nth(LONGEST) {
        out.truncate(end);
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_record_to_record_is_folded() {
        let cases = [
            ("invalid UTF-8 at byte 17", "invalid UTF-8 at byte …"),
            (
                r#"field v: path a.b2: found the text "war\"m 3", not a float"#,
                r#"field v: path a.b2: found the text "…", not a float"#,
            ),
            (
                "tag sensor_2 is required: path s[3].x: none",
                "tag sensor_2 is required: path s[…].x: none",
            ),
            ("partial write: 12 of 300. dropped=3", "partial write: … of …. dropped=…"),
            (
                "out of order sample at 2024-01-01T00:00:00Z for `x{a='b'}`",
                "out of order sample at … for `…`",
            ),
            ("it doesn't fit", "it doesn't fit"),
            ("one \" alone", "one \" alone"),
            ("1e5 and -3.25", "… and -…"),
        ];
        for (reason, expected) in cases {
            assert_eq!(folded(reason), expected);
        }
        for long in ["x", "\"\"", "'a' ", "17 ", "\u{10ffff}"] {
            assert_eq!(folded(&long.repeat(10_000)).chars().count(), LONGEST + 1, "{long}");
        }
    }

    fn account(reason: &str) -> Account {
        Account { connector: None, origin: None, stage: "map".into(), reason: reason.into() }
    }

    #[test]
    fn letters_of_one_reason_are_one_group_with_its_times_and_the_newest_group_is_first() {
        let mut reasons = Reasons::default();
        let partition = TopicPartition { topic: "dead".into(), partition: 0 };
        let letters = [
            ("byte 1", 50, true),
            ("path x", 40, false),
            ("byte 22", 10, false),
            ("byte 3", 20, true),
        ];
        for (offset, (reason, at, replayed)) in (0..).zip(letters) {
            reasons.add(account(reason), &partition, Offset(offset), Some(at), replayed);
        }
        reasons.add(account("byte 4"), &partition, Offset(9), None, false);
        let groups = reasons.into_groups();
        let [bytes, path] = &groups[..] else { panic!("{groups:?}") };
        assert_eq!((bytes.reason.as_str(), bytes.count, bytes.replayed), ("byte …", 4, 2));
        assert_eq!((bytes.times, bytes.example.offset), (Some((10, 50)), Offset(9)));
        assert_eq!((path.reason.as_str(), path.count, path.times), ("path x", 1, Some((40, 40))));
    }

    #[test]
    fn ever_new_reasons_take_a_bounded_memory() {
        let mut reasons = Reasons::default();
        let partition = TopicPartition { topic: "dead".into(), partition: 0 };
        for number in 0..3 * MOST_GROUPS {
            let letters: String =
                number.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
            reasons.add(account(&letters), &partition, Offset(0), None, false);
        }
        let groups = reasons.into_groups();
        assert_eq!(groups.len(), MOST_GROUPS + 1);
        assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), 3 * MOST_GROUPS as u64);
    }
}
