//! Ten thousand random batches, split at random places, as the parser of `InfluxDB` 3 reads them.

use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};

use super::*;
use crate::batch::Batch;

const BATCHES: u64 = 10_000;

/// A point that owns its texts.
#[derive(Debug)]
struct Model {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Vec<(String, Value<'static>)>,
    nanos: i64,
}

impl Model {
    fn thrown(dice: &mut fastrand::Rng) -> Self {
        let measurement = text(dice);
        let names = |dice: &mut fastrand::Rng, least, most| {
            let mut names: Vec<_> = (0..dice.usize(least..=most)).map(|_| text(dice)).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let tags = names(dice, 0, 4).into_iter().map(|name| (name, text(dice))).collect();
        let fields = names(dice, 1, 5).into_iter().map(|name| (name, value(dice))).collect();
        let nanos = if dice.bool() { dice.i64(i64::MIN + 2..i64::MAX) } else { dice.i64(-9..9) };
        Self { measurement, tags, fields, nanos }
    }

    fn point(&self) -> Point<'_> {
        Point {
            measurement: self.measurement.as_str().into(),
            tags: self.tags.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            fields: self.fields.iter().map(|(name, value)| (name.into(), value.clone())).collect(),
            timestamp: Timestamp::from_nanos(self.nanos.into()).unwrap(),
            to: "".into(),
        }
    }

    #[track_caller]
    fn assert_is(&self, line: &ParsedLine<'_>, unit: i64) {
        assert_eq!(line.series.measurement, self.measurement.as_str());
        let tags = line.series.tag_set.iter().flatten();
        let tags: Vec<_> =
            tags.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        // An empty tag is no tag.
        let expected = self.tags.iter().filter(|(_, value)| !value.is_empty());
        assert_eq!(tags, expected.cloned().collect::<Vec<_>>());
        assert_eq!(line.field_set.len(), self.fields.len());
        for ((name, found), (own, value)) in line.field_set.iter().zip(&self.fields) {
            assert_eq!(*name, own.as_str());
            assert!(is_same(value, found), "{value:?} is read as {found:?}");
        }
        assert_eq!(line.timestamp, Some(self.nanos.div_euclid(unit)));
    }
}

fn is_same(value: &Value<'_>, read: &FieldValue<'_>) -> bool {
    match (value, read) {
        (Value::Float(float), FieldValue::F64(read)) => float.to_f64().to_bits() == read.to_bits(),
        (Value::Integer(own), FieldValue::I64(read)) => own == read,
        (Value::Unsigned(own), FieldValue::U64(read)) => own == read,
        (Value::Boolean(own), FieldValue::Boolean(read)) => own == read,
        (Value::String(own), FieldValue::String(read)) => *read == own.as_ref(),
        _ => false,
    }
}

/// Of all that has a meaning somewhere, and now and then of what is refused.
fn text(dice: &mut fastrand::Rng) -> String {
    const SIGNS: [char; 15] =
        ['a', 'b', 'Z', '0', '_', ' ', ',', '=', 'ä', '漢', '#', '.', '-', '{', '\u{80}'];
    let len = dice.usize(0..7);
    let sign = |dice: &mut fastrand::Rng| match dice.u8(..100) {
        0 => '\\',
        _ => SIGNS[dice.usize(..SIGNS.len())],
    };
    let mut text: String = (0..len).map(|_| sign(dice)).collect();
    if dice.u8(..) < 2 {
        text.insert(0, ['\n', '"', '\0', '\t'][dice.usize(..4)]);
    }
    if dice.u8(..) < 250 { format!("n{text}") } else { text }
}

fn value(dice: &mut fastrand::Rng) -> Value<'static> {
    const SPELLED: [&str; 6] = ["0.10", "-0", "1E+5", "5e-324", "12345678901234567890123", "1"];
    match dice.u8(..6) {
        0 => Value::Float(Float::Text(SPELLED[dice.usize(..SPELLED.len())])),
        1 => {
            let number = f64::from_bits(dice.u64(..));
            Float::from_number(number).map_or(Value::Boolean(true), Value::Float)
        }
        2 => Value::Integer(dice.i64(..)),
        3 => Value::Unsigned(dice.u64(..)),
        4 => Value::Boolean(dice.bool()),
        _ => {
            let quoted = if dice.bool() { "\"\n\\" } else { "" };
            Value::String(format!("{}{quoted}{}", text(dice), text(dice)).into())
        }
    }
}

/// Cuts a batch as delivery does, and hands the parts on, in order where it is a cut in place.
fn split(batch: &Batch, dice: &mut fastrand::Rng, parts: &mut Vec<Batch>) {
    match dice.u8(..4) {
        _ if batch.len() < 2 => parts.push(batch.clone()),
        0 => parts.push(batch.clone()),
        1 => {
            let some: Vec<_> = (0..batch.len()).filter(|_| dice.bool()).collect();
            split(&batch.only(&some), dice, parts);
            split(&batch.without(&some), dice, parts);
        }
        _ => {
            let at = dice.usize(0..=batch.len());
            let halves = [batch.slice(0..at), batch.slice(at..batch.len())];
            for half in halves {
                let lies_within = batch.body().as_ptr_range().contains(&half.body().as_ptr());
                assert!(half.is_empty() || lies_within, "a part's bytes are the batch's own");
                if half.len() < batch.len() {
                    split(&half, dice, parts);
                } else {
                    parts.push(half);
                }
            }
        }
    }
}

#[test]
fn any_part_of_any_batch_is_read_as_the_points_that_it_stands_for() {
    let (mut lines, mut refused) = (0, 0);
    for seed in 0..BATCHES {
        let mut dice = fastrand::Rng::with_seed(seed);
        let precisions = [Precision::Ns, Precision::Us, Precision::Ms, Precision::S];
        let (precision, unit) =
            [(0, 1), (1, 1_000), (2, 1_000_000), (3, 1_000_000_000)][dice.usize(..4)];
        let mut encoder = Encoder::LineProtocol(LineProtocol::new(precisions[precision]));
        let mut open = OpenBatch::default();
        let models: Vec<_> = (0..dice.usize(0..12)).map(|_| Model::thrown(&mut dice)).collect();
        let mut taken = Vec::new();
        for (record, model) in (0u32..).zip(&models) {
            match encoder.encode(&model.point(), RecordIndex(record), &mut open) {
                Ok(()) => taken.push(record),
                Err(_) => refused += 1,
            }
        }
        let whole = encoder.close(&mut open);
        let mut parts = Vec::new();
        split(&whole, &mut dice, &mut parts);
        let mut found = Vec::new();
        for part in &parts {
            let body = part.body();
            let text = std::str::from_utf8(&body).unwrap();
            let read: Vec<_> = parse_lines(text)
                .collect::<Result<_, _>>()
                .unwrap_or_else(|error| panic!("seed {seed}: {error}: {text}"));
            assert_eq!(read.len(), part.len(), "seed {seed}: {text}");
            for (item, line) in read.iter().enumerate() {
                let record = part.record(item).0;
                models[record as usize].assert_is(line, unit);
                found.push(record);
            }
        }
        found.sort_unstable();
        assert_eq!(found, taken, "seed {seed}: each record is in one part");
        lines += found.len();
    }
    assert!(lines > 40_000 && refused > 1_000, "{lines} lines, {refused} refused");
}
