//! Random documents, whole and damaged, against `serde_json`.
//!
//! `PROPTEST_CASES=100000 cargo test oracle` looks longer.

use std::fmt::Write;

use proptest::prelude::*;

use super::oracle::assert_same;
use crate::path::Path;

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

fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        any::<i64>().prop_map(|n| n.to_string()),
        any::<String>().prop_flat_map(spelled),
        "[a-z \"\\\\\u{1}é]{0,20}".prop_flat_map(spelled),
    ];
    let spaced =
        (space(), leaf, space()).prop_map(|(before, leaf, after)| format!("{before}{leaf}{after}"));
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

proptest! {
    #![proptest_config(ProptestConfig {  failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_documents_decode_as_serde_json_does(text in document(), paths in prop::collection::vec(path(), 0..12)) {
        prop_assert!(assert_same(text.as_bytes(), &paths), "the oracle rejects {text}");
    }

    #[test]
    fn damaged_documents_are_rejected_exactly_when_serde_json_does(
        text in document(),
        damages in prop::collection::vec(damage(), 1..4),
        paths in prop::collection::vec(path(), 0..12),
    ) {
        assert_same(&damaged(&text, &damages), &paths);
    }

    #[test]
    fn random_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..64)) {
        assert_same(&payload, &["a".parse().unwrap()]);
    }
}
