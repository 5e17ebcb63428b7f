use proptest::prelude::*;

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
    assert!(read(&list, &vec![0x02; 100_000]).unwrap_err().contains("128 levels"));
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

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/formats/avro_file/reading.avsc");
        let schema = schema(&std::fs::read_to_string(file).unwrap());
        let _ = read(&schema, &bytes);
    }
}
