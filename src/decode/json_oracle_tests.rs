//! Random documents, whole and damaged, against `serde_json`.
//!
//! `PROPTEST_CASES=100000 cargo test oracle` looks longer.

use std::fmt::Write;

use proptest::prelude::*;

use super::Json;
use super::oracle::{assert_same, assert_same_in_turn};
use crate::path::{Path, PathTrie};

/// Few keys, so that random paths hit and keys repeat; some share their length and their beginning.
fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "a",
        "a",
        "a",
        "a",
        "b",
        "b",
        "é",
        "",
        "x y",
        "temperature",
        "temperaturf",
        "12345678",
        "\"",
        "😀\n",
    ])
}

fn path() -> impl Strategy<Value = Path> {
    let segment = prop_oneof![
        4 => key().prop_map(|key| format!("[{}]", serde_json::to_string(key).unwrap())),
        1 => (0..4usize).prop_map(|index| format!("[{index}]")),
    ];
    prop::collection::vec(segment, 0..4)
        .prop_map(|segments| if segments.is_empty() { "$".into() } else { segments.concat() })
        .prop_map(|text| text.parse().unwrap())
}

/// A string as one of its many spellings.
fn spelled(text: String) -> impl Strategy<Value = String> {
    let length = text.chars().count();
    prop::collection::vec(0..8u8, length).prop_map(move |spellings| {
        let mut out = String::from("\"");
        for (c, spelling) in text.chars().zip(spellings) {
            if spelling == 0 {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            } else if c < ' ' || matches!(c, '"' | '\\') {
                let quoted = serde_json::to_string(&c).unwrap();
                out += &quoted[1..quoted.len() - 1];
            } else {
                out.push(c);
            }
        }
        out + "\""
    })
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t  ")]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        any::<i64>().prop_map(|n| n.to_string()),
        any::<String>().prop_flat_map(spelled),
        "[a-z \"\\\\\u{1}é]{0,20}".prop_flat_map(spelled),
    ]
}

fn document(scalar: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    let spaced = (space(), scalar, space())
        .prop_map(|(before, leaf, after)| format!("{before}{leaf}{after}"));
    spaced.prop_recursive(5, 60, 6, |inner| {
        let name = key().prop_flat_map(|key| spelled(key.to_owned()));
        let member = (space(), name, space(), inner.clone()).prop_map(|(s, name, t, value)| format!("{s}{name}{t}:{value}"));
        prop_oneof![
            3 => (prop::collection::vec(member, 0..6), space()).prop_map(|(m, s)| format!("{s}{{{}{s}}}{s}", empty_or(&m, s))),
            1 => (prop::collection::vec(inner, 0..5), space()).prop_map(|(e, s)| format!("{s}[{}]{s}", empty_or(&e, s))),
        ]
    })
}

fn empty_or(parts: &[String], space: &str) -> String {
    if parts.is_empty() { space.to_owned() } else { parts.join(",") }
}

/// One damage to a payload: the bytes that mean something in JSON are the ones that hurt.
#[derive(Debug, Clone)]
enum Damage {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    let byte = || {
        prop_oneof![
            any::<u8>(),
            prop::sample::select(b"{}[]:,\"\\ \n\x00\x1f019-+.eEutfnd8D\xc3".to_vec())
        ]
    };
    prop_oneof![
        4 => (index(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        4 => (index(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        4 => index().prop_map(Damage::Remove),
        1 => index().prop_map(Damage::Cut),
        1 => (index(), index()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for damage in damages {
        let length = bytes.len();
        match damage {
            _ if length == 0 => {}
            Damage::Replace(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Insert(at, byte) => bytes.insert(at.index(length + 1), *byte),
            Damage::Remove(at) => drop(bytes.remove(at.index(length))),
            Damage::Cut(at) => bytes.truncate(at.index(length)),
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(from..from, piece);
            }
        }
    }
    bytes
}

/// Stands for a scalar in what a topic's messages have in common: no document has it.
const BLANK: char = '\0';

/// One message of a topic.
#[derive(Debug, Clone)]
struct Turn {
    template: prop::sample::Index,
    scalars: Vec<String>,
    damages: Vec<Damage>,
    has_mark: bool,
}

fn turn() -> impl Strategy<Value = Turn> {
    let damages = prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(damage(), 1..3)];
    let scalars = prop::collection::vec(scalar(), 1..8);
    (any::<prop::sample::Index>(), scalars, damages, prop::bool::weighted(0.05)).prop_map(
        |(template, scalars, damages, has_mark)| Turn { template, scalars, damages, has_mark },
    )
}

impl Turn {
    fn message(&self, templates: &[String]) -> Vec<u8> {
        let mut scalars = self.scalars.iter().cycle();
        let mut text = String::from(if self.has_mark { "\u{feff}" } else { "" });
        for c in self.template.get(templates).chars() {
            match scalars.next() {
                Some(scalar) if c == BLANK => text += scalar,
                _ => text.push(c),
            }
        }
        damaged(&text, &self.damages)
    }
}

/// Wants values, and with some luck all elements and all values of something.
fn trie() -> impl Strategy<Value = PathTrie> {
    let gathered = || prop::option::weighted(0.2, path());
    (prop::collection::vec(path(), 0..12), gathered(), gathered()).prop_map(
        |(paths, elements, entries)| {
            let mut trie = PathTrie::new();
            for path in &paths {
                trie.slot(path);
            }
            if let Some(path) = elements {
                trie.elements(&path).paths.slot(&"a".parse().unwrap());
            }
            if let Some(path) = entries {
                trie.entries(&path, 2);
            }
            trie
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {  failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_documents_decode_as_serde_json_does(text in document(scalar()), paths in prop::collection::vec(path(), 0..12)) {
        prop_assert!(assert_same(text.as_bytes(), &paths), "the oracle rejects {text}");
    }

    #[test]
    fn damaged_documents_are_rejected_exactly_when_serde_json_does(
        text in document(scalar()),
        damages in prop::collection::vec(damage(), 1..4),
        paths in prop::collection::vec(path(), 0..12),
    ) {
        assert_same(&damaged(&text, &damages), &paths);
    }

    #[test]
    fn what_is_kept_of_messages_changes_nothing_of_the_next_ones(
        templates in prop::collection::vec(document(Just(BLANK.to_string())), 1..4),
        turns in prop::collection::vec(turn(), 1..50),
        tries in prop::collection::vec(trie(), 1..3),
    ) {
        let messages: Vec<_> = turns.iter().map(|turn| turn.message(&templates)).collect();
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut json = Json::default();
        for trie in tries.iter().chain(&tries) {
            assert_same_in_turn(&mut json, &messages, trie);
        }
    }

    #[test]
    fn random_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..64)) {
        assert_same(&payload, &["a".parse().unwrap()]);
    }
}
