//! Dead letters: headers that anybody may have written, and our own.

use crate::dead_letter::{Account, Origin, ReasonKind, Reasons, Reject, Stage, headers};
use crate::record::{Offset, OwnedRecord, TopicPartition};

/// Lines are headers: topic, partition, offset, connector, exception, reason. Whatever they hold, the
/// letter is read; and what Tidegate writes of the same is read as it was written.
pub fn dead_letter(data: &[u8]) {
    let mut lines = data.splitn(6, |byte| *byte == b'\n');
    let names = [
        "topic",
        "partition",
        "offset",
        "connector.name",
        "exception.class.name",
        "exception.message",
    ];
    let found: Vec<_> = names
        .iter()
        .zip(lines.by_ref())
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (format!("__connect.errors.{name}"), Some(value.to_vec())))
        .collect();
    let any = !found.is_empty();
    let letter = record(found);
    let account = Account::of(&letter);
    assert_eq!(account.is_some(), any);
    let Some(account) = account else { return };
    assert!(!account.reason.is_empty());
    let (origin, reason) = (account.origin.clone(), account.reason.clone());
    group(account);
    if let Some(origin) = origin {
        written_again(origin, reason);
    }
}

/// The groups of a report are bounded, and their reasons are.
fn group(account: Account) {
    let place = TopicPartition { topic: "d".into(), partition: 0 };
    let mut reasons = Reasons::default();
    reasons.add(account, &place, Offset(0), Some(0), false);
    let groups = reasons.into_groups();
    assert_eq!(groups.len(), 1);
    assert!(groups[0].reason.chars().count() <= 301, "{}", groups[0].reason);
}

fn written_again(origin: Origin, reason: String) {
    let source = OwnedRecord {
        topic: origin.partition.topic.clone(),
        partition: origin.partition.partition,
        offset: origin.offset,
        ..record(Vec::new())
    };
    let reject = Reject::new(Stage::Write, ReasonKind::Refused, reason);
    let written = headers(&source, "c", 0, &reject);
    let letter =
        record(written.into_iter().map(|(name, text)| (name.into(), Some(text.into()))).collect());
    let account = Account::of(&letter).unwrap();
    assert_eq!(account.origin, Some(origin));
    assert!(account.reason == reject.reason || account.reason.len() < reject.reason.len());
}

fn record(headers: Vec<(String, Option<Vec<u8>>)>) -> OwnedRecord {
    OwnedRecord {
        topic: "d".into(),
        partition: 0,
        offset: Offset(0),
        key: None,
        value: None,
        timestamp_millis: None,
        headers,
    }
}
