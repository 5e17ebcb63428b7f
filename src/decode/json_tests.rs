use std::borrow::Cow;

use serde_json::Value;

use super::oracle::assert_same;
use super::{MAX_DEPTH, decode};
use crate::decode::{Container, DecodeError, Slot};
use crate::path::{Path, PathTrie};

fn trie(paths: &[&str]) -> PathTrie {
    let mut trie = PathTrie::new();
    for path in paths {
        trie.slot(&path.parse().unwrap());
    }
    trie
}

fn decoded<'a>(
    payload: &'a (impl AsRef<[u8]> + ?Sized),
    paths: &[&str],
) -> Result<Vec<Slot<'a>>, DecodeError> {
    let trie = trie(paths);
    let mut slots = vec![Slot::Missing; trie.slots()];
    decode(payload.as_ref(), &trie, &mut slots)?;
    Ok(slots)
}

fn text(text: &str) -> Slot<'_> {
    Slot::Text(Cow::Borrowed(text))
}

fn number(text: &str) -> Slot<'_> {
    Slot::Number(text.into())
}

const OBJECT: Slot = Slot::Container(Container::Object);
const ARRAY: Slot = Slot::Container(Container::Array);

// ---------------------------------------------------------------- what is found

#[test]
fn every_kind_of_value_is_found_at_its_path() {
    let message = r#" { "a" : { "b" : [ 10, {"c": -1.50e+3 } ] }, "t": true, "f":false, "n" :null, "s": "x" } "#;
    let paths =
        ["a.b[1].c", "a.b[0]", "t", "f", "n", "s", "a", "a.b", "a.b[2]", "a.x", "s.x", "t[0]", "$"];
    let expected = [
        number("-1.50e+3"),
        number("10"),
        Slot::Boolean(true),
        Slot::Boolean(false),
        Slot::Null,
        text("x"),
        OBJECT,
        ARRAY,
        Slot::Missing,
        Slot::Missing,
        Slot::Missing,
        Slot::Missing,
        OBJECT,
    ];
    assert_eq!(decoded(message, &paths).unwrap(), expected);
}

#[test]
fn the_root_path_is_the_whole_message() {
    for (message, found) in [
        ("5", number("5")),
        ("\"x\"", text("x")),
        ("null", Slot::Null),
        ("{}", OBJECT),
        (" [ ] ", ARRAY),
    ] {
        assert_eq!(decoded(message, &["$"]).unwrap(), [found]);
    }
    assert_eq!(decoded("[7]", &["[0]"]).unwrap(), [number("7")]);
}

#[test]
fn an_index_is_not_a_key_and_a_key_is_not_an_index() {
    assert_eq!(decoded(r#"{"0": 1}"#, &["[0]", "0"]).unwrap(), [Slot::Missing, number("1")]);
    assert_eq!(decoded("[1]", &["[0]", "0"]).unwrap(), [number("1"), Slot::Missing]);
}

#[test]
fn text_without_escapes_borrows_from_the_payload() {
    let slots = decoded(r#"{"a":"naïve","b":"na\u00efve"}"#, &["a", "b"]).unwrap();
    assert!(matches!(&slots[0], Slot::Text(Cow::Borrowed("naïve"))));
    assert!(matches!(&slots[1], Slot::Text(Cow::Owned(owned)) if owned == "naïve"));
}

#[test]
fn every_escape_is_resolved() {
    let message = r#""\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\uD83D\uDE00.""#;
    assert_eq!(decoded(message, &["$"]).unwrap(), [text("\"\\/\u{8}\u{c}\n\r\tAé€😀.")]);
}

#[test]
fn a_key_with_escapes_matches_its_unescaped_path() {
    let message = r#"{"\u0061\"\n": {"x\u002ey": 1}}"#;
    assert_eq!(decoded(message, &[r#"["a\"\n"]["x.y"]"#]).unwrap(), [number("1")]);
}

#[test]
fn keys_of_every_length_are_told_apart() {
    let keys: Vec<String> = (0..40)
        .flat_map(|n| [format!("{}a", "k".repeat(n)), format!("{}b", "k".repeat(n))])
        .collect();
    let members: Vec<String> =
        keys.iter().enumerate().map(|(n, key)| format!("\"{key}\":{n}")).collect();
    let message = format!("{{{}}}", members.join(","));
    for rotation in [0, 1, 7, 40] {
        let mut wanted: Vec<&str> = keys.iter().map(String::as_str).collect();
        wanted.rotate_left(rotation);
        let slots = decoded(&message, &wanted).unwrap();
        for (key, slot) in wanted.iter().zip(slots) {
            let value = keys.iter().position(|known| known == key).unwrap().to_string();
            assert_eq!(slot, number(&value), "{key}");
        }
    }
}

#[test]
fn the_last_of_repeated_keys_wins() {
    assert_eq!(decoded(r#"{"a":1,"a":"x"}"#, &["a"]).unwrap(), [text("x")]);
    assert_eq!(decoded(r#"{"a":1,"\u0061":2}"#, &["a"]).unwrap(), [number("2")]);
}

#[test]
fn a_repeated_object_forgets_what_stood_under_the_first_one() {
    let paths = ["a.b", "a.c[1].d", "a", "e"];
    let first = r#""a":{"b":1,"c":[0,{"d":2}]},"e":3"#;
    let e = number("3");
    for (second, found) in [
        (r#"{"b":4}"#, [number("4"), Slot::Missing, OBJECT, e.clone()]),
        (r#"{"c":[5]}"#, [Slot::Missing, Slot::Missing, OBJECT, e.clone()]),
        ("6", [Slot::Missing, Slot::Missing, number("6"), e.clone()]),
        ("null", [Slot::Missing, Slot::Missing, Slot::Null, e.clone()]),
    ] {
        let message = format!("{{{first},\"a\":{second}}}");
        assert_eq!(decoded(&message, &paths).unwrap(), found, "{message}");
    }
}

/// Where a key was found says where the next one is looked for first.
#[test]
fn keys_may_come_in_another_order_in_every_message() {
    let trie = trie(&["a", "b.c", "ab", r#"["a\""]"#]);
    let mut slots = vec![Slot::Missing; trie.slots()];
    let messages = [
        r#"{"a":1,"b":{"c":2},"ab":3,"a\"":4}"#,
        r#"{"ab":3,"a\"":4,"b":{"d":0,"c":2},"a":1}"#,
        r#"{"a\"":4,"a":1,"x":9,"ab":3,"b":{"c":2}}"#,
        r#"{"\u0061":1,"abc":0,"":0,"ab":3,"a\u0022":4,"b":{"c":2}}"#,
    ];
    for (one, other) in messages.iter().flat_map(|one| messages.map(|other| (one, other))) {
        for message in [one, other] {
            decode(message.as_bytes(), &trie, &mut slots).unwrap();
            assert_eq!(slots, ["1", "2", "3", "4"].map(number), "{message} after {one}");
        }
    }
}

#[test]
fn slots_of_the_last_message_are_gone() {
    let trie = trie(&["a", "b"]);
    let mut slots = vec![Slot::Missing; 2];
    decode(br#"{"a":1}"#, &trie, &mut slots).unwrap();
    decode(br#"{"b":2}"#, &trie, &mut slots).unwrap();
    assert_eq!(slots, [Slot::Missing, number("2")]);
}

#[test]
fn a_rejected_message_leaves_no_values_behind() {
    let trie = trie(&["a", "b"]);
    let mut slots = vec![Slot::Missing; 2];
    for payload in [&br#"{"a":1,"b":tru}"#[..], b"{\"a\":1,\"b\":\"\xff\"}"] {
        decode(br#"{"a":1,"b":2}"#, &trie, &mut slots).unwrap();
        decode(payload, &trie, &mut slots).unwrap_err();
        assert_eq!(slots, [Slot::Missing, Slot::Missing]);
    }
}

#[test]
#[should_panic(expected = "one slot a path")]
fn too_few_slots_are_the_callers_mistake_even_when_the_message_lacks_the_path() {
    let _ = decode(b"{}", &trie(&["a", "b"]), &mut [Slot::Missing]);
}

// ---------------------------------------------------------------- what is rejected, and where

#[test]
fn errors_name_the_byte() {
    for (payload, offset, what) in [
        (&b""[..], 0, "the message ends too early"),
        (b"  ", 2, "the message ends too early"),
        (b"{\"a\":", 5, "the message ends too early"),
        (b"{\"a\":1", 6, "the message ends too early"),
        (b"[1,", 3, "the message ends too early"),
        (b"-", 1, "the message ends too early"),
        (b"[1.x]", 3, "expected a digit"),
        (b"[01]", 2, "a number with a leading zero"),
        (b"{} {}", 3, "more text after the end of the document"),
        (b"{a:1}", 1, "expected a key in double quotes"),
        (b"{\"a\" 1}", 5, "expected `:`"),
        (b"{\"a\":1 2}", 7, "expected `,` or `}`"),
        (b"[1 2]", 3, "expected `,` or `]`"),
        (b"[tru]", 1, "expected a value"),
        (b"[\"ab", 1, "a string without an end"),
        (b"[\"a\nb\"]", 3, "a control character in a string"),
        (b"[\"a\\x\"]", 4, "an unknown escape"),
        (b"[\"\\u12g4\"]", 6, "expected four hex digits"),
        (b"[\"ab\\ud800\"]", 4, "an escape with half a surrogate pair"),
        (b"[\"ab\\ud800\\u0041\"]", 4, "an escape with half a surrogate pair"),
        (b"[\"ab\\udc00\"]", 4, "an escape with half a surrogate pair"),
        (b"[\"ab\xff\"]", 4, "invalid UTF-8"),
        (b"\x00\x00\x00\x00\x07{}", 0, "a zero byte instead of JSON (a Schema Registry frame?)"),
    ] {
        let error = decoded(payload, &["$"]).unwrap_err();
        assert_eq!(error, DecodeError::at(offset, what), "{}", payload.escape_ascii());
    }
    assert_eq!(decoded("[1,]", &[]).unwrap_err().to_string(), "expected a value at byte 3");
}

/// In the manner of the JSON Parsing Test Suite's `y_` files; the paths make sure that it's not the skipping
/// alone that accepts.
#[rustfmt::skip]
const ACCEPTED: &[&[u8]] = &[
    b"[]", b"{}", b"[ ]", b"{ }", b"\t\r\n []\t\r\n ", b"null", b"true", b"false", b"0", b"-0", b"\"\"", b"\" \"",
    b"[[]]", b"[[],[]]", b"[{}]", b"{\"\":0}", b"{\"a\":{}}", b"[null,1,\"1\",{}]", b"[1\n]", b"[1 , 2]",
    b"[0e1]", b"[0e+1]", b"[-0.0]", b"[0.0]", b"[1E22]", b"[1E-2]", b"[1E+2]", b"[123e45]", b"[123.456e78]", b"[-1]",
    b"[-123]", b"[-1.5e-7]", b"[20e1]", b"[123456789012345678901234567890]", b"[0.00000000000000000000000000001]",
    b"[\"\\u0060\\u012a\\u12AB\"]", b"[\"\\uD801\\udc37\"]", b"[\"\\ud83d\\ude39\\ud83d\\udc8d\"]",
    b"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", b"[\"\\\\u0000\"]", b"[\"\\\"\"]", b"[\"\\\\n\"]", b"[\"\\u0012\"]",
    b"[\"\\uFFFF\"]", b"[\"\\uDBFF\\uDFFF\"]", b"[\"\\u0000\"]", b"[\"\\uFEFF\"]", b"[\"a/*b*/c/*d//e\"]",
    b"[\"\x7f\"]", "[\"\u{2028}\u{2029}\"]".as_bytes(), "[\"⍂㈴⍂\"]".as_bytes(), "[\"\u{10ffff}\"]".as_bytes(),
    "[\"\u{ffff}\"]".as_bytes(), "{\"ключ\":\"значение\"}".as_bytes(), b"{\"a\":\"b\",\"a\":\"c\"}",
    b"{\"a\":[1,{\"b\":[2,[3,{\"c\":null}]]}]}", b"{\"a\\u0000b\":1}", b"{\"min\":-1.0e+28,\"max\":1.0e+28}",
    b"[\"\\uD834\\uDd1e\"]", b"[\"[{]}\"]", b"{\"\\\"\":1}", b"\"12345678\"", b"\"1234567\"", b"\"123456789\"",
];

/// In the manner of its `n_` files.
#[rustfmt::skip]
const REJECTED: &[&[u8]] = &[
    b"", b" ", b"[", b"]", b"{", b"}", b"[}", b"{]", b"[1", b"[1,", b"[,", b"[,1]", b"[1,,2]", b"[1,]", b"[1]]",
    b"[1]x", b"[1] 2", b"[1 true]", b"[\"a\" \"b\"]", b"[1:2]", b"[\"\":1]", b"{\"a\"}", b"{\"a\":}", b"{\"a\",1}",
    b"{\"a\":1,}", b"{\"a\":1,,\"b\":2}", b"{,\"a\":1}", b"{:1}", b"{1:1}", b"{a:1}", b"{'a':1}", b"{null:1}",
    b"{\"a\" 1}", b"{\"a\"::1}", b"{\"a\":1 \"b\":2}", b"{\"a\":1]", b"{\"a\":\"a\"}}", b"{\"a\":1}#", b"{\"a\":1}//",
    b"{\"a\":1}/**/", b"[1/**/]", b"[/*x*/]", b"nul", b"nulll", b"tru", b"True", b"TRUE", b"fals", b"falsey", b"[nul",
    b"undefined", b"NaN", b"[NaN]", b"[-NaN]", b"Infinity", b"[-Infinity]", b"[Inf]", b"'a'", b"[a]", b"*", b"[*]",
    b"-", b"[-]", b"[+1]", b"[--1]", b"[- 1]", b"[-a]", b"[01]", b"[-01]", b"[00]", b"[-012]", b"[.5]", b"[-.5]",
    b"[1.]", b"[1.e1]", b"[0.e1]", b"[1.2.3]", b"[1e]", b"[1e+]", b"[1E-]", b"[1eE2]", b"[1e1.5]", b"[0x1]", b"[1_0]",
    b"[1 000]", b"[1a]", b"[1+2]", b"[0e+-1]", "[１]".as_bytes(), b"\"", b"\"a", b"[\"a", b"[\"a]", b"\"\\\"", b"[\"\\",
    b"[\"\\\"]", b"[\"\\a\"]", b"[\"\\x00\"]", b"[\"\\'\"]", b"[\"\\U0041\"]", b"[\"\\u\"]", b"[\"\\u1\"]",
    b"[\"\\u123\"]", b"[\"\\u12 4\"]", b"[\"\\u+123\"]", b"[\"\\uqqqq\"]", "[\"\\u00é0\"]".as_bytes(),
    "[\"\\é\"]".as_bytes(), b"[\"\\uD800\"]", b"[\"\\uDC00\"]", b"[\"\\uDC00\\uD800\"]", b"[\"\\uD800\\uD800\"]",
    b"[\"\\uD800\\n\"]", b"[\"\\uD800\\u\"]", b"[\"\\uD800\\uD\"]", b"[\"\\uD800\\\"]", b"[\"\\uD800 \\uDC00\"]",
    b"[\"\\uD800\\u0041\"]", b"[\"\\uD800\\uE000\"]", b"[\"\\uD800\\uDBFF\"]", b"[\"a\x00a\"]", b"[\"\t\"]", b"[\"\n\"]", b"[\"\x1f\"]", b"[\"1234567\x1f\"]",
    b"[\"12345678\x01\"]", b"[\x0c]", b"[\x0b1]", b"\xa0[]", "\u{a0}[]".as_bytes(), "[\u{2060}]".as_bytes(),
    "[]\u{3000}".as_bytes(), b"[]\x00", b"\x00", b"\x00[]", b"[\"\xff\"]", b"[\"\xc0\xaf\"]", b"[\"\xe9\"]",
    b"[\"\xed\xa0\x80\"]", b"[\"\xf4\xbf\xbf\xbf\"]", b"[\"\x81\"]", b"[\xff]", b"\xff\xfe[\x00]\x00", b"<.>", b"[<null>]",
    b"{\"a\":\"b\\", b"{\"\\ud800\":1}", b"{\"a\nb\":1}", b"{\"a", b"{\"a\":t", b"{\"a\":-", b"{\"a\":1e", b"[\"\\ud8",
];

/// Each case alone, as a wanted value, and where nobody wants it.
fn in_every_position(case: &[u8]) -> [(Vec<u8>, &'static [&'static str]); 5] {
    let member = [b"{\"p\":", case, b",\"q\":1}"].concat();
    let element = [b"[1,", case, b"]"].concat();
    [
        (case.to_vec(), &["$", "a.b", "[0]", "a"]),
        (case.to_vec(), &[]),
        (member.clone(), &["p", "p.a", "p[0]"]),
        (member, &["q"]),
        (element, &["[0]"]),
    ]
}

#[test]
fn what_the_grammar_allows_is_accepted_everywhere() {
    assert!(ACCEPTED.len() >= 60);
    for case in ACCEPTED {
        serde_json::from_slice::<Value>(case).unwrap();
        for (payload, paths) in in_every_position(case) {
            assert!(decoded(&payload, paths).is_ok(), "{} {paths:?}", payload.escape_ascii());
            assert_same(
                &payload,
                &paths.iter().map(|path| path.parse().unwrap()).collect::<Vec<_>>(),
            );
        }
    }
}

#[test]
fn what_the_grammar_forbids_is_rejected_everywhere() {
    assert!(REJECTED.len() >= 60);
    for case in REJECTED {
        serde_json::from_slice::<Value>(case).unwrap_err();
        for (payload, paths) in in_every_position(case) {
            // `1,` and the like make other sense inside of a container: there the oracle knows.
            if payload == *case || serde_json::from_slice::<Value>(&payload).is_err() {
                assert!(decoded(&payload, paths).is_err(), "{} {paths:?}", payload.escape_ascii());
            }
        }
    }
}

#[test]
fn every_beginning_of_a_message_is_rejected() {
    let message =
        r#"{"a":[1.5e-3,"x\u00e9\ud83d\ude00",{"b":null}],"c":true,"ü":false}"#.as_bytes();
    for paths in [&[][..], &["a[1]", "c", "ü"]] {
        assert!(decoded(message, paths).is_ok());
        for end in 0..message.len() {
            assert!(decoded(&message[..end], paths).is_err(), "{}", message[..end].escape_ascii());
        }
    }
}

#[test]
fn control_characters_and_marks_are_seen_at_every_position_of_a_word() {
    for byte in (0..0x20).chain([b'"', b'\\']) {
        for before in 0..20 {
            for after in 0..10 {
                let payload =
                    format!("\"{}{}{}\"", "a".repeat(before), char::from(byte), "é".repeat(after));
                let result = decoded(&payload, &["$"]);
                assert!(result.is_err(), "{}", payload.escape_debug());
            }
        }
    }
}

// ---------------------------------------------------------------- known differences from serde_json: all of them

#[test]
fn difference_numbers_beyond_f64_are_handed_on_as_text() {
    for text in ["1e999", "-1e999", "1e-999", "1E+99999999999999999999"] {
        assert_eq!(decoded(text, &["$"]).unwrap(), [number(text)]);
    }
    assert!(serde_json::from_str::<Value>("1e999").is_err());
}

#[test]
fn difference_128_levels_are_accepted_and_129_rejected() {
    let arrays = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let objects = |levels: usize| "{\"a\":".repeat(levels - 1) + "{" + &"}".repeat(levels);
    for nested in [arrays, objects] {
        for paths in [&[][..], &["a.a", "[0][0]"]] {
            assert!(decoded(&nested(MAX_DEPTH), paths).is_ok());
            let offset = nested(MAX_DEPTH + 1).rfind(['[', '{']).unwrap();
            let error = decoded(&nested(MAX_DEPTH + 1), paths).unwrap_err();
            assert_eq!(error, DecodeError::at(offset, "nested deeper than 128 levels"));
        }
    }
    assert!(decoded(&"[".repeat(1_000_000), &[]).is_err());
    assert!(
        decoded(&format!("[{}]", vec!["[[]]"; 200].join(",")), &[]).is_ok(),
        "closed levels don't count"
    );
    assert!(serde_json::from_str::<Value>(&arrays(128)).is_err());
}

#[test]
fn difference_one_byte_order_mark_is_ignored() {
    assert_eq!(decoded("\u{feff} {\"a\":1}", &["a"]).unwrap(), [number("1")]);
    assert_eq!(decoded("\u{feff}[x]", &[]).unwrap_err().offset, Some(4));
    assert!(decoded("\u{feff}\u{feff}{}", &[]).is_err());
    assert!(decoded(" \u{feff}{}", &[]).is_err());
    assert!(decoded("\u{feff}", &[]).is_err());
    assert!(serde_json::from_str::<Value>("\u{feff}{}").is_err());
}

// ---------------------------------------------------------------- what is gathered

#[test]
fn every_element_of_an_array_is_a_row_and_other_paths_are_found_beside_it() {
    let mut trie = trie(&["r", "site", "r[1].v"]);
    let elements = trie.elements(&"r".parse().unwrap());
    let slot = elements.slot;
    elements.paths.slot(&"v".parse().unwrap());
    elements.paths.slot(&"n.m".parse().unwrap());
    let mut slots = vec![Slot::Missing; trie.slots()];
    let message = r#"{"r": [{"v":1}, {"n":{"m":"x"},"v":2 } , 7], "site":"s"}"#;
    decode(message.as_bytes(), &trie, &mut slots).unwrap();
    let Slot::Elements(rows) = &slots[slot] else { panic!("{slots:?}") };
    let rows: Vec<_> = rows.rows().collect();
    assert_eq!(rows[0], [number("1"), Slot::Missing]);
    assert_eq!(rows[1], [number("2"), text("x")]);
    assert_eq!(rows[2], [Slot::Missing, Slot::Missing]);
    assert_eq!(slots[..3], [ARRAY, text("s"), number("2")]);
    // What its first value has put there is gone when a key is repeated.
    for message in [r#"{"r":[{"v":1}],"r":{"v":1}}"#, r#"{"r":[1],"r":2}"#, r#"{"site":1}"#] {
        decode(message.as_bytes(), &trie, &mut slots).unwrap();
        assert_eq!(slots[slot], Slot::Missing, "{message}");
    }
    decode(b"{\"r\":[ ]}", &trie, &mut slots).unwrap();
    assert_eq!(slots[slot], Slot::Elements(Box::default()));
}

#[test]
fn every_value_of_an_object_is_an_entry_as_deep_as_asked_for() {
    let mut trie = trie(&["o.a"]);
    let (one, two) = (trie.entries(&Path::default(), 1), trie.entries(&Path::default(), 2));
    assert_eq!(trie.entries(&Path::default(), 2), two);
    let mut slots = vec![Slot::Missing; trie.slots()];
    let message = r#"{ "n" : 1.0, "o": {"a": true, "p": {"b": 1}}, "l": [ {} ], "e\n":null }"#;
    decode(message.as_bytes(), &trie, &mut slots).unwrap();
    let names = |slot: usize| match &slots[slot] {
        Slot::Entries(entries) => entries.iter().map(|(key, _)| &**key).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(names(one), ["n", "o", "l", "e\n"]);
    assert_eq!(names(two), ["n", "o_a", "o_p", "l", "e\n"]);
    assert_eq!(slots[0], Slot::Boolean(true));
    let Slot::Entries(entries) = &slots[two] else { unreachable!() };
    assert_eq!(entries[0].1, number("1.0"));
    assert_eq!(entries[2].1, OBJECT);
}

#[test]
fn an_array_can_not_become_points_without_end() {
    let mut trie = PathTrie::new();
    trie.elements(&Path::default());
    let mut slots = vec![Slot::Missing; trie.slots()];
    let message = |len: usize| format!("[{}]", vec!["0"; len].join(","));
    let (fits, is_longer) = (message(10_000), message(10_001));
    assert!(decode(fits.as_bytes(), &trie, &mut slots).is_ok());
    let error = decode(is_longer.as_bytes(), &trie, &mut slots).unwrap_err();
    assert!(error.what.contains("more elements"), "{error}");
}
