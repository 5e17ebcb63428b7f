//! Cases about what a database has stored after an acknowledged write.

use tidegate::config;
use tidegate::config::raw::{InfluxCompression, Precision};
use tidegate::point::{Float, Timestamp, Value};
use tidegate::sink::SinkError;

use super::database::{Stored, number};
use super::rows::Row;
use super::{Case, START, float, text};

pub fn every_field_type(row: Row) {
    let mut case = Case::new("every_field_type", row);
    let mut fields = vec![
        ("float", float(21.5)),
        ("text", Value::Float(Float::Text("1.0"))),
        ("integer", Value::Integer(-7)),
        ("true", Value::Boolean(true)),
        ("false", Value::Boolean(false)),
        ("unsigned", Value::Unsigned(7)),
    ];
    if !row.has_unsigned() {
        fields.pop();
    }
    let id = case.id.clone();
    let string = [("string", text("words"))];
    if row.by_lines() {
        fields.extend(string);
        case.found(if row.has_fields() {
            "all types"
        } else {
            "numbers, booleans as 0 and 1, strings as 0"
        });
    } else {
        let refused = case.try_add(&id, &[], &string, 0).expect_err("a string by remote write");
        assert!(refused.0.contains("is a string"), "{refused}");
        case.found("numbers, booleans as 0 and 1");
        case.note(refused.0);
    }
    case.add(&id, &[("tag", "a")], &fields, 0);
    let batch = case.close();
    case.write(&batch);
    let stored =
        |(field, value): &(&str, Value<'_>)| row.stored(&id, &[("tag", "a")], field, value, START);
    case.assert_stored(fields.iter().map(stored).collect());
}

pub fn extremes_of_numbers(row: Row) {
    let mut case = Case::new("extremes_of_numbers", row);
    let long = "-0.12345678901234567890123456789012345678901234567890";
    let mut fields = vec![
        ("largest", float(f64::MAX)),
        ("lowest", float(f64::MIN)),
        ("smallest_normal", float(f64::MIN_POSITIVE)),
        ("minus_zero", float(-0.0)),
        ("third", float(1.0 / 3.0)),
        ("long", Value::Float(Float::Text(long))),
        ("exponent", Value::Float(Float::Text("1.5E+3"))),
        ("highest_integer", Value::Integer(i64::MAX)),
        ("lowest_integer", Value::Integer(i64::MIN)),
        ("highest_unsigned", Value::Unsigned(u64::MAX)),
    ];
    if !row.has_unsigned() {
        fields.pop();
    }
    let id = case.id.clone();
    case.add(&id, &[], &fields, 0);
    let batch = case.close();
    case.write(&batch);
    let mut expected: Vec<_> =
        fields.iter().map(|(field, value)| row.stored(&id, &[], field, value, START)).collect();
    match row {
        Row::VictoriaMetricsByLines | Row::VictoriaMetricsByRemoteWrite => {
            for stored in &mut expected {
                for (field, kept) in KEPT_BY_VICTORIA_METRICS {
                    if stored.name == format!("{id}_{field}") {
                        stored.value = number(kept);
                    }
                }
            }
            case.found("12 to 15 digits");
            case.note(format!("not kept exactly: {KEPT_BY_VICTORIA_METRICS:?}"));
        }
        Row::QuestDb => {
            // Its NULL of a LONG is that very number.
            expected.retain(|stored| stored.field != "lowest_integer");
            case.found("exact, but the lowest integer is NULL");
        }
        Row::Mimir | Row::Cortex => {
            // It was sent, but is not in its answer.
            for stored in &mut expected {
                if stored.name.ends_with("minus_zero") {
                    stored.value = number(0.0);
                }
            }
            case.found("exact, but -0 is read as 0");
        }
        _ => case.found("exact"),
    }
    case.assert_stored(expected);
}

/// VictoriaMetrics 1.150 keeps decimals, of an i64 and an exponent, and fewer digits of fractions: by either route.
const KEPT_BY_VICTORIA_METRICS: [(&str, f64); 7] = [
    ("largest", 1.797_693_134_862_315_1e308),
    ("lowest", -1.797_693_134_862_315_1e308),
    ("smallest_normal", 0.0),
    ("minus_zero", 0.0),
    ("third", 0.333_333_333_333),
    ("long", -0.123_456_789_012_34),
    ("highest_unsigned", 1.844_674_407_370_954_8e19),
];

/// Unicode and every character that has a meaning on the way, in every place of a point that may have it.
pub fn unicode_and_escapes(row: Row) {
    let mut case = Case::new("unicode_and_escapes", row);
    // QuestDB has fewer characters for names, and refuses others aloud (a case of broken lines).
    let odd = if row == Row::QuestDb { " ° 東" } else { " =,\"°\\x 東" };
    let measurement = format!("{}{odd}", case.id);
    let (tag, value) = (format!("t{odd}"), "v =,\"°\\x {}'🌡");
    let field = if row == Row::QuestDb { "f ° 東" } else { "f =,°\\x 東" };
    let mut fields = vec![(field, float(1.5))];
    let string = "\"quoted\", back\\slash, \\\\ two, \\\" both, = 東🌡 \\";
    if row.by_lines() {
        fields.push(("string", text(string)));
    }
    case.add(&measurement, &[(&tag, value)], &fields, 0);
    let batch = case.close();
    case.write(&batch);
    let expected = if row.by_lines() {
        let stored = |(field, text): &(&str, Value<'_>)| {
            row.stored(&measurement, &[(&tag, value)], field, text, START)
        };
        case.found("kept");
        let mut expected: Vec<_> = fields.iter().map(stored).collect();
        if row == Row::QuestDb {
            case.found("kept, but `\\` in a tag; fewer in names");
            for stored in &mut expected {
                stored.tags.values_mut().for_each(|value| *value = value.replace('\\', ""));
            }
        }
        expected
    } else {
        // One underscore for a character that remote write's names don't have; values keep everything.
        let measurement = format!("{}______x__", case.id);
        let tags = [("t______x__", value)];
        case.found("kept, names with `_`");
        vec![row.stored(&measurement, &tags, "f_____x__", &float(1.5), START)]
    };
    case.assert_stored(expected);
}

/// No text in a point can make a second point of itself.
pub fn newline_injection(row: Row) {
    let mut case = Case::new("newline_injection", row);
    let id = case.id.clone();
    let evil = format!("x\n{id},case={id} v=666 {START}000000\n");
    let (v, tag) = ([("v", float(1.0))], [("tag", evil.as_str())]);
    case.add(&id, &[("good", "a")], &v, 0);
    let mut expected = vec![row.stored(&id, &[("good", "a")], "v", &float(1.0), START)];
    if row.is_json() {
        // JSON escapes it wherever it stands.
        case.add(&evil, &tag, &[(&evil, float(1.0))], 1);
        expected.push(row.stored(&evil, &tag, &evil, &float(1.0), START + 1));
    } else if row.by_lines() {
        let attempts = [
            ("the measurement", case.try_add(&evil, &[], &v, 1)),
            ("the name of tag", case.try_add(&id, &[(&evil, "a")], &v, 1)),
            ("the value of tag", case.try_add(&id, &tag, &v, 1)),
            ("the name of field", case.try_add(&id, &[], &[(&evil, float(1.0))], 1)),
        ];
        for (place, attempt) in attempts {
            let refused = attempt.expect_err(place).0;
            assert!(refused.contains(place) && refused.contains("control character"), "{refused}");
        }
    } else {
        // Lengths, not delimiters, part the texts of remote write: a label's value may have anything.
        case.add(&id, &tag, &v, 1);
        expected.push(row.stored(&id, &tag, "v", &float(1.0), START + 1));
    }
    case.add(&id, &[("good", "b")], &v, 2);
    expected.push(row.stored(&id, &[("good", "b")], "v", &float(1.0), START + 2));
    let batch = case.close();
    assert_eq!(batch.len(), expected.len(), "a refused point leaves nothing in the batch");
    case.write(&batch);
    case.assert_stored(expected);
}

/// A string may have newlines where there are strings. VictoriaMetrics, which has none, and QuestDB refuse it aloud, and
/// for a file of line protocol the record is refused.
pub fn newline_in_a_string(row: Row) {
    let mut case = Case::new("newline_in_a_string", row);
    let id = case.id.clone();
    let string = format!("two\nlines,case={id} v=666 {START}000000\r\n\tand a third");
    if row == Row::FileOfLineProtocol {
        let refused = case.try_add(&id, &[], &[("v", text(&string))], 0).expect_err("two lines");
        case.found("refused");
        case.note(refused.0);
        return case.assert_stored(Vec::new());
    }
    case.add(&id, &[], &[("v", text(&string))], 0);
    case.add(&id, &[], &[("w", float(1.0))], 1);
    let batch = case.close();
    if row.has_fields() && row != Row::QuestDb {
        case.write(&batch);
        case.found("kept");
        case.assert_stored(vec![
            row.stored(&id, &[], "v", &text(&string), START),
            row.stored(&id, &[], "w", &float(1.0), START + 1),
        ]);
    } else {
        case.found("refused");
        let error = case.write_refused(&batch);
        assert!(
            matches!(&error, SinkError::Rejected(r) if !r.rest_written && !r.superseded),
            "{error:?}"
        );
        case.assert_stored(Vec::new());
    }
}

/// Tags whose names differ only in what remote write's names can't have. Of two that become one, one value would
/// silently replace the other, so such a point is refused.
pub fn duplicate_tags(row: Row) {
    let mut case = Case::new("duplicate_tags", row);
    let id = case.id.clone();
    let (tags, v) = ([("a b", "1"), ("a_b", "2")], [("v", float(1.0))]);
    if row.by_lines() {
        case.add(&id, &tags, &v, 0);
        let batch = case.close();
        case.write(&batch);
        case.assert_stored(vec![row.stored(&id, &tags, "v", &v[0].1, START)]);
    } else {
        let refused = case.try_add(&id, &tags, &v, 0).expect_err("two labels of one name");
        case.note(refused.0);
        case.assert_stored(Vec::new());
    }
}

pub fn an_empty_tag(row: Row) {
    let mut case = Case::new("an_empty_tag", row);
    let batch = case.one(&[("empty", ""), ("full", "a"), ("zempty", "")], 1.0, 0);
    case.write(&batch);
    case.assert_stored(vec![case.sample(&[("full", "a")], 1.0, 0)]);
}

/// A time with all nine digits, rounded towards the past by the coarser precisions.
pub fn every_precision(row: Row) {
    let mut case = Case::new("every_precision", row);
    let nanos = 1_700_000_000_987_654_321;
    let precisions = [
        ("ns", Precision::Ns, 1),
        ("us", Precision::Us, 1_000),
        ("ms", Precision::Ms, 1_000_000),
        ("s", Precision::S, 1_000_000_000),
    ];
    let id = case.id.clone();
    let mut expected = Vec::new();
    for (name, precision, unit) in precisions {
        let mut config = case.database.lines();
        config.precision = precision;
        case.use_config(&config::Sink::InfluxDb(config));
        let tags = [("precision", name)];
        case.try_add_nanos(&id, &tags, &[("v", float(1.0))], nanos).expect("a writable point");
        let batch = case.close();
        case.write(&batch);
        let kept = unit.max(row.unit());
        let nanos = nanos / kept * kept;
        expected.push(Stored { nanos, ..case.sample(&tags, 1.0, 0) });
    }
    case.assert_stored(expected);
}

pub fn ten_thousand_points(row: Row) {
    ten_thousand("ten_thousand_points", row, InfluxCompression::Gzip);
}

pub fn ten_thousand_points_uncompressed(row: Row) {
    ten_thousand("ten_thousand_points_uncompressed", row, InfluxCompression::None);
}

/// Series by series in ascending time, as 100 devices would have sent them.
fn ten_thousand(name: &str, row: Row, compression: InfluxCompression) {
    let mut case = Case::new(name, row);
    if row.by_lines() && !row.is_local() {
        let mut config = case.database.lines();
        config.compression = compression;
        case.use_config(&config::Sink::InfluxDb(config));
    }
    let id = case.id.clone();
    let mut expected = Vec::new();
    for at in 0..100i32 {
        for device in 0..100i32 {
            let device_name = format!("d{device}");
            let tags = [("device", device_name.as_str())];
            let value = f64::from(device * 1000 + at) / 8.0;
            case.add(&id, &tags, &[("v", float(value))], i64::from(at) * 1000);
            expected.push(case.sample(&tags, value, i64::from(at) * 1000));
        }
    }
    let batch = case.close();
    assert_eq!(batch.len(), 10_000);
    case.write(&batch);
    if row == Row::Blackhole {
        return;
    }
    // Ten thousand lines are no help in a failure.
    let stored = case.database.read(&case.id);
    expected.sort_unstable();
    let differs = stored.iter().zip(&expected).find(|(stored, expected)| stored != expected);
    assert_eq!(
        (stored.len(), differs),
        (10_000, None),
        "{row:?}: how many, and the first that differs"
    );
}

/// What is as long as the encoder lets through is stored; what is longer it refuses. JSON has no such limits.
pub fn the_longest_texts(row: Row) {
    let mut case = Case::new("the_longest_texts", row);
    let id = case.id.clone();
    let string = "s".repeat(64 * 1024);
    // `{id},case={id},t=…`, 4 bytes between them and the field's name, `v`.
    let longest = 65_535 - (2 * id.len() + ",case=".len() + ",t=".len() + 4 + 1);
    // VictoriaMetrics says itself that it drops longer ones (docs/sinks.md).
    let longest = if row.has_fields() { longest } else { 4096 };
    let tag = "t".repeat(longest);
    case.add(&id, &[("t", &tag)], &[("v", text(&string))], 0);
    if row.has_fields() && !row.is_json() {
        for (tag, string) in
            [(tag.clone() + "t", string.clone()), (tag.clone(), string.clone() + "s")]
        {
            case.try_add(&id, &[("t", &tag)], &[("v", text(&string))], 0).expect_err("too long");
        }
    }
    let batch = case.close();
    case.write(&batch);
    let stored = case.database.read(&id);
    let expected = [row.stored(&id, &[("t", &tag)], "v", &text(&string), START)];
    // The texts are no help in a failure.
    assert!(stored == expected, "{} values are stored", stored.len());
}

/// The range of a [`Timestamp`], and the turn of 1970.
pub fn the_first_and_the_last_moment(row: Row) {
    let mut case = Case::new("the_first_and_the_last_moment", row);
    let id = case.id.clone();
    let moments = [i64::MIN + 2, -1, 0, 1, i64::MAX - 1];
    for outside in [i64::MIN + 1, i64::MAX] {
        assert_eq!(Timestamp::from_nanos(i128::from(outside)), None);
    }
    for nanos in moments {
        case.try_add_nanos(&id, &[], &[("v", float(1.0))], nanos).expect("a writable point");
    }
    let batch = case.close();
    let sample = case.sample(&[], 1.0, 0);
    let stored = |nanos| Stored { nanos, ..sample.clone() };
    match row {
        Row::QuestDb => {
            // Each line before 1970 is refused, and by microseconds nothing is lost of the others.
            case.found("from 1970 on");
            let after = batch.slice(2..5);
            let error = case.write_refused(&batch);
            assert!(matches!(&error, SinkError::Rejected(r) if !r.rest_written), "{error:?}");
            case.write(&after);
            case.assert_stored([0, 0, (i64::MAX - 1) / 1000 * 1000].map(stored).to_vec());
        }
        Row::InfluxDb2 => {
            case.write(&batch);
            // Flux takes the very last moment for one beyond every range; InfluxQL shows it.
            let [seen @ .., _last] = moments;
            case.assert_stored(seen.map(stored).to_vec());
            let answer = case.database.influxql(&format!("select v from {id}")).expect("InfluxDB");
            assert!(answer.contains("9223372036854775806"), "{answer}");
            case.found("1677 to 2262");
            case.note("Flux does not show 2262-04-11T23:47:16.854775806Z, InfluxQL does");
        }
        _ => {
            case.write(&batch);
            case.assert_stored(moments.map(stored).to_vec());
            case.found("1677 to 2262");
        }
    }
}
