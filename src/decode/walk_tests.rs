use proptest::prelude::*;
use rmp::encode as msgpack;

use super::*;
use crate::decode::cbor::Cbor;
use crate::decode::msgpack::MessagePack;

fn any_value() -> impl Strategy<Value = Value<'static>> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        (0..300_i64).prop_map(Value::Integer),
        (-1e9..1e9).prop_map(Value::Float),
        ".{0,6}".prop_map(|text| Value::Text(text.into())),
        // What stands for bytes.
        "[a-z]{1,40}".prop_map(|text| Value::Untyped(text.into())),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            // A key may be there twice.
            prop::collection::vec(("[ab]".prop_map(Cow::Owned), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn length(items: usize) -> u32 {
    u32::try_from(items).unwrap()
}

fn write_msgpack(value: &Value<'_>, to: &mut Vec<u8>) {
    match value {
        Value::Boolean(boolean) => msgpack::write_bool(to, *boolean).unwrap(),
        Value::Integer(number) => drop(msgpack::write_sint(to, *number).unwrap()),
        Value::Float(number) => msgpack::write_f64(to, *number).unwrap(),
        Value::Text(text) => msgpack::write_str(to, text).unwrap(),
        Value::Untyped(bytes) => msgpack::write_bin(to, bytes.as_bytes()).unwrap(),
        Value::Array(elements) => {
            msgpack::write_array_len(to, length(elements.len())).unwrap();
            for element in elements {
                write_msgpack(element, to);
            }
        }
        Value::Map(entries) => {
            msgpack::write_map_len(to, length(entries.len())).unwrap();
            for (key, value) in entries {
                msgpack::write_str(to, key).unwrap();
                write_msgpack(value, to);
            }
        }
        _ => msgpack::write_nil(to).unwrap(),
    }
}

/// Every second container is ended by a sign, and some values have a tag that means nothing here.
fn write_cbor(value: &Value<'_>, to: &mut Vec<u8>) {
    use ciborium_ll::{Encoder, Header, simple};
    let push = |header: Header, to: &mut Vec<u8>| {
        let mut room = [0; 9];
        let mut rest = &mut room[..];
        Encoder::from(&mut rest).push(header).unwrap();
        let written = 9 - rest.len();
        to.extend_from_slice(&room[..written]);
    };
    let begin = |items: usize| items.is_multiple_of(2).then_some(items);
    match value {
        Value::Boolean(true) => push(Header::Simple(simple::TRUE), to),
        Value::Boolean(false) => push(Header::Simple(simple::FALSE), to),
        Value::Integer(number) => {
            push(Header::Tag(4711), to);
            match u64::try_from(*number) {
                Ok(number) => push(Header::Positive(number), to),
                Err(_) => push(Header::Negative(!number.cast_unsigned()), to),
            }
        }
        Value::Float(number) => push(Header::Float(*number), to),
        Value::Text(text) => {
            push(Header::Text(Some(text.len())), to);
            to.extend_from_slice(text.as_bytes());
        }
        Value::Untyped(bytes) => {
            push(Header::Bytes(Some(bytes.len())), to);
            to.extend_from_slice(bytes.as_bytes());
        }
        Value::Array(elements) => {
            push(Header::Array(begin(elements.len())), to);
            for element in elements {
                write_cbor(element, to);
            }
            if begin(elements.len()).is_none() {
                push(Header::Break, to);
            }
        }
        Value::Map(entries) => {
            push(Header::Map(begin(entries.len())), to);
            for (key, value) in entries {
                write_cbor(&Value::Text(key.clone()), to);
                write_cbor(value, to);
            }
            if begin(entries.len()).is_none() {
                push(Header::Break, to);
            }
        }
        _ => push(Header::Simple(simple::NULL), to),
    }
}

/// The slots, or why there are none.
type Filled<'a> = Result<Vec<Slot<'a>>, String>;

fn both<'a, F: Format>(bytes: &'a [u8], paths: &PathTrie) -> (Filled<'a>, Filled<'a>) {
    let mut walked = vec![Slot::Null; paths.slots()];
    let done = fill::<F>(bytes, paths, &mut walked);
    let of_tree = document::<F>(bytes).map(|document| tree::filled(document, paths));
    let why = |error: DecodeError| error.to_string();
    (done.map(|()| walked).map_err(why), of_tree.map_err(why))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_mapping_names_is_found_as_in_the_whole(
        value in any_value(),
        gathers in any::<bool>(),
        wrong in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut paths = PathTrie::new();
        for path in ["$", "a", "b.a", "a.b.a", "a[1]", "[0].a", "b", "a.a.b[0]"] {
            paths.slot(&path.parse().unwrap());
        }
        if gathers {
            paths.entries(&"b".parse().unwrap(), 2);
            paths.elements(&"a".parse().unwrap()).paths.slot(&"$".parse().unwrap());
        }
        let (mut packed, mut concise) = (Vec::new(), Vec::new());
        write_msgpack(&value, &mut packed);
        write_cbor(&value, &mut concise);
        for bytes in [&mut packed, &mut concise] {
            if let Some((place, byte)) = wrong {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        let (walked, of_tree) = both::<MessagePack>(&packed, &paths);
        prop_assert!(walked.is_ok() || wrong.is_some());
        prop_assert_eq!(walked, of_tree);
        let (walked, of_tree) = both::<Cbor>(&concise, &paths);
        prop_assert!(walked.is_ok() || wrong.is_some());
        prop_assert_eq!(walked, of_tree);
    }
}
