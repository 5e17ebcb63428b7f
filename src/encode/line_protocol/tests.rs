mod batches;

use std::borrow::Cow;

use influxdb_line_protocol::{FieldValue, parse_lines};
use proptest::prelude::*;

use super::*;
use crate::encode::Encoder;

fn point<'a>(tags: &[(&'a str, &'a str)], fields: Vec<(&'a str, Value<'a>)>) -> Point<'a> {
    Point {
        measurement: "m".into(),
        tags: tags.iter().map(|&(name, value)| (name.into(), Cow::Borrowed(value))).collect(),
        fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        timestamp: Timestamp::from_nanos(1_700_000_000_123_456_789).unwrap(),
        to: "".into(),
    }
}

fn one<'a>() -> Vec<(&'a str, Value<'a>)> {
    vec![("f", Value::Integer(1))]
}

fn named(measurement: &str) -> Point<'_> {
    Point { measurement: measurement.into(), ..point(&[], one()) }
}

fn encode_with(precision: Precision, point: &Point<'_>) -> Result<String, EncodeError> {
    let mut batch = OpenBatch::default();
    let mut encoder = Encoder::LineProtocol(LineProtocol::new(precision));
    encoder.encode(point, RecordIndex(0), &mut batch)?;
    Ok(String::from_utf8(batch.bytes).unwrap())
}

fn encode(point: &Point<'_>) -> Result<String, EncodeError> {
    encode_with(Precision::Ns, point)
}

fn refusal(point: &Point<'_>) -> String {
    encode(point).unwrap_err().0
}

#[test]
fn a_point_is_one_line_with_all_types() {
    let point = Point {
        measurement: "plant, north".into(),
        tags: vec![("device id".into(), "a=b,c d".into()), ("site".into(), "Köln".into())],
        fields: vec![
            ("text".into(), Value::Float(Float::Text("21.50"))),
            ("number".into(), Value::Float(Float::Number(0.1))),
            ("int".into(), Value::Integer(-3)),
            ("unsigned".into(), Value::Unsigned(3)),
            ("on".into(), Value::Boolean(true)),
            ("off".into(), Value::Boolean(false)),
            ("a=b".into(), Value::String("say \"hi\", C:\\x\n".into())),
        ],
        timestamp: Timestamp::from_nanos(1_700_000_000_000_000_001).unwrap(),
        to: "".into(),
    };
    assert_eq!(
        encode(&point).unwrap(),
        "plant\\,\\ north,device\\ id=a\\=b\\,c\\ d,site=Köln \
         text=21.50,number=0.1,int=-3i,unsigned=3u,on=true,off=false,\
         a\\=b=\"say \\\"hi\\\", C:\\\\x\n\" 1700000000000000001\n"
    );
}

#[test]
fn extremes_of_all_numbers_are_read_back_exactly() {
    let floats = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e16, 1e21, -0.0, 0.1 + 0.2];
    for number in floats {
        assert_eq!(parsed_field(Value::Float(Float::Number(number))), FieldValue::F64(number));
    }
    for text in ["1E+5", "1e-7", "-0", "0.10", "123456789012345678901234567890", "5e-324"] {
        let number = text.parse().unwrap();
        assert_eq!(parsed_field(Value::Float(Float::Text(text))), FieldValue::F64(number));
    }
    for number in [i64::MIN, -1, 0, i64::MAX] {
        assert_eq!(parsed_field(Value::Integer(number)), FieldValue::I64(number));
    }
    for number in [0, u64::MAX] {
        assert_eq!(parsed_field(Value::Unsigned(number)), FieldValue::U64(number));
    }
}

fn parsed_field(value: Value<'_>) -> FieldValue<'static> {
    let line = encode(&point(&[], vec![("f", value)])).unwrap();
    let line = parse_lines(Box::leak(line.into_boxed_str())).next().unwrap().unwrap();
    line.field_set[0].1.clone()
}

#[test]
fn the_timestamp_is_cut_to_the_precision_towards_the_past() {
    let at = |nanos, precision| {
        let timestamp = Timestamp::from_nanos(nanos).unwrap();
        let line = encode_with(precision, &Point { timestamp, ..point(&[], one()) }).unwrap();
        line.trim_end().rsplit_once(' ').unwrap().1.to_owned()
    };
    let nanos = 1_700_000_000_999_999_999;
    assert_eq!(at(nanos, Precision::Ns), "1700000000999999999");
    assert_eq!(at(nanos, Precision::Us), "1700000000999999");
    assert_eq!(at(nanos, Precision::Ms), "1700000000999");
    assert_eq!(at(nanos, Precision::S), "1700000000");
    assert_eq!(at(-1, Precision::Ms), "-1");
    assert_eq!(at(-1, Precision::S), "-1");
    assert_eq!(at(0, Precision::Ns), "0");
    assert_eq!(at(i128::from(i64::MIN) + 2, Precision::Ns), "-9223372036854775806");
}

#[test]
fn an_empty_tag_is_left_out() {
    assert!(encode(&point(&[("a", ""), ("b", "1")], one())).unwrap().starts_with("m,b=1 f=1i "));
}

#[test]
fn a_newline_cannot_start_a_line_of_its_own() {
    let injected = "x 1=1i 1\nforged,a=b f=1i";
    assert!(refusal(&named(injected)).contains("control character"));
    assert!(refusal(&point(&[(injected, "v")], one())).contains("control character"));
    assert!(refusal(&point(&[("t", injected)], one())).contains("tag \"t\""));
    assert!(refusal(&point(&[], vec![(injected, Value::Integer(1))])).contains("control"));
    let text = "x\" 1\nforged,a=b f=1i";
    let line = encode(&point(&[], vec![("f", Value::String(text.into()))])).unwrap();
    let lines = parse_lines(&line).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(lines.len(), 1);
    assert!(matches!(&lines[0].field_set[0].1, FieldValue::String(read) if *read == text));
}

#[test]
fn what_a_database_would_drop_or_misread_is_refused_with_the_reason() {
    assert!(refusal(&named("")).contains("measurement is empty"));
    assert!(refusal(&named("#m")).contains("a comment"));
    for name in ["time", "_field", "_measurement", "_time", "_value", "_start", "_stop", ""] {
        assert!(refusal(&point(&[(name, "v")], one())).contains("can't be a tag's name"));
    }
    for name in ["time", ""] {
        let fields = vec![(name, Value::Integer(1))];
        assert!(refusal(&point(&[], fields)).contains("can't be a field's name"));
    }
    assert!(refusal(&point(&[], vec![("a\"b", Value::Integer(1))])).contains("a quote"));
    assert!(refusal(&point(&[], vec![])).contains("no field"));
    assert!(refusal(&point(&[("t", "a\tb")], one())).contains("control character"));
}

#[test]
fn a_backslash_is_kept_where_all_databases_read_the_same_and_else_refused() {
    assert!(encode(&point(&[("t", r"C:\data\x")], one())).unwrap().contains(r"t=C:\data\x "));
    for value in [r"end\", r"\\unc", r"a\ b", r"a\,b", r"a\=b"] {
        assert!(refusal(&point(&[("t", value)], one())).contains("backslash"), "{value}");
        assert!(refusal(&point(&[(value, "v")], one())).contains("backslash"), "{value}");
        assert!(refusal(&named(value)).contains("backslash"), "{value}");
        let fields = vec![(value, Value::Integer(1))];
        assert!(refusal(&point(&[], fields)).contains("backslash"), "{value}");
    }
}

#[test]
fn strings_and_series_keys_have_the_documented_limits() {
    let text = |len| vec![("f", Value::String("x".repeat(len).into()))];
    assert!(encode(&point(&[], text(65_536))).is_ok());
    assert!(refusal(&point(&[], text(65_537))).contains("65537 bytes"));
    // "m,t=" and the separator and "f" take nine.
    let (fits, long) = ("v".repeat(65_535 - 9), "v".repeat(65_535 - 8));
    assert!(encode(&point(&[("t", &fits)], one())).is_ok());
    assert!(refusal(&point(&[("t", &long)], one())).contains("65535 bytes"));
}

#[test]
fn a_refused_point_leaves_no_bytes() {
    let mut batch = OpenBatch::default();
    let mut encoder = Encoder::LineProtocol(LineProtocol::new(Precision::S));
    encoder.encode(&point(&[], one()), RecordIndex(0), &mut batch).unwrap();
    let bad = point(&[("a", "b")], vec![("f", Value::Integer(1)), ("time", Value::Integer(1))]);
    encoder.encode(&bad, RecordIndex(1), &mut batch).unwrap_err();
    encoder.encode(&point(&[], one()), RecordIndex(2), &mut batch).unwrap();
    let batch = encoder.close(&mut batch);
    assert_eq!(batch.body(), "m f=1i 1700000000\nm f=1i 1700000000\n");
    assert_eq!((batch.record(0), batch.record(1)), (RecordIndex(0), RecordIndex(2)));
}

/// How the parsers in Go find a delimiter and take escapes away, written from their sources
/// (`models/points.go` of InfluxDB 1 and 2, `lib/protoparser/influx/parser.go` of VictoriaMetrics).
#[derive(Debug, Clone, Copy)]
enum Dialect {
    Influx2,
    Victoria,
}

impl Dialect {
    /// The text before and after the first delimiter that isn't escaped.
    fn cut(self, text: &str, delimiter: char) -> Option<(&str, &str)> {
        text.match_indices(delimiter).find_map(|(at, _)| {
            let slashes = text[..at].bytes().rev().take_while(|&byte| byte == b'\\').count();
            let escaped = match self {
                Self::Influx2 => slashes > 0,
                Self::Victoria => slashes % 2 == 1,
            };
            (!escaped).then(|| (&text[..at], &text[at + 1..]))
        })
    }

    fn unescape(self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let next = rest.peek().copied();
            let is_escape = matches!(next, Some(',' | ' ' | '='))
                || (matches!(self, Self::Victoria) && next == Some('\\'));
            match next {
                Some(escaped) if c == '\\' && is_escape => {
                    out.push(escaped);
                    rest.next();
                }
                _ => out.push(c),
            }
        }
        out
    }

    /// The measurement, tags, and the name of the one field of a line that ends in `=1i`.
    fn read(self, line: &str) -> (String, Vec<(String, String)>, String) {
        let (key, rest) = self.cut(line, ' ').unwrap();
        let (fields, _) = self.cut(rest, ' ').unwrap();
        let (field, value) = self.cut(fields, '=').unwrap();
        assert_eq!(value, "1i");
        let (measurement, mut rest) = self.cut(key, ',').unwrap_or((key, ""));
        let mut tags = Vec::new();
        while !rest.is_empty() {
            let (tag, after) = self.cut(rest, ',').unwrap_or((rest, ""));
            let (name, value) = self.cut(tag, '=').unwrap();
            tags.push((self.unescape(name), self.unescape(value)));
            rest = after;
        }
        (self.unescape(measurement), tags, self.unescape(field))
    }
}

/// Text with many of the characters that mean something.
fn awkward() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just(','),
            Just(' '),
            Just('='),
            Just('\\'),
            Just('"'),
            Just('#'),
            Just('é'),
            Just('\n'),
            Just('\t'),
            "[a-c]".prop_map(|text| text.chars().next().unwrap())
        ],
        0..6,
    )
    .prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_line_is_read_as_the_same_point_by_three_parsers(
        measurement in awkward(),
        tags in proptest::collection::btree_map(awkward(), awkward(), 0..3),
        field in awkward(),
    ) {
        let point = Point {
            measurement: measurement.as_str().into(),
            tags: tags.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            fields: vec![(field.as_str().into(), Value::Integer(1))],
            timestamp: Timestamp::from_millis(1).unwrap(),
            to: "".into(),
        };
        let Ok(line) = encode(&point) else { return Ok(()) };
        let kept: Vec<_> = tags.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let expected = (measurement, kept, field);
        prop_assert_eq!(line.matches('\n').count(), 1);
        let lines: Vec<_> = parse_lines(&line).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(lines.len(), 1);
        let series = &lines[0].series;
        let read_tags = series.tag_set.iter().flatten();
        let read = (
            series.measurement.to_string(),
            read_tags.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            lines[0].field_set[0].0.to_string(),
        );
        prop_assert_eq!(&read, &expected, "InfluxDB 3");
        for dialect in [Dialect::Influx2, Dialect::Victoria] {
            prop_assert_eq!(&dialect.read(&line), &expected, "{:?}", dialect);
        }
    }

    #[test]
    fn any_string_value_is_read_back(text in any::<String>()) {
        let point = point(&[], vec![("f", Value::String(text.as_str().into()))]);
        let line = encode(&point).unwrap();
        let lines: Vec<_> = parse_lines(&line).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(lines.len(), 1);
        let same = matches!(&lines[0].field_set[0].1, FieldValue::String(read) if *read == text);
        prop_assert!(same);
    }

    #[test]
    fn any_finite_float_is_read_back_exactly(number in any::<f64>()) {
        prop_assume!(number.is_finite());
        prop_assert_eq!(
            parsed_field(Value::Float(Float::Number(number))), FieldValue::F64(number)
        );
    }
}

/// Mostly one that can be written: more of those than an encoder keeps.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z]{2}", 1 => awkward()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// An encoder keeps names of earlier points; neither those nor refused ones may show in a later line.
    #[test]
    fn a_line_does_not_depend_on_the_points_before_it(
        points in proptest::collection::vec(
            (name(), proptest::collection::vec(name(), 0..3), proptest::collection::vec(name(), 1..3)),
            1..300,
        ),
    ) {
        let mut encoder = Encoder::LineProtocol(LineProtocol::new(Precision::Ns));
        for (measurement, tags, fields) in &points {
            let point = Point {
                measurement: measurement.into(),
                tags: tags.iter().map(|name| (name.into(), "v".into())).collect(),
                fields: fields.iter().map(|name| (name.into(), Value::Integer(1))).collect(),
                timestamp: Timestamp::from_nanos(0).unwrap(),
                to: "".into(),
            };
            let mut batch = OpenBatch::default();
            let written = encoder.encode(&point, RecordIndex(0), &mut batch);
            let written = written.map(|()| String::from_utf8(batch.bytes).unwrap());
            prop_assert_eq!(written, encode(&point));
        }
    }

    /// Nor may series keys of earlier points show, of which there are fewer here than points.
    #[test]
    fn a_series_is_written_the_same_each_time(
        points in proptest::collection::vec(
            (0..3_usize, proptest::collection::vec((0..6_usize, 0..9_usize), 0..3)), 1..300,
        ),
    ) {
        const NAMES: [&str; 6] = ["a", "b", "ab", "a,b", "a b", "a=b"];
        const VALUES: [&str; 9] = ["", "a", "b", "ab", "a,b=a", "a b", "a=b", "a\\", "a\nb"];
        let mut encoder = Encoder::LineProtocol(LineProtocol::new(Precision::Ns));
        for (measurement, tags) in &points {
            let tags: Vec<_> = tags.iter().map(|(name, value)| (NAMES[*name], VALUES[*value])).collect();
            let point = Point { measurement: NAMES[*measurement].into(), ..point(&tags, one()) };
            let mut batch = OpenBatch::default();
            let written = encoder.encode(&point, RecordIndex(0), &mut batch);
            let written = written.map(|()| String::from_utf8(batch.bytes).unwrap());
            prop_assert_eq!(written, encode(&point));
        }
    }
}
