//! `serde_json::Value` as the oracle of our decoder, for tests and fuzzing. The known differences have tests of
//! their own in `json_tests.rs`: numbers beyond `f64` (accepted here), nesting (128 levels here, 127 there), a byte
//! order mark (ignored here).

use serde_json::Value;

use super::{Json, decode};
use crate::decode::{Container, Slot};
use crate::path::{Path, PathTrie, Segment};

fn lookup<'v>(mut value: &'v Value, path: &Path) -> Option<&'v Value> {
    for segment in path.segments() {
        value = match segment {
            Segment::Key(key) => value.as_object()?.get(&**key)?,
            Segment::Index(index) => value.as_array()?.get(*index)?,
        };
    }
    Some(value)
}

fn same(slot: &Slot, value: Option<&Value>) -> bool {
    match (slot, value) {
        (Slot::Missing, None)
        | (Slot::Null, Some(Value::Null))
        | (Slot::Container(Container::Object), Some(Value::Object(_)))
        | (Slot::Container(Container::Array), Some(Value::Array(_))) => true,
        (Slot::Boolean(ours), Some(Value::Bool(theirs))) => ours == theirs,
        // Exact, whatever serde_json rounds: it reads our text as it read the message.
        (Slot::Number(ours), Some(theirs)) => {
            serde_json::from_str::<Value>(ours.text()).is_ok_and(|ours| ours == *theirs)
        }
        (Slot::Text(ours), Some(Value::String(theirs))) => ours == theirs,
        _ => false,
    }
}

/// Both reject, or both accept and find the same. Says which.
pub(crate) fn assert_same(payload: &[u8], paths: &[Path]) -> bool {
    let mut trie = PathTrie::new();
    let numbers: Vec<usize> = paths.iter().map(|path| trie.slot(path)).collect();
    let mut slots = vec![Slot::Missing; trie.slots()];
    let ours = decode(payload, &trie, &mut slots);
    let shown = payload.escape_ascii();
    match serde_json::from_slice::<Value>(payload) {
        // The first difference: serde_json may stop at such a number before it sees another error.
        Err(error) if error.to_string().starts_with("number out of range") => false,
        Err(_) if payload.starts_with("\u{feff}".as_bytes()) => false,
        Err(error) => {
            assert!(ours.is_err(), "accepted {shown}, but serde_json: {error}");
            assert!(slots.iter().all(|slot| *slot == Slot::Missing));
            false
        }
        Ok(document) => {
            assert_eq!(ours, Ok(()), "rejected {shown}");
            for (path, slot) in paths.iter().zip(numbers) {
                let (ours, theirs) = (&slots[slot], lookup(&document, path));
                assert!(
                    same(ours, theirs),
                    "{path} in {shown}: {ours:?}, but serde_json: {theirs:?}"
                );
            }
            true
        }
    }
}

/// What is kept of messages changes nothing of what is found in the ones behind them.
pub(crate) fn assert_same_in_turn(json: &mut Json, payloads: &[&[u8]], trie: &PathTrie) {
    let mut slots = vec![Slot::Missing; trie.slots()];
    for payload in payloads {
        let mut walked = vec![Slot::Missing; trie.slots()];
        let expected = decode(payload, trie, &mut walked);
        let result = json.decode(payload, trie, &mut slots);
        assert_eq!((result, &slots), (expected, &walked), "{}", payload.escape_ascii());
    }
}
