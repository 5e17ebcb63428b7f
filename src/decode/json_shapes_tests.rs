use proptest::prelude::*;

use super::{Json, MAX_GAPS, MAX_SHAPES, MAX_STEPS, PATIENCE, PAUSE, Shapes, plain_number};
use crate::decode::Slot;
use crate::decode::json::Scanner;
use crate::path::PathTrie;

fn trie(paths: &[&str]) -> PathTrie {
    let mut trie = PathTrie::new();
    for path in paths {
        trie.slot(&path.parse().unwrap());
    }
    trie
}

/// Whether the message is of a shape that is kept; it is now.
fn is_known(json: &mut Json, trie: &PathTrie, message: &str) -> bool {
    let mut slots = vec![Slot::Missing; trie.slots()];
    let known = json.shapes.are_for(trie) && json.shapes.fill(message, &mut slots);
    json.decode(message.as_bytes(), trie, &mut slots).unwrap();
    known
}

#[test]
fn a_message_like_one_before_is_not_walked() {
    let (mut json, trie) = (Json::default(), trie(&["a", "c", "c.d", "e"]));
    let message = |scalar: &str| {
        format!(
            "\u{feff}{{ \"a\" : {scalar},\"b\":[{scalar},{{}}],\n\"c\":{{\"d\":{scalar}}},\"x\\n\":1}} "
        )
    };
    assert!(!is_known(&mut json, &trie, &message("1")));
    assert!(is_known(&mut json, &trie, &message("1")));
    assert!(
        !is_known(&mut json, &trie, &message("0")),
        "what nobody wants has been the same so far"
    );
    for scalar in [
        "1",
        "0",
        "-0",
        "-12.5",
        "0.0001",
        "1e5",
        "1.5E-7",
        "1234567890123.12345678901234",
        "true",
        "false",
        "null",
        "\"\"",
        "\"é\"",
        r#""a \"quoted\" \u00e9 one""#,
        r#""a long one, of much more than eight bytes""#,
    ] {
        let message = message(scalar);
        assert!(is_known(&mut json, &trie, &message), "{message}");
    }
    for no_scalar in ["01", "-", "1.", "1.e5", "tru", "nul", "\"a\n\"", "\"\\x\"", "{}", "[]", ""] {
        let mut slots = vec![Slot::Missing; trie.slots()];
        assert!(!json.shapes.fill(&message(no_scalar), &mut slots), "{no_scalar}");
    }
}

#[test]
fn what_nobody_wants_and_is_always_the_same_is_no_step_of_its_own() {
    let (mut json, trie) = (Json::default(), trie(&["a"]));
    let message =
        |a: u32, b: &str, c: u32| format!("{{\"a\":{a},\"b\":{b},\"c\":[{c},1],\"d\":\"d\"}}");
    // The start, a scalar and the end.
    for (message, known, steps) in [
        (message(1, "null", 1), false, 3),
        (message(2, "null", 1), true, 3),
        (message(3, "\"\"", 1), false, 4),
        (message(4, "true", 1), true, 4),
        (message(5, "true", 2), false, 5),
        (message(6, "[]", 3), false, 6),
        (message(7, "false", 3), true, 6),
    ] {
        assert_eq!(
            (is_known(&mut json, &trie, &message), json.shapes.steps.len()),
            (known, steps),
            "{message}"
        );
    }
}

#[test]
fn a_scalar_in_a_gap_does_not_hide_a_shape_for_good() {
    let (mut json, trie) = (Json::default(), trie(&["a"]));
    // The second shape is taken for the first where its `b` is 1.
    let messages = [r#"{"b":1,"a":1,"c":2}"#, r#"{"b":1,"a":1,"d":2}"#, r#"{"b":2,"a":1,"d":2}"#];
    for message in messages.iter().chain(&messages).chain(&messages) {
        is_known(&mut json, &trie, message);
    }
    for message in messages {
        assert!(is_known(&mut json, &trie, message), "{message}");
    }
}

#[test]
fn shapes_that_part_are_kept_side_by_side() {
    let (mut json, trie) = (Json::default(), trie(&["a", "b.c", "d[1]"]));
    let messages = [
        r#"{"a":1,"b":{"c":2},"d":[1]}"#,
        r#"{"a":1,"b":null,"d":[1]}"#,
        r#"{"a":1,"b": null,"d":[1,2]}"#,
        r#"{"a":1,"d":[1,2,3]}"#,
        r#"{"a":1,"d":[[1],2,3]}"#,
        r#"{"a":1,"d":[]}"#,
        "{\"a\":1,\"d\":[]}\n",
        "{}",
    ];
    for message in messages {
        assert!(!is_known(&mut json, &trie, message), "{message}");
    }
    for message in messages.iter().rev().chain(&messages) {
        assert!(is_known(&mut json, &trie, message), "{message}");
    }
}

#[test]
fn a_shape_is_kept_for_the_paths_that_it_fills() {
    let (one, other) = (trie(&["a"]), trie(&["b"]));
    let mut json = Json::default();
    let message = r#"{"a":1,"b":2}"#;
    for (trie, value) in [(&one, "1"), (&one, "1"), (&other, "2"), (&other, "2"), (&one, "1")] {
        let mut slots = [Slot::Missing];
        json.decode(message.as_bytes(), trie, &mut slots).unwrap();
        assert_eq!(slots, [Slot::Number(value.into())]);
    }
}

#[test]
fn messages_of_which_no_two_are_alike_are_soon_walked_at_once() {
    let (mut json, trie) = (Json::default(), trie(&["a"]));
    for round in 0..2 {
        let tried = (0..PATIENCE).filter(|n| {
            let is_tried = json.shapes.are_for(&trie);
            is_known(&mut json, &trie, &format!("{{\"{round} {n}\":1}}"));
            is_tried
        });
        assert!(tried.count() <= PATIENCE as usize / 2);
        assert_eq!(json.shapes.steps.len(), 1, "all is forgotten");
        for _ in 0..PAUSE {
            json.shapes.are_for(&trie);
        }
    }
    assert!(!is_known(&mut json, &trie, "{}"));
    assert!(is_known(&mut json, &trie, "{}"), "after a while they are tried again");
}

#[test]
fn a_topic_of_which_some_messages_are_odd_keeps_the_shape_of_the_others() {
    let (mut json, trie) = (Json::default(), trie(&["a"]));
    is_known(&mut json, &trie, "[]");
    for n in 0..10 * PATIENCE {
        for _ in 0..3 {
            assert!(is_known(&mut json, &trie, "[]"));
        }
        is_known(&mut json, &trie, &format!("{{\"{n}\":1}}"));
    }
}

#[test]
fn what_is_kept_is_limited() {
    let fits = |shapes: &Shapes| {
        assert!(shapes.documents.len() <= MAX_SHAPES);
        assert!(shapes.steps.len() <= MAX_STEPS && shapes.gaps.len() <= MAX_GAPS);
    };
    let (mut json, trie) = (Json::default(), trie(&["a"]));
    let long = format!("[{}]", vec!["1"; MAX_STEPS + 1].join(","));
    let wide = format!("{{\"{}\":1}}", "k".repeat(MAX_GAPS));
    for message in [&long, &wide] {
        assert!(!is_known(&mut json, &trie, message));
        assert!(!is_known(&mut json, &trie, message));
        fits(&json.shapes);
    }
    for (values, key) in [(1, 1), (100, 1), (1, 800)] {
        json = Json::default();
        for n in 0..2 * MAX_SHAPES {
            let (key, values) = ("k".repeat(key), ",1".repeat(values));
            is_known(&mut json, &trie, &format!("{{\"{n}{key}\":[1{values}]}}"));
            fits(&json.shapes);
            for _ in 0..3 {
                is_known(&mut json, &trie, "[]");
            }
        }
        assert!(json.shapes.documents.len() > 10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plain_number_ends_where_a_number_ends(
        text in "(0|[0-9]{0,20})([.][0-9]{0,20})?[eE]?[-+.0-9]{0,3}[,}\u{e9}a-z ]{0,9}",
    ) {
        let mut scanner = Scanner::new(&text);
        let result = scanner.number();
        if let Some(len) = plain_number(text.as_bytes()) {
            if matches!(text.as_bytes()[len], b'e' | b'E') {
                prop_assert!(scanner.at > len || result.is_err());
            } else {
                prop_assert_eq!((result, scanner.at), (Ok(()), len));
            }
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let is_plain = digits > 0 && !text[digits..].starts_with('.') && (digits == 1 || !text.starts_with('0'));
        if is_plain && text.len() >= digits + 8 {
            prop_assert_eq!(plain_number(text.as_bytes()), Some(digits));
        }
    }
}
