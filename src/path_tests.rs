use proptest::prelude::*;

use super::{MAX_SEGMENTS, Path, PathError, PathTrie, Segment};

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn key(key: &str) -> Segment {
    Segment::Key(key.into())
}

#[test]
fn paths_are_read_as_their_reference_says() {
    for (text, segments) in [
        ("$", vec![]),
        ("site", vec![key("site")]),
        ("reading.temperature", vec![key("reading"), key("temperature")]),
        ("items[0].id", vec![key("items"), Segment::Index(0), key("id")]),
        ("[12][3]", vec![Segment::Index(12), Segment::Index(3)]),
        ("items.0", vec![key("items"), key("0")]),
        (r#"["odd.key"].x"#, vec![key("odd.key"), key("x")]),
        (r#"a["b c"]["d"]"#, vec![key("a"), key("b c"), key("d")]),
        (r#"[""]"#, vec![key("")]),
        (r#"["]"]"#, vec![key("]")]),
        (r#"["\"\\\/\b\f\n\r\t\u00e9"]"#, vec![key("\"\\/\u{8}\u{c}\n\r\té")]),
        ("@type.$ref.a-b_c:d/e#f", vec![key("@type"), key("$ref"), key("a-b_c:d/e#f")]),
        ("$type.$", vec![key("$type"), key("$")]),
        ("größe.温度", vec![key("größe"), key("温度")]),
    ] {
        assert_eq!(path(text).segments(), segments, "{text}");
        assert_eq!(path(text).is_root(), text == "$");
    }
}

#[test]
fn a_path_is_printed_in_its_one_canonical_form() {
    for (text, canonical) in [
        ("$", "$"),
        (r#"["a"]["b"][0]["c"]"#, "a.b[0].c"),
        (r#"["$"]"#, r#"["$"]"#),
        (r#"["$"].a"#, r#"["$"].a"#),
        (r#"a["$"]"#, "a.$"),
        (r#"a[""].b"#, r#"a[""].b"#),
        (r#"["\u0041\u0001\/\n\"\\"]"#, r#"["A\u0001/\n\"\\"]"#),
        (r#"["a*"]"#, r#"["a*"]"#),
    ] {
        assert_eq!(path(text).to_string(), canonical);
    }
}

#[test]
fn errors_name_the_column_and_the_mend() {
    for (text, column, mend) in [
        ("", 1, "write `$`"),
        (".a", 1, "leave it out"),
        ("$.a", 1, "leave out `$.`"),
        ("$[0]", 1, "leave out `$`"),
        ("a.", 3, "leave the dot out"),
        ("a..b", 3, r#"`[""]`"#),
        ("a.[0]", 3, "leave out the dot"),
        ("ä b.c", 2, r#"write `["ä b"]`"#),
        ("x.a b.c", 4, r#"write `["a b"]`"#),
        ("a.b\"", 4, r#"write `["b\""]`"#),
        ("a.*", 3, "no wildcards"),
        ("a]", 2, "leave it out"),
        ("a[0]b", 5, "a `.` or a `[`"),
        ("a[0", 4, "`]` is missing"),
        ("a[0x]", 4, "`]` is missing"),
        ("a[-1]", 3, "write an index from 0"),
        ("a[*]", 3, "no wildcards"),
        ("a[01]", 3, "no leading zeros"),
        ("a[4294967296]", 3, "at most 4294967295"),
        ("a['b']", 3, "double quotes"),
        ("a[b]", 3, r#"`["b"]`"#),
        ("a[]", 3, "an index from 0"),
        ("a[", 3, "should follow the `[`"),
        (r#"a["b]"#, 3, r#"add `"]`"#),
        (r#"a["b"#, 3, r#"add `"]`"#),
        (r#"a["b"x"#, 6, "`]` is missing"),
        (r#"a["\x"]"#, 5, "unknown escape"),
        (r#"a["\u12"]"#, 5, "four hex digits"),
        (r#"a["\u+123"]"#, 5, "four hex digits"),
        (r#"a["\ud83d\ude00"]"#, 5, "write any other character itself"),
    ] {
        let error: PathError = text.parse::<Path>().unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.what.contains(mend), "{text}: {error}");
    }
    assert_eq!(
        "a[01]".parse::<Path>().unwrap_err().to_string(),
        "column 3: an index has no leading zeros"
    );
}

#[test]
fn a_path_deeper_than_any_message_is_an_error() {
    assert_eq!(path(&["a"; MAX_SEGMENTS].join(".")).segments().len(), MAX_SEGMENTS);
    let error = ["a"; MAX_SEGMENTS + 1].join(".").parse::<Path>().unwrap_err();
    assert_eq!(error.column, 2 * MAX_SEGMENTS);
}

#[test]
fn the_same_path_has_the_same_slot_however_it_is_written() {
    let mut trie = PathTrie::new();
    assert_eq!(trie.slots(), 0);
    let texts = ["a.b", "a", "$", "a[1]", "a[0]", "a.b.c", r#"["a"]["b"]"#, "a.b"];
    let slots: Vec<usize> = texts.iter().map(|text| trie.slot(&path(text))).collect();
    assert_eq!(slots, [0, 1, 2, 3, 4, 5, 0, 0]);
    assert_eq!(trie.slots(), 6);
    assert_eq!(
        trie.paths().iter().map(Path::to_string).collect::<Vec<_>>(),
        ["a.b", "a", "$", "a[1]", "a[0]", "a.b.c"]
    );
}

#[test]
fn a_node_knows_its_slot_and_all_slots_below() {
    let mut trie = PathTrie::new();
    for text in ["a.b", "a", "$", "a[1].x", "a[0]", "c"] {
        trie.slot(&path(text));
    }
    let root = trie.root();
    assert_eq!((root.slot(), root.below()), (Some(2), &[0, 1, 3, 4, 5][..]));
    let a = root.keys().find(b"a").unwrap();
    assert_eq!((a.slot(), a.below(), a.is_leaf()), (Some(1), &[0, 3, 4][..], false));
    let mut indexes = a.indexes();
    assert_eq!(indexes.find(0).unwrap().slot(), Some(4));
    let second = indexes.find(1).unwrap();
    assert_eq!((second.slot(), second.below()), (None, &[3][..]));
    assert!(indexes.find(2).is_none());
    assert!(a.indexes().find(2).is_none());
    let c = root.keys().find(b"c").unwrap();
    assert_eq!((c.slot(), c.is_leaf()), (Some(5), true));
}

#[test]
fn keys_are_found_in_any_order_and_again() {
    for count in [1, 2, 12, 13, 100] {
        let mut trie = PathTrie::new();
        for n in 0..count {
            trie.slot(&path(&format!("key{n}")));
        }
        let mut keys = trie.root().keys();
        for n in (0..count).chain((0..count).rev()).chain([0, 0]) {
            assert_eq!(
                keys.find(format!("key{n}").as_bytes()).and_then(super::Node::slot),
                Some(n)
            );
            for unwanted in ["", "key", "key999", "KEY0"] {
                assert!(keys.find(unwanted.as_bytes()).is_none());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back_as_the_same_path(
        segments in prop::collection::vec(
            prop_oneof![
                any::<String>().prop_map(|text| key(&text)),
                "[a$.\\[\\]\"\\\\ *-]{0,3}".prop_map(|text| key(&text)),
                any::<u32>().prop_map(|index| Segment::Index(index as usize)),
            ],
            0..6,
        )
    ) {
        let path = Path { segments };
        prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
    }

    #[test]
    fn any_text_is_a_path_or_an_error_within_it(text in r#"([a$.\[\]"\\ *ü0-2'-]|\\u00)*"#) {
        match text.parse::<Path>() {
            Ok(path) => prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path)),
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column)),
        }
    }
}
