use proptest::prelude::*;

use prost_reflect::MessageDescriptor;

use super::super::plan::Plans;
use super::super::{Schema, read};
use super::*;
use crate::decode::tree;
use crate::path::PathTrie;
use crate::registry::Fetched;

const SCHEMA: &str = r#"
    syntax = "proto3";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/wrappers.proto";
    import "google/protobuf/struct.proto";
    message M {
        int32 a = 1;
        optional string b = 2;
        M c = 3;
        oneof one { sint64 d = 4; M e = 5; string f = 6; }
        google.protobuf.Timestamp g = 7;
        google.protobuf.Duration h = 8;
        google.protobuf.DoubleValue i = 9;
        google.protobuf.StringValue j = 10;
        repeated float k = 11;
        map<string, M> l = 12;
        bytes m = 13;
        State n = 14;
        google.protobuf.Struct o = 15;
        fixed64 p = 16;
        sfixed32 q = 17;
        repeated sint32 r = 18;
        bool s = 19;
        float t = 20;
        map<string, sint64> u = 21;
        map<uint32, string> v = 22;
    }
    enum State { ZERO = 0; ONE = 1; }
"#;

/// All but those of lists and the like, with which a message is read whole.
const PATHS: &str = "$ a b c c.a c.n c.c.b d e e.a e.d f g g.seconds h i j m n p q s t c.g l l.key l.key.a l.key.g \
    u.key u.b v.7";

fn message() -> MessageDescriptor {
    compiled(SCHEMA)
}

fn compiled(text: &str) -> MessageDescriptor {
    let fetched = Fetched { kind: "PROTOBUF".into(), text: text.into(), references: Vec::new() };
    Schema::fetched(&fetched).unwrap().message(&[0]).unwrap()
}

fn paths(paths: &str) -> PathTrie {
    let mut trie = PathTrie::new();
    for path in paths.split(' ') {
        trie.slot(&path.parse().unwrap());
    }
    trie
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

fn field(number: u32, kind: u32, value: &[u8]) -> Vec<u8> {
    let length = if kind == 2 { varint(value.len() as u64) } else { Vec::new() };
    [varint((number << 3 | kind).into()), length, value.to_vec()].concat()
}

fn number() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => (0..3_u64).prop_map(varint), 1 => any::<u64>().prop_map(varint)]
}

/// What a `Timestamp` and a `Duration` are.
fn time() -> impl Strategy<Value = Vec<u8>> {
    let part = |number| {
        let value = prop_oneof![5 => 0..2_000_000_000_u64, 1 => any::<u64>()];
        prop::option::of(value.prop_map(move |value| field(number, 0, &varint(value))))
    };
    (part(1), part(2)).prop_map(|(seconds, nanos)| {
        [seconds.unwrap_or_default(), nanos.unwrap_or_default()].concat()
    })
}

/// A message of the type, whose fields come in any order and more than once.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let scalars = || {
        prop_oneof![
            (prop::sample::select(&[1, 4, 14, 19][..]), number())
                .prop_map(|(number, value)| field(number, 0, &value)),
            (prop::sample::select(&[2, 6, 13][..]), ".{0,4}").prop_map(|(number, text)| field(
                number,
                2,
                text.as_bytes()
            )),
            (7..9_u32, time()).prop_map(|(number, value)| field(number, 2, &value)),
            prop::option::of(any::<f64>()).prop_map(|value| {
                let value = value.map(|value| field(1, 1, &value.to_le_bytes()));
                field(9, 2, &value.unwrap_or_default())
            }),
            prop::option::of(".{0,4}").prop_map(|text| {
                let text = text.map(|text| field(1, 2, text.as_bytes()));
                field(10, 2, &text.unwrap_or_default())
            }),
            any::<[u8; 8]>().prop_map(|bytes| field(11, 2, &bytes)),
            any::<[u8; 4]>().prop_map(|bytes| field(11, 5, &bytes)),
            any::<u64>().prop_map(|number| field(16, 1, &number.to_le_bytes())),
            (prop::sample::select(&[17, 20][..]), any::<[u8; 4]>())
                .prop_map(|(number, bytes)| field(number, 5, &bytes)),
            prop::collection::vec(number(), 0..3).prop_map(|numbers| field(
                18,
                2,
                &numbers.concat()
            )),
            (12..13_u32, prop::option::of(Just(field(1, 2, b"key"))))
                .prop_map(|(number, entry)| { field(number, 2, &entry.unwrap_or_default()) }),
            (prop::sample::select(&["key", "b", "c"][..]), prop::option::of(number())).prop_map(
                |(key, value)| {
                    let value = value.map(|value| field(2, 0, &value)).unwrap_or_default();
                    field(21, 2, &[value, field(1, 2, key.as_bytes())].concat())
                }
            ),
            (6..8_u8, prop::option::of(".{0,4}")).prop_map(|(key, value)| {
                let value = value.map(|value| field(2, 2, value.as_bytes()));
                field(22, 2, &[field(1, 0, &[key]), value.unwrap_or_default()].concat())
            }),
            // Of another version of the type.
            (30..32_u32, number()).prop_map(|(number, value)| field(number, 0, &value)),
        ]
    };
    let flat = prop::collection::vec(scalars(), 0..6).prop_map(|fields| fields.concat());
    flat.prop_recursive(3, 40, 6, move |inner| {
        let within = (prop::sample::select(&[3, 5][..]), inner.clone())
            .prop_map(|(number, message)| field(number, 2, &message));
        let entry = inner.prop_map(|message| {
            field(12, 2, &[field(1, 2, b"key"), field(2, 2, &message)].concat())
        });
        let any = prop_oneof![4 => scalars(), 2 => within, 1 => entry];
        prop::collection::vec(any, 0..8).prop_map(|fields| fields.concat())
    })
}

/// Whether a message is walked, and that it is then as it is read whole.
fn is_walked(of: &MessageDescriptor, bytes: &[u8], paths: &PathTrie) -> bool {
    let mut walked = vec![Slot::Null; paths.slots()];
    let done = Plans::default().fill(of, bytes, paths, &mut walked);
    let whole = read(of.clone(), bytes);
    if done.is_some() {
        let expected = tree::filled(whole.unwrap(), paths);
        // Not a number is no other's equal.
        assert_eq!(format!("{walked:?}"), format!("{expected:?}"));
    }
    done.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_mapping_names_is_found_as_in_the_whole(
        bytes in any_message(),
        wrong in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = bytes;
        if let Some((place, byte)) = wrong.filter(|_| !bytes.is_empty()) {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        is_walked(&message(), &bytes, &paths(PATHS));
    }
}

#[test]
fn messages_are_walked_unless_something_in_them_is_rare() {
    let (of, paths) = (message(), paths(PATHS));
    let time = field(7, 2, &field(1, 0, &varint(1_700_000_000)));
    let usual = [
        field(1, 0, &varint(7)),
        field(2, 2, b"b"),
        field(3, 2, &[field(1, 0, &varint(8)), field(14, 0, &[1])].concat()),
        field(5, 2, &field(1, 0, &[9])),
        time.clone(),
        field(9, 2, &[]),
        field(11, 2, &[0; 8]),
        field(12, 2, &[field(1, 2, b"key"), field(2, 2, &field(1, 0, &[3]))].concat()),
        field(15, 2, &[]),
        field(21, 2, &[field(2, 0, &[4]), field(1, 2, b"key")].concat()),
        field(22, 2, &field(1, 0, &[7])),
    ];
    assert!(is_walked(&of, &usual.concat(), &paths));
    assert!(is_walked(&of, &[], &paths));
    // The oneof's last is its only one, and a message in two parts is one.
    assert!(is_walked(&of, &[&usual[3][..], &field(4, 0, &[2])].concat(), &paths));
    assert!(is_walked(&of, &[&usual[2][..], &field(3, 2, &field(2, 2, b"c"))].concat(), &paths));
    for rare in [
        [time.clone(), time].concat(),
        field(7, 2, &field(1, 0, &varint(u64::MAX >> 1))),
        field(1, 2, b"text"),
        field(2, 2, b"\xff"),
        field(11, 2, &[0; 7]),
        // Entries of maps: without a key, without a message.
        field(21, 2, &[]),
        field(12, 2, &field(1, 2, b"key")),
        // A group.
        [varint(40 << 3 | 3), varint(40 << 3 | 4)].concat(),
        (0..70).fold(Vec::new(), |inner, _| field(3, 2, &inner)),
    ] {
        assert!(!is_walked(&of, &rare, &paths), "{rare:?}");
    }
}

#[test]
fn of_lists_and_all_values_the_whole_is_read() {
    let is_planned = |paths: &PathTrie| Plan::new(&message(), paths).is_some();
    assert!(is_planned(&paths("c.c.c.c.a l.x.l.y.a")));
    for path in ["k", "k[0]", "l.key.k", "o.x", "c.r[1]"] {
        assert!(!is_planned(&paths(path)), "{path}");
    }
    let mut all = PathTrie::new();
    all.entries(&"c".parse().unwrap(), 1);
    assert!(!is_planned(&all));
}

/// By `proto2` a scalar's default is no value, but for the value of a map's entry.
#[test]
fn what_is_not_in_a_message_of_the_older_syntax_is_missing() {
    let of = compiled(
        "syntax = \"proto2\"; message M { optional int32 a = 1 [default = 5]; map<string, int32> u = 2; }",
    );
    assert!(is_walked(&of, &field(2, 2, &field(1, 2, b"key")), &paths("a u.key u.b")));
}

#[test]
fn the_plans_of_many_mappings_fill_no_memory() {
    let of = message();
    let mut plans = Plans::default();
    for _ in 0..200 {
        let paths = paths("a");
        assert!(plans.fill(&of, &field(1, 0, &[1]), &paths, &mut [Slot::Null]).is_some());
        assert!(plans.len() <= 64);
    }
}
