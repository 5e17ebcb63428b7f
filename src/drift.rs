//! Drift: what messages have and the mapping doesn't name, and what it names and messages no longer have.
//!
//! One message a batch is looked at whole, which the walk for the mapping's paths spares the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::decode::tree::Value;
use crate::path::{Path, PathTrie, Segment};

/// What a connector's workers have found together. Cheap to clone: each clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Drift(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    /// Messages looked at.
    looks: u64,
    /// Paths that the mapping doesn't name, each with the last look that saw it.
    unmapped: BTreeMap<String, u64>,
    /// Paths that it names and that were there, likewise.
    mapped: BTreeMap<String, Mapped>,
}

#[derive(Debug, Default)]
struct Mapped {
    last: u64,
    /// It was given as gone.
    told: bool,
}

/// More paths than this are paths made of data.
const MOST: usize = 200;
/// As deep as messages are followed.
const DEPTH: usize = 16;
/// A path that was not there for so many looks is gone.
const GONE: u64 = 100;

impl Drift {
    /// Paths that messages have and the mapping doesn't name, the first 200.
    pub fn unmapped(&self) -> Vec<String> {
        let found = self.lock();
        let is_here = |last: &u64| found.looks - last < GONE;
        found
            .unmapped
            .iter()
            .filter(|(_, last)| is_here(last))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// Paths that the mapping names, that were there, and that the last 100 messages looked at don't have.
    pub fn gone(&self) -> Vec<String> {
        let found = self.lock();
        let is_gone = |mapped: &Mapped| found.looks - mapped.last >= GONE;
        found.mapped.iter().filter(|(_, own)| is_gone(own)).map(|(path, _)| path.clone()).collect()
    }

    /// Looks at a message's document. Gives the paths that are found to be gone now.
    pub fn look(&self, paths: &PathTrie, document: &Value<'_>) -> Vec<String> {
        let mut here = Vec::new();
        leaves(document, &mut String::new(), 0, &mut here);
        let named: Vec<_> = paths.paths().iter().map(written).collect();
        let mut found = self.lock();
        found.looks += 1;
        let look = found.looks;
        for path in here {
            let covering = named.iter().filter(|named| covers(named, &path));
            let mut is_named = false;
            for named in covering {
                is_named = true;
                let mapped = found.mapped.entry(named.clone()).or_default();
                *mapped = Mapped { last: look, told: false };
            }
            let is_known = found.unmapped.contains_key(&path);
            if !is_named && (is_known || found.unmapped.len() < MOST) {
                found.unmapped.insert(path, look);
            }
        }
        let mut gone = Vec::new();
        for (path, mapped) in &mut found.mapped {
            if look - mapped.last >= GONE && !mapped.told {
                mapped.told = true;
                gone.push(path.clone());
            }
        }
        gone
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a path that the mapping names is that of a value, or of a container around it.
fn covers(named: &str, path: &str) -> bool {
    path.strip_prefix(named).is_some_and(|rest| {
        rest.is_empty() || named.is_empty() || rest.starts_with('.') || rest.starts_with("[]")
    })
}

/// The paths of all values but nulls, as [`written`] writes them.
fn leaves(value: &Value<'_>, path: &mut String, depth: usize, into: &mut Vec<String>) {
    let start = path.len();
    match value {
        Value::Null => {}
        Value::Map(entries) if depth < DEPTH => {
            for (key, value) in entries {
                push_key(path, key);
                leaves(value, path, depth + 1, into);
                path.truncate(start);
            }
        }
        Value::Array(items) if depth < DEPTH => {
            path.push_str("[]");
            // Items are alike, and there may be many.
            for item in items.iter().take(MOST) {
                leaves(item, path, depth + 1, into);
            }
            path.truncate(start);
        }
        _ if into.len() < 10 * MOST && !into.contains(path) => into.push(path.clone()),
        _ => {}
    }
}

/// A path of the mapping, with `[]` for any element of an array.
fn written(path: &Path) -> String {
    let mut text = String::new();
    for segment in path.segments() {
        match segment {
            Segment::Key(key) => push_key(&mut text, key),
            Segment::Index(_) => text.push_str("[]"),
        }
    }
    text
}

fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::json;

    fn paths(named: &[&str]) -> PathTrie {
        let mut paths = PathTrie::new();
        for path in named {
            paths.slot(&path.parse().unwrap());
        }
        paths
    }

    fn look(drift: &Drift, paths: &PathTrie, json: &str) -> Vec<String> {
        drift.look(paths, &json::whole(json.as_bytes()).unwrap())
    }

    #[test]
    fn what_no_path_names_is_shown_and_what_a_path_names_is_not() {
        let (drift, paths) = (Drift::default(), paths(&["device.id", "samples[1]", "extra"]));
        look(
            &drift,
            &paths,
            r#"{"device": {"id": "a", "model": "b"}, "samples": [1, 2], "extra": {"x": 1},
                "idle": null, "list": [{"y": 1}, {"y": 2, "z": 3}], "extras": 1}"#,
        );
        assert_eq!(drift.unmapped(), ["device.model", "extras", "list[].y", "list[].z"]);
        assert!(drift.gone().is_empty());
    }

    #[test]
    fn a_named_path_that_has_stopped_to_arrive_is_gone_and_one_that_never_came_is_not() {
        let (drift, paths) = (Drift::default(), paths(&["a", "b", "c"]));
        look(&drift, &paths, r#"{"a": 1, "b": 2}"#);
        for _ in 0..GONE - 1 {
            assert!(look(&drift, &paths, r#"{"b": 2}"#).is_empty());
        }
        assert!(drift.gone().is_empty());
        assert_eq!(look(&drift, &paths, r#"{"b": 2}"#), ["a"]);
        assert!(look(&drift, &paths, r#"{"b": 2}"#).is_empty(), "it is told once");
        assert_eq!(drift.gone(), ["a"]);
        look(&drift, &paths, r#"{"a": 1}"#);
        assert!(drift.gone().is_empty());
    }

    #[test]
    fn what_has_stopped_to_arrive_is_no_longer_unmapped() {
        let (drift, paths) = (Drift::default(), paths(&["a"]));
        look(&drift, &paths, r#"{"b": 2}"#);
        assert_eq!(drift.unmapped(), ["b"]);
        for _ in 0..GONE {
            look(&drift, &paths, r#"{"a": 1}"#);
        }
        assert!(drift.unmapped().is_empty());
    }

    #[test]
    fn keys_made_of_data_do_not_fill_the_memory() {
        let (drift, paths) = (Drift::default(), paths(&["a"]));
        for n in 0..MOST + 50 {
            look(&drift, &paths, &format!(r#"{{"k{n}": 1}}"#));
        }
        assert_eq!(drift.lock().unmapped.len(), MOST);
    }
}
