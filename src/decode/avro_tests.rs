use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn schema(text: &str) -> Schema {
    Schema::new(text, &[]).unwrap()
}

fn read<'a>(schema: &Schema, bytes: &'a [u8]) -> Result<Value<'a>, String> {
    schema.read(Input::new(bytes)).map_err(|error| error.to_string())
}

#[test]
fn numbers_are_read_as_the_specification_says() {
    let long = schema(r#""long""#);
    // The examples of its section on binary encoding, and the ends.
    for (bytes, number) in [
        (&[0x00][..], 0),
        (&[0x01], -1),
        (&[0x02], 1),
        (&[0x7f], -64),
        (&[0x80, 0x01], 64),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MIN),
        (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MAX),
    ] {
        assert_eq!(read(&long, bytes), Ok(Value::Integer(number)));
    }
    let long_number = [0xff; 11];
    assert!(read(&long, &long_number).unwrap_err().contains("more than 64 bits"));
}

#[test]
fn items_without_a_byte_are_counted_too() {
    let nulls = schema(r#"{"type":"array","items":"null"}"#);
    // 2⁶⁰ of them, in ten bytes.
    let bytes = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x00];
    assert!(read(&nulls, &bytes).unwrap_err().contains("more than 1048576 values"));
}

#[test]
fn a_type_that_holds_itself_ends_at_a_depth() {
    let list =
        schema(r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#);
    let endless = vec![0x02; 100_000];
    assert!(read(&list, &endless).unwrap_err().contains("128 levels"));
    let error = list.fill(Input::new(&endless), &PathTrie::new(), &mut []).unwrap_err();
    assert!(error.to_string().contains("128 levels"), "{error}");
    let text = r#"{"type":"record","name":"L","fields":[{"name":"next","type":"L"}]}"#;
    assert!(Schema::new(text, &[]).is_err());
}

#[test]
fn a_length_that_is_only_promised_takes_no_memory() {
    for text in [r#""string""#, r#""bytes""#] {
        let bytes = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert!(read(&schema(text), &bytes).unwrap_err().contains("ends too early"));
        assert!(read(&schema(text), &[0x01]).unwrap_err().contains("negative length"));
    }
}

/// A type with a value of it, as a schema and as bytes. Records have the names that [`with_names`] gives them.
fn any_value() -> impl Strategy<Value = (Json, Vec<u8>)> {
    let scalar = prop_oneof![
        Just((json!("null"), Vec::new())),
        any::<bool>().prop_map(|boolean| (json!("boolean"), vec![boolean.into()])),
        any::<i32>().prop_map(|number| (json!("long"), long_bytes(number.into()))),
        (-1e9..1e9).prop_map(|number: f64| (json!("double"), number.to_le_bytes().into())),
        ".{0,6}".prop_map(|text| (json!("string"), text_bytes(&text))),
        any::<i32>().prop_map(|millis| {
            (json!({"type": "long", "logicalType": "timestamp-millis"}), long_bytes(millis.into()))
        }),
        prop::collection::vec(any::<i8>(), 0..3).prop_map(|numbers| {
            let items = numbers.into_iter().map(|number| long_bytes(number.into()));
            (json!({"type": "array", "items": "long"}), block(&items.collect::<Vec<_>>()))
        }),
        prop::collection::vec(("[ab]", any::<bool>()), 0..3).prop_map(|entries| {
            let entry =
                |(key, boolean): (String, bool)| [text_bytes(&key), vec![boolean.into()]].concat();
            let entries: Vec<_> = entries.into_iter().map(entry).collect();
            (json!({"type": "map", "values": "boolean"}), block(&entries))
        }),
    ];
    scalar.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|fields| {
                let (types, bytes): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
                let fields = types.into_iter().zip(["a", "b"]);
                let fields = fields.map(|(of, name)| json!({"name": name, "type": of}));
                (
                    json!({"type": "record", "name": "", "fields": fields.collect::<Json>()}),
                    bytes.concat(),
                )
            }),
            // A union is in no other one, and has no two branches of one type.
            inner.prop_map(|(of, bytes)| match of {
                Json::Object(_) => (json!(["null", of]), [long_bytes(1), bytes].concat()),
                of => (of, bytes),
            }),
        ]
    })
}

fn with_names(of: &mut Json, last: &mut u32) {
    match of {
        Json::Object(of) => {
            if let Some(name) = of.get_mut("name").filter(|name| *name == "") {
                *last += 1;
                *name = json!(format!("R{last}"));
            }
            of.values_mut().for_each(|of| with_names(of, last));
        }
        Json::Array(all) => all.iter_mut().for_each(|of| with_names(of, last)),
        _ => {}
    }
}

fn long_bytes(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

fn text_bytes(text: &str) -> Vec<u8> {
    [long_bytes(i64::try_from(text.len()).unwrap()), text.into()].concat()
}

/// Items in one block, or in none.
fn block(items: &[Vec<u8>]) -> Vec<u8> {
    match items.len() {
        0 => vec![0],
        len => [long_bytes(i64::try_from(len).unwrap()), items.concat(), vec![0]].concat(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Of the whole value the slots are filled in another room, for all formats.
    #[test]
    fn what_a_mapping_names_is_found_without_reading_the_rest(
        (mut of, mut bytes) in any_value(), cut in prop_oneof![3 => Just(0), 1 => 1..9_usize],
    ) {
        with_names(&mut of, &mut 0);
        let schema = schema(&of.to_string());
        let mut paths = PathTrie::new();
        for path in ["$", "a", "b.a", "a.b.a", "a[1]", "b", "a.a.b[0]"] {
            paths.slot(&path.parse().unwrap());
        }
        paths.entries(&"b".parse().unwrap(), 2);
        paths.elements(&"a".parse().unwrap()).paths.slot(&"$".parse().unwrap());
        // Some are cut short.
        bytes.truncate(bytes.len().saturating_sub(cut));
        let mut filled = vec![Slot::Null; paths.slots()];
        let done = schema.fill(Input::new(&bytes), &paths, &mut filled);
        match read(&schema, &bytes) {
            Ok(whole) => {
                prop_assert!(done.is_ok());
                prop_assert_eq!(filled, tree::filled(whole, &paths));
            }
            Err(why) => prop_assert_eq!(done.unwrap_err().to_string(), why),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/formats/avro_file/reading.avsc");
        let schema = schema(&std::fs::read_to_string(file).unwrap());
        let _ = read(&schema, &bytes);
    }
}
