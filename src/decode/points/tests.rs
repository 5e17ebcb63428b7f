//! What all formats have in common, and what the tests of each use.

use super::*;

/// A record's time.
pub(super) const TIME: i64 = 1_795_658_400_000;

pub(super) fn samples(not_finite: bool) -> Samples {
    Samples { time: Timestamp::from_millis(TIME), not_finite }
}

/// A point as a line: `NAME{TAG="VALUE"…} FIELD=VALUE… NANOSECONDS`.
pub(super) fn shown(point: &Point<'_>) -> String {
    let tags: Vec<_> = point.tags.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let fields = point.fields.iter().map(|(name, value)| match value {
        Value::Float(float) => format!("{name}={}", float.to_f64()),
        Value::NotFinite(number) => format!("{name}={}", number.to_f64()),
        other => format!("{name}={other:?}"),
    });
    let fields: Vec<_> = fields.collect();
    let nanos = point.timestamp.nanos();
    format!("{}{{{}}} {} {nanos}", point.measurement, tags.join(","), fields.join(","))
}

/// What a reader hands out, shown, or why it rejects.
pub(super) fn read(
    reader: impl FnOnce(Each<'_>) -> Result<(), Refusal>,
) -> Result<Vec<String>, String> {
    let mut points = Vec::new();
    let read = reader(&mut |point| {
        assert!(!point.fields.is_empty() && !point.measurement.is_empty(), "{point:?}");
        assert!(point.tags.is_sorted_by(|a, b| a.0 < b.0), "{point:?}");
        assert!(point.tags.iter().all(|(_, value)| !value.is_empty()), "{point:?}");
        points.push(shown(&point));
        Ok(())
    });
    match read {
        Ok(()) => Ok(points),
        Err(Refusal::Rejected(reject)) => Err(reject.reason),
        Err(Refusal::Unavailable(reason)) => panic!("{reason}"),
    }
}

#[test]
fn a_json_number_is_what_json_has() {
    for text in ["0", "-0", "12", "1.50", "-1e5", "1E+05", "0.1e-9"] {
        assert!(is_json_number(text), "{text}");
        assert!(serde_json::from_str::<f64>(text).is_ok(), "{text}");
    }
    for text in
        ["", "-", "+1", "01", ".5", "5.", "1e", "1e+", "0x1", "1.e1", "inf", "NaN", "1 ", "1-"]
    {
        assert!(!is_json_number(text), "{text}");
        assert!(text == "1 " || serde_json::from_str::<f64>(text).is_err(), "{text}");
    }
}

#[test]
fn tags_are_ordered_empty_ones_are_none_and_a_name_is_there_once() {
    let tag = |name: &'static str, value: &'static str| (Cow::Borrowed(name), Cow::Borrowed(value));
    let mut tags = vec![tag("b", "1"), tag("", ""), tag("a", "2"), tag("b", "")];
    order(&mut tags).unwrap();
    assert_eq!(tags, [tag("a", "2"), tag("b", "1")]);
    let mut twice = vec![tag("b", "1"), tag("a", "2"), tag("b", "2")];
    assert_eq!(order(&mut twice).unwrap_err().what, "tag \"b\" is there twice");
    assert!(order(&mut vec![tag("", "x")]).is_err());
}

#[test]
fn what_is_not_finite_is_left_out_unless_the_sink_takes_it() {
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::from_bits(STALE)];
    assert_eq!(numbers.map(|number| samples(false).value(number)), [None, None, None, None]);
    let kept = [NotFinite::Nan, NotFinite::Infinity, NotFinite::NegativeInfinity];
    let kept = kept.map(|number| Some(Value::NotFinite(number))).into_iter();
    let expected: Vec<_> = kept.chain([Some(Value::Stale)]).collect();
    assert_eq!(numbers.map(|number| samples(true).value(number)).to_vec(), expected);
}

#[test]
fn graphite_has_a_path_tags_a_number_and_seconds() {
    let read = |text: &str| read(|each| graphite::points(text.as_bytes(), samples(false), each));
    let lines = "servers.web1.cpu 1.5 1795658400.25\r\n\n disk;b=x;a=y 2 -1\nload 3\nload nan 1\n";
    assert_eq!(
        read(lines).unwrap(),
        [
            "servers.web1.cpu{} value=1.5 1795658400250000000",
            "disk{a=\"y\",b=\"x\"} value=2 1795658400000000000",
            "load{} value=3 1795658400000000000",
        ]
    );
    for (text, why) in [
        ("a 1 1\nb x 1", "expected a path, a number and a time at byte 6"),
        ("a 1 later", "expected a time in seconds since 1970 at byte 0"),
        ("a 1 1 1", "expected the line's end after the time at byte 0"),
        ("a;b 1 1", "expected a tag as `name=value` at byte 0"),
        ("a;b=1;b=2 1 1", "tag \"b\" is there twice at byte 0"),
        (";b=1 1 1", "expected a path at byte 0"),
        ("a 1 1e30", "expected a time in seconds since 1970 at byte 0"),
    ] {
        assert_eq!(read(text).unwrap_err(), why, "{text}");
    }
}

#[test]
fn collectd_has_a_field_for_each_name() {
    let read = |text: &str| read(|each| collectd::points(text.as_bytes(), samples(false), each));
    let text = r#"[{"values":[1901474177,null],"dstypes":["counter","gauge"],"dsnames":["rx","tx"],
        "time":1280959128.123,"interval":10.000,"host":"leeloo.octo.it","plugin":"interface",
        "plugin_instance":"eth0","type":"if_octets","type_instance":"","meta":{"network:received":true}}]"#;
    assert_eq!(
        read(text).unwrap(),
        ["interface{host=\"leeloo.octo.it\",instance=\"eth0\",type=\"if_octets\"} rx=1901474177 \
          1280959128123000000"]
    );
    let why = read(r#"[{"plugin":"p","values":[1],"dsnames":[]}]"#).unwrap_err();
    assert_eq!(why, "a value list without a plugin, or with other than one name for each value");
    assert!(read("{}").unwrap_err().starts_with("invalid type: map"));
}

#[test]
fn telegraf_has_one_metric_or_several() {
    let read = |text: &str| {
        read(|each| telegraf_json::points(text.as_bytes(), TimeUnit::S, samples(false), each))
    };
    let metric = r#"{"fields":{"n":7,"on":true,"s":"up","gone":null},"name":"docker","tags":{"host":"a","e":""},"timestamp":1458229140}"#;
    let point = "docker{host=\"a\"} n=7,on=Boolean(true),s=String(\"up\") 1458229140000000000";
    assert_eq!(read(metric).unwrap(), [point]);
    assert_eq!(read(&format!(r#"{{"metrics":[{metric},{metric}]}}"#)).unwrap(), [point, point]);
    for text in ["{}", "[]", r#"{"name":"","fields":{"a":1}}"#, r#"{"name":"m","fields":{"a":{}}}"#]
    {
        assert!(read(text).is_err(), "{text}");
    }
}
