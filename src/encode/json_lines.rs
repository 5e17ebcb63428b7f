//! JSON lines: an object a point, for files, pipes and whatever reads them.
//!
//! `{"measurement":"m","tags":{"t":"a"},"fields":{"f":1.5},"time":"2026-11-22T10:00:00.25Z"}`

use super::EncodeError;
use crate::batch::{OpenBatch, RecordIndex};
use crate::point::{Float, Point, Value};

/// Writes points as JSON objects, one a line.
#[derive(Debug)]
pub struct JsonLines;

impl JsonLines {
    /// Appends the point's line. After an error the caller takes back what was appended.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        let out = &mut batch.bytes;
        out.extend_from_slice(b"{\"measurement\":");
        push_text(out, &point.measurement)?;
        out.extend_from_slice(b",\"tags\":{");
        // As in line protocol, an empty tag is none.
        let tags = point.tags.iter().filter(|(_, value)| !value.is_empty());
        for (index, (name, value)) in tags.enumerate() {
            push_name(out, index, name)?;
            push_text(out, value)?;
        }
        out.extend_from_slice(b"},\"fields\":{");
        for (index, (name, value)) in point.fields.iter().enumerate() {
            push_name(out, index, name)?;
            push_value(out, value)?;
        }
        // Not a number of nanoseconds: most readers of JSON keep 53 bits of it.
        out.extend_from_slice(b"},\"time\":\"");
        let time = jiff::Timestamp::from_nanosecond(point.timestamp.nanos().into());
        let time = time.map_err(|error| EncodeError(format!("the time: {error}")))?;
        out.extend_from_slice(time.to_string().as_bytes());
        out.extend_from_slice(b"\"}\n");
        batch.end_item(record);
        Ok(())
    }
}

fn push_name(out: &mut Vec<u8>, index: usize, name: &str) -> Result<(), EncodeError> {
    if index > 0 {
        out.push(b',');
    }
    push_text(out, name)?;
    out.push(b':');
    Ok(())
}

fn push_value(out: &mut Vec<u8>, value: &Value<'_>) -> Result<(), EncodeError> {
    match value {
        // As the message spells it, in JSON's own grammar.
        Value::Float(Float::Text(text)) => out.extend_from_slice(text.as_bytes()),
        Value::Float(Float::Number(number)) => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*number).as_bytes());
        }
        Value::Integer(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        Value::Unsigned(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::String(text) => push_text(out, text)?,
        Value::Stale | Value::NotFinite(_) => out.extend_from_slice(b"null"),
    }
    Ok(())
}

fn push_text(out: &mut Vec<u8>, text: &str) -> Result<(), EncodeError> {
    // Writing to a Vec and text to JSON can't fail.
    serde_json::to_writer(out, text).map_err(|error| EncodeError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::point::Timestamp;

    fn encoded(point: &Point<'_>) -> String {
        let mut batch = OpenBatch::default();
        JsonLines.encode(point, RecordIndex(0), &mut batch).unwrap();
        String::from_utf8(batch.bytes).unwrap()
    }

    #[test]
    fn a_point_is_a_line() {
        let point = Point {
            measurement: "m".into(),
            tags: vec![("t".into(), "a".into()), ("u".into(), "b".into())],
            fields: vec![
                ("f".into(), Value::Float(Float::from_text("1.50").unwrap())),
                ("i".into(), Value::Integer(i64::MIN)),
                ("u".into(), Value::Unsigned(u64::MAX)),
                ("b".into(), Value::Boolean(true)),
                ("s".into(), Value::String("two\nlines".into())),
            ],
            timestamp: Timestamp::from_nanos(1_795_341_600_250_000_001).unwrap(),
            to: "".into(),
        };
        let expected = concat!(
            r#"{"measurement":"m","tags":{"t":"a","u":"b"},"fields":{"f":1.50,"#,
            r#""i":-9223372036854775808,"u":18446744073709551615,"b":true,"s":"two\nlines"},"#,
            r#""time":"2026-11-22T10:00:00.250000001Z"}"#,
            "\n"
        );
        assert_eq!(encoded(&point), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// serde_json is the oracle.
        #[test]
        fn any_point_is_one_line_that_reads_back(
            texts in prop::array::uniform5(any::<String>()),
            number in prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL,
            nanos in i64::MIN + 2..i64::MAX,
        ) {
            let [measurement, tag, value, field, text] = &texts;
            let point = Point {
                measurement: Cow::Borrowed(measurement),
                tags: vec![(tag.into(), Cow::Borrowed(value))],
                fields: vec![
                    (field.into(), Value::Float(Float::from_number(number).unwrap())),
                    ("\0other".into(), Value::String(Cow::Borrowed(text))),
                ],
                timestamp: Timestamp::from_nanos(nanos.into()).unwrap(),
                to: "".into(),
            };
            let line = encoded(&point);
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            let read: Json = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&read["measurement"], &json!(measurement));
            let kept = if value.is_empty() { Json::Null } else { json!(value) };
            prop_assert_eq!(&read["tags"][tag], &kept);
            prop_assert_eq!(&read["fields"]["\0other"], &json!(text));
            // serde_json itself reads floats to the nearest but one.
            let (_, fields) = line.split_once("\"fields\":{").unwrap();
            let text = fields.strip_prefix(&json!(field).to_string()).unwrap();
            let (text, _) = text[1..].split_once(',').unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
            let time: jiff::Timestamp = read["time"].as_str().unwrap().parse().unwrap();
            prop_assert_eq!(time.as_nanosecond(), i128::from(nanos));
        }
    }
}
