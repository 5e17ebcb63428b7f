//! Any bytes as a message of each format of documents.

use super::mapping::Bare;
use crate::config::raw::Deletes;
use crate::decode::csv::Csv;
use crate::decode::{Documents, Message, Refusal, Slot};
use crate::path::PathTrie;

/// A message is read, or refused for good, and what is refused is told.
pub fn documents(data: &[u8]) {
    let mut paths = PathTrie::new();
    for path in ["$", "a", "a.b", "after.id", "data.temperature", "reading.temperature", "a[1]"] {
        paths.slot(&path.parse().unwrap());
    }
    let formats = [
        Documents::JsonLines,
        Documents::ConnectJson,
        Documents::Debezium(Deletes::Keep),
        Documents::CloudEvents,
        Documents::MessagePack,
        Documents::Cbor,
        Documents::Csv(Csv { delimiter: b',', columns: None }),
        Documents::Text,
    ];
    let record = Bare(data);
    let message = Message { payload: data, record: &record };
    for mut format in formats {
        let mut slots = vec![Slot::Missing; paths.slots()];
        let taken = format.decode(&message, &paths, &mut slots, &mut |_| Ok(()));
        match taken {
            Ok(()) => {}
            Err(Refusal::Rejected(reject)) => {
                assert!(!reject.reason.is_empty());
                assert!(reject.offset.is_none_or(|offset| offset <= data.len()), "{reject:?}");
            }
            Err(Refusal::Unavailable(reason)) => panic!("{format:?}: {reason}"),
        }
    }
}
