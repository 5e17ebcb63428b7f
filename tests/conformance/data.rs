//! Cases about what a database has stored after an acknowledged write.

use tidegate::config;
use tidegate::config::raw::Precision;
use tidegate::point::{Float, Timestamp, Value};
use tidegate::sink::SinkError;

use super::database::{Database, Row, Stored, number};
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
    if row == Row::InfluxDb1 {
        // As it is built and released, it has none.
        fields.pop();
    }
    let id = case.id.clone();
    let string = [("string", text("words"))];
    if row.by_lines() {
        fields.extend(string);
    } else {
        let refused = case.try_add(&id, &[], &string, 0).expect_err("a string by remote write");
        assert!(refused.0.contains("is a string"), "{refused}");
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
    if row == Row::InfluxDb1 {
        fields.pop();
    }
    let id = case.id.clone();
    case.add(&id, &[], &fields, 0);
    let batch = case.close();
    case.write(&batch);
    let mut expected: Vec<_> =
        fields.iter().map(|(field, value)| row.stored(&id, &[], field, value, START)).collect();
    if row.server() == "victoria-metrics" {
        for stored in &mut expected {
            for (field, kept) in KEPT_BY_VICTORIA_METRICS {
                if stored.name == format!("{id}_{field}") {
                    stored.value = number(kept);
                }
            }
        }
        case.note(format!("not kept exactly: {KEPT_BY_VICTORIA_METRICS:?}"));
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
    let measurement = format!("{} =,\"°\\x 東", case.id);
    let (tag, value) = ("t =,\"°\\x 東", "v =,\"°\\x {}'🌡");
    let field = "f =,°\\x 東";
    let mut fields = vec![(field, float(1.5))];
    let string = "\"quoted\", back\\slash, \\\\ two, \\\" both, = 東🌡 \\";
    if row.by_lines() {
        fields.push(("string", text(string)));
    }
    case.add(&measurement, &[(tag, value)], &fields, 0);
    let batch = case.close();
    case.write(&batch);
    let expected = if row.by_lines() {
        let stored = |(field, text): &(&str, Value<'_>)| {
            row.stored(&measurement, &[(tag, value)], field, text, START)
        };
        fields.iter().map(stored).collect()
    } else {
        // One underscore for a character that remote write's names don't have; values keep everything.
        let measurement = format!("{}______x__", case.id);
        let tags = [("t______x__", value)];
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
    if row.by_lines() {
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

/// A string may have newlines where there are strings. VictoriaMetrics, which has none, refuses the batch aloud.
pub fn newline_in_a_string(row: Row) {
    let mut case = Case::new("newline_in_a_string", row);
    let id = case.id.clone();
    let string = format!("two\nlines,case={id} v=666 {START}000000\r\n\tand a third");
    case.add(&id, &[], &[("v", text(&string))], 0);
    case.add(&id, &[], &[("w", float(1.0))], 1);
    let batch = case.close();
    if row.is_influx() {
        case.write(&batch);
        case.assert_stored(vec![
            row.stored(&id, &[], "v", &text(&string), START),
            row.stored(&id, &[], "w", &float(1.0), START + 1),
        ]);
    } else {
        let error = case.write_refused(&batch);
        assert!(
            matches!(&error, SinkError::Rejected(r) if !r.rest_written && !r.superseded),
            "{error:?}"
        );
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
        // VictoriaMetrics keeps milliseconds.
        let kept = if row.is_influx() { unit } else { unit.max(1_000_000) };
        let nanos = nanos / kept * kept;
        expected.push(Stored { nanos, ..case.sample(&tags, 1.0, 0) });
    }
    case.assert_stored(expected);
}

/// Series by series in ascending time, as 100 devices would have sent them.
pub fn ten_thousand_points(name: &str, row: Row, gzip: bool) {
    let mut case = Case::new(name, row);
    if row.by_lines() {
        let mut config = case.database.lines();
        config.gzip = gzip;
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

/// Newest samples: a repeat is taken everywhere, and stored once.
pub fn the_same_batch_twice(row: Row) {
    let mut case = Case::new("the_same_batch_twice", row);
    let id = case.id.clone();
    for device in ["a", "b", "c"] {
        case.add(&id, &[("device", device)], &[("v", float(0.1)), ("w", Value::Integer(2))], 5);
    }
    let batch = case.close();
    case.write(&batch);
    case.write(&batch);
    let stored = |device| {
        [("v", float(0.1)), ("w", Value::Integer(2))]
            .map(|(field, value)| row.stored(&id, &[("device", device)], field, &value, START + 5))
    };
    case.assert_stored(["a", "b", "c"].into_iter().flat_map(stored).collect());
}

/// A series with several samples: Prometheus refuses the repeat of all but the newest.
pub fn a_history_twice(row: Row) {
    let mut case = Case::new("a_history_twice", row);
    let id = case.id.clone();
    for at in 0..5 {
        case.add(&id, &[], &[("v", float(0.1))], at);
    }
    let batch = case.close();
    case.write(&batch);
    if row == Row::Prometheus {
        let error = case.write_refused(&batch);
        assert!(
            matches!(&error, SinkError::Rejected(r) if r.superseded && !r.rest_written),
            "{error:?}"
        );
    } else {
        case.write(&batch);
    }
    case.assert_stored((0..5).map(|at| case.sample(&[], 0.1, at)).collect());
}

/// The same series and time with another value: the last one counts in InfluxDB, the greatest in VictoriaMetrics, the
/// first in Prometheus.
pub fn another_value_at_the_same_time(row: Row) {
    let mut case = Case::new("another_value_at_the_same_time", row);
    let steps: [(f64, f64); 3] = match row {
        Row::InfluxDb1 | Row::InfluxDb2 => [(5.0, 5.0), (3.0, 3.0), (9.0, 9.0)],
        Row::Prometheus => [(5.0, 5.0), (3.0, 5.0), (9.0, 5.0)],
        _ => [(5.0, 5.0), (3.0, 5.0), (9.0, 9.0)],
    };
    for (value, kept) in steps {
        let batch = case.one(&[], value, 0);
        if row == Row::Prometheus && value.to_bits() != kept.to_bits() {
            let error = case.write_refused(&batch);
            assert!(
                matches!(&error, SinkError::Rejected(r) if r.superseded && !r.rest_written),
                "{error:?}"
            );
        } else {
            case.write(&batch);
        }
        case.assert_stored(vec![case.sample(&[], kept, 0)]);
    }
}

/// As above, in one batch. The encoder of remote write leaves one sample for a moment: the last.
pub fn two_values_in_one_batch(row: Row) {
    let mut case = Case::new("two_values_in_one_batch", row);
    let id = case.id.clone();
    for value in [5.0, 9.0, 3.0] {
        case.add(&id, &[], &[("v", float(value))], 0);
    }
    case.add(&id, &[], &[("v", float(1.0))], 1);
    let batch = case.close();
    case.write(&batch);
    let kept = if row == Row::VictoriaMetricsByLines { 9.0 } else { 3.0 };
    case.assert_stored(vec![case.sample(&[], kept, 0), case.sample(&[], 1.0, 1)]);
}

/// What is as long as the encoder lets through is stored; what is longer it refuses.
pub fn the_longest_texts(row: Row) {
    let mut case = Case::new("the_longest_texts", row);
    let id = case.id.clone();
    // `{id},case={id},t=…`, 4 bytes between them and the field's name, `v`.
    let longest = 65_535 - (2 * id.len() + ",case=".len() + ",t=".len() + 4 + 1);
    let tag = "t".repeat(longest);
    let string = "s".repeat(64 * 1024);
    case.add(&id, &[("t", &tag)], &[("v", text(&string))], 0);
    for (tag, string) in [(tag.clone() + "t", string.clone()), (tag.clone(), string.clone() + "s")]
    {
        case.try_add(&id, &[("t", &tag)], &[("v", text(&string))], 0).expect_err("too long");
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
    case.write(&batch);
    // Flux takes the very last moment for one beyond every range; InfluxQL shows it.
    let [seen @ .., _last] = moments;
    let stored = |nanos| Stored { nanos, ..case.sample(&[], 1.0, 0) };
    case.assert_stored(seen.map(stored).to_vec());
    let answer = case.database.influxql(&format!("select v from {id}"));
    assert!(answer.contains("2262-04-11T23:47:16.854775806Z"), "{answer}");
    case.note("Flux does not show 2262-04-11T23:47:16.854775806Z, InfluxQL does");
}

/// InfluxDB puts the fields of two writes together.
pub fn fields_of_two_writes(row: Row) {
    let mut case = Case::new("fields_of_two_writes", row);
    let id = case.id.clone();
    let fields = [("first", float(1.0)), ("second", float(2.0))];
    for field in &fields {
        case.add(&id, &[], std::slice::from_ref(field), 0);
        let batch = case.close();
        case.write(&batch);
    }
    let stored = |(field, value): &(&str, Value<'_>)| row.stored(&id, &[], field, value, START);
    case.assert_stored(fields.iter().map(stored).collect());
}

/// A sample that is older than its series' newest.
pub fn out_of_order(row: Row) {
    let mut case = Case::new("out_of_order", row);
    let newest = case.one(&[], 10.0, 60_000);
    case.write(&newest);
    let id = case.id.clone();
    // A good one before it, and one after it.
    case.add(&id, &[("other", "a")], &[("v", float(1.0))], 60_000);
    case.add(&id, &[], &[("v", float(2.0))], 0);
    case.add(&id, &[("other", "b")], &[("v", float(3.0))], 60_000);
    let late = case.close();
    let mut expected = vec![case.sample(&[], 10.0, 60_000)];
    if row == Row::Prometheus {
        let error = case.write_refused(&late);
        assert!(
            matches!(&error, SinkError::Rejected(r) if r.superseded && !r.rest_written),
            "{error:?}"
        );
        case.assert_stored(expected.clone());
        // Without it, the rest is taken.
        case.write(&late.without(&[1]));
    } else {
        case.write(&late);
        expected.push(case.sample(&[], 2.0, 0));
    }
    expected.push(case.sample(&[("other", "a")], 1.0, 60_000));
    expected.push(case.sample(&[("other", "b")], 3.0, 60_000));
    case.assert_stored(expected);
}

/// Prometheus with a window takes what is late by less, and repeats of it; what is later it refuses.
pub fn out_of_order_with_a_window() {
    let database = Database::prometheus_with_window("30m");
    let mut case = Case::on("out_of_order_with_a_window", database);
    let minute = 60_000;
    let newest = case.one(&[], 1.0, 60 * minute);
    case.write(&newest);
    let late = case.one(&[], 2.0, 40 * minute);
    case.write(&late);
    case.write(&late);
    let too_late = case.one(&[], 3.0, 20 * minute);
    let error = case.write_refused(&too_late);
    assert!(
        matches!(&error, SinkError::Rejected(r) if r.superseded && !r.rest_written),
        "{error:?}"
    );
    case.assert_stored(vec![
        case.sample(&[], 2.0, 40 * minute),
        case.sample(&[], 1.0, 60 * minute),
    ]);
}

/// A batch in any order of time: the encoder puts it into the order that Prometheus needs.
pub fn an_unsorted_batch(row: Row) {
    let mut case = Case::new("an_unsorted_batch", row);
    let id = case.id.clone();
    let times = [30, 10, 20, 0, 40];
    for at in times {
        case.add(&id, &[], &[("v", float(f64::from(at)))], i64::from(at));
    }
    let batch = case.close();
    case.write(&batch);
    let stored = |at: i32| case.sample(&[], f64::from(at), i64::from(at));
    case.assert_stored(times.map(stored).to_vec());
}
