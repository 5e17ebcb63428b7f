use influxdb_line_protocol::{FieldValue, parse_lines};
use proptest::prelude::*;

use super::*;
use crate::batch::{OpenBatch, RecordIndex};
use crate::config::raw::Precision;
use crate::decode::points::tests::{TIME, read, samples};
use crate::encode;

fn read_in(unit: TimeUnit, text: &str) -> Result<Vec<String>, String> {
    read(|each| LineProtocol::new(unit).points(text.as_bytes(), samples(false).time, each))
}

fn lines(text: &str) -> Result<Vec<String>, String> {
    read_in(TimeUnit::Ns, text)
}

#[test]
fn lines_have_a_measurement_tags_fields_and_perhaps_a_time() {
    let text = "# a comment\n\n  cpu,host=a,core=0 idle=97.5,n=-3i,u=18446744073709551615u,on=T,off=False 5\r\n\
                m s=\"two\nlines, \\\"x\\\" C:\\\\y\\z\",e=\"\"\n#\nm f=1e3 -7 ";
    assert_eq!(
        lines(text).unwrap(),
        [
            "cpu{core=\"0\",host=\"a\"} idle=97.5,n=Integer(-3),u=Unsigned(18446744073709551615),\
             on=Boolean(true),off=Boolean(false) 5",
            "m{} s=String(\"two\\nlines, \\\"x\\\" C:\\\\y\\\\z\"),e=String(\"\") 1795658400000000000",
            "m{} f=1000 -7",
        ]
    );
    assert_eq!(lines("").unwrap(), [""; 0]);
    assert_eq!(lines("\n \t\r\n# x").unwrap(), [""; 0]);
}

#[test]
fn a_backslash_escapes_a_delimiter_and_nothing_else() {
    let text = r"a\ b\,c\=d\x,t\ 1\=2\,3=C:\y\ z f\ 1\=2=1 5";
    assert_eq!(lines(text).unwrap(), [r#"a b,c\=d\x{t 1=2,3="C:\\y z"} f 1=2=1 5"#]);
}

#[test]
fn timestamps_have_the_unit_that_is_declared() {
    for (unit, nanos) in [
        (TimeUnit::S, "7000000000"),
        (TimeUnit::Ms, "7000000"),
        (TimeUnit::Us, "7000"),
        (TimeUnit::Ns, "7"),
    ] {
        assert_eq!(read_in(unit, "m f=1 7").unwrap(), [format!("m{{}} f=1 {nanos}")]);
    }
    let why = "a timestamp outside the years 1677 to 2262 at byte 0";
    assert_eq!(read_in(TimeUnit::S, "m f=1 99999999999").unwrap_err(), why);
}

#[test]
fn numbers_of_other_grammars_are_read_as_numbers() {
    assert_eq!(
        lines("m a=.5,b=5.,c=+1,d=007,e=-.5e1 1").unwrap(),
        ["m{} a=0.5,b=5,c=1,d=7,e=-5 1"]
    );
}

#[test]
fn what_is_no_line_rejects_with_its_place() {
    for (text, why) in [
        ("m f=1 1\nm", "expected a space and the fields at byte 9"),
        (",t=a f=1", "expected a measurement at byte 0"),
        ("\rm,t=a f=1", "expected a measurement at byte 0"),
        ("m,t f=1", "expected a tag's name and an equals sign at byte 3"),
        ("m,t= f=1", "expected a tag's value at byte 4"),
        ("m,=a f=1", "expected a tag's name and an equals sign at byte 2"),
        ("m,t=a,t=b f=1", "tag \"t\" is there twice at byte 0"),
        ("m f", "expected a field's name and an equals sign at byte 3"),
        ("m f=1,f=2", "field \"f\" is there twice at byte 0"),
        ("m f=", "expected a number, a boolean or a quoted text, in range at byte 4"),
        ("m f=nan", "expected a number, a boolean or a quoted text, in range at byte 4"),
        ("m f=1e999", "expected a number, a boolean or a quoted text, in range at byte 4"),
        (
            "m f=9223372036854775808i",
            "expected a number, a boolean or a quoted text, in range at byte 4",
        ),
        ("m f=-1u", "expected a number, a boolean or a quoted text, in range at byte 4"),
        ("m f=yes", "expected a number, a boolean or a quoted text, in range at byte 4"),
        ("m f=\"x", "a text without an end at byte 4"),
        ("m f=\"x\"5", "expected the line's end at byte 7"),
        ("m f=1 1 1", "expected the line's end at byte 8"),
        ("m f=1 1.5", "expected a timestamp at byte 6"),
        ("m f=1,", "expected a field's name and an equals sign at byte 6"),
    ] {
        assert_eq!(lines(text).unwrap_err(), why, "{text}");
    }
    let bad = LineProtocol::new(TimeUnit::Ns).points(b"m f=\"\xFF\"", None, &mut |_| Ok(()));
    assert!(bad.is_err());
}

#[test]
fn without_any_time_a_point_is_rejected() {
    let why =
        read(|each| LineProtocol::new(TimeUnit::Ns).points(b"m f=1", None, each)).unwrap_err();
    assert_eq!(why, "a point without a timestamp, and the record has none in range");
}

/// What the encoder makes of each line's point.
fn encoded(text: &str) -> Vec<Option<String>> {
    let mut encoder = encode::LineProtocol::new(Precision::Ns);
    let mut written = Vec::new();
    let mut reader = LineProtocol::new(TimeUnit::Ns);
    let time = Timestamp::from_millis(TIME);
    let _ = reader.points(text.as_bytes(), time, &mut |point| {
        let mut open = OpenBatch::default();
        let taken = encoder.encode(&point, RecordIndex(0), &mut open);
        written.push(taken.ok().map(|()| String::from_utf8(open.bytes).unwrap()));
        Ok(())
    });
    written
}

/// What is copied of each line, or `None` where it is not.
fn copied(text: &str) -> Vec<Option<String>> {
    let mut copies = Vec::new();
    let mut reader = LineProtocol::new(TimeUnit::Ns);
    let time = Timestamp::from_millis(TIME);
    let _ = reader.lines(text.as_bytes(), time, &mut |text, line, time| {
        copies.push(line.as_written(text).map(|line| format!("{line} {}\n", time.nanos())));
        Ok(())
    });
    copies
}

#[test]
fn a_line_as_the_encoder_writes_it_is_copied() {
    for text in [
        "cpu,core=0,host=a idle=97.5,n=-3i,u=7u,on=true,off=false,s=\"a \\\"b\\\" \\\\ c\" 5",
        "m f=1",
        "Köln,größe=ß f=1e-7,g=0i 1",
    ] {
        let copy = copied(text).remove(0);
        assert!(copy.is_some(), "{text}");
        assert_eq!(copy, encoded(text).remove(0));
    }
    for text in [
        "m,b=1,a=2 f=1",
        "m f=.5",
        "m f=T",
        "m f=01i",
        "m f=-0i",
        "m f=+1i",
        "m  f=1",
        r"m\ x f=1",
        "m,t=\"a\" f=1",
        "m,time=1 f=1",
        "m time=1",
        "m f=\"a\nb\"",
        "m f=\"a\\b\"",
        "m,_field=1 f=1",
        "m,t=a\tb f=1",
    ] {
        assert_eq!(copied(text), [None], "{text}");
    }
}

fn piece() -> impl Strategy<Value = String> {
    let any = prop::sample::select(vec![
        "a", "b", "time", "_x", "f", "=", ",", " ", "\\", "\"", "\n", "1", "i", "u", "-", ".5",
        "1e3", "true", "T", "é", "\r", "\t", "#", "m,a=1 ", "f=1", " 5\n",
    ]);
    prop::collection::vec(any, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// The one thing that copying must not do is to write what encoding would not.
    #[test]
    fn what_is_copied_is_what_would_be_encoded(text in piece()) {
        for (copy, encoded) in copied(&text).into_iter().zip(encoded(&text)) {
            if copy.is_some() {
                prop_assert_eq!(copy, encoded, "{:?}", text);
            }
        }
    }

    #[test]
    fn a_point_that_is_written_is_read_back(
        measurement in "[a-zé ,=C:]{1,8}",
        tags in prop::collection::btree_map("[a-z ,=é]{1,4}", "[A-Z ,=\"é]{1,6}", 0..4),
        fields in prop::collection::btree_map("[a-z ,=é]{1,4}", value(), 1..5),
        nanos in i64::MIN + 2..i64::MAX,
    ) {
        let point = Point {
            measurement: measurement.into(),
            tags: tags.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            timestamp: Timestamp::from_nanos(nanos.into()).unwrap(),
            to: "".into(),
        };
        let mut open = OpenBatch::default();
        let taken = encode::LineProtocol::new(Precision::Ns).encode(&point, RecordIndex(0), &mut open);
        prop_assume!(taken.is_ok());
        let mut again = Vec::new();
        let mut reader = LineProtocol::new(TimeUnit::Ns);
        let read = reader.points(&open.bytes, None, &mut |read| {
            again.push(read == point);
            Ok(())
        });
        prop_assert!(read.is_ok());
        prop_assert_eq!(again, [true], "{:?}", String::from_utf8_lossy(&open.bytes));
    }

    /// Somebody else's parser. It takes some lines that InfluxDB 2 doesn't, and reads a doubled backslash
    /// otherwise, so that only what both take is compared, and without backslashes.
    #[test]
    fn the_parser_of_influxdb_3_reads_the_same(text in piece().prop_filter("", |text| !text.contains('\\'))) {
        let Ok(ours) = lines(&text) else { return Ok(()) };
        let theirs: Result<Vec<_>, _> = parse_lines(&text).collect();
        let Ok(theirs) = theirs else { return Ok(()) };
        prop_assert_eq!(ours.len(), theirs.len(), "{:?}", text);
        for (ours, theirs) in ours.iter().zip(theirs) {
            let fields = theirs.field_set.iter().map(|(name, value)| match value {
                FieldValue::F64(number) => format!("{name}={number}"),
                FieldValue::I64(number) => format!("{name}=Integer({number})"),
                FieldValue::U64(number) => format!("{name}=Unsigned({number})"),
                FieldValue::Boolean(truth) => format!("{name}=Boolean({truth})"),
                FieldValue::String(text) => format!("{name}=String({:?})", text.as_str()),
            });
            let fields = fields.collect::<Vec<_>>().join(",");
            prop_assert!(ours.contains(&format!("}} {fields} ")), "{} for {:?}", ours, text);
            let measurement = theirs.series.measurement.to_string();
            prop_assert!(ours.starts_with(&measurement), "{} for {:?}", ours, text);
        }
    }
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        (prop::num::f64::NORMAL | prop::num::f64::ZERO)
            .prop_map(|number| Value::String(number.to_string().into())),
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(Value::Unsigned),
        any::<bool>().prop_map(Value::Boolean),
        "[ -~é\n]{0,12}".prop_map(|text| Value::String(text.into())),
        Just(Value::Float(Float::Text("-12.50e3"))),
    ]
}
