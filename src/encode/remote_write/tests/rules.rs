//! Names, strings and limits as the configuration has them.

use super::*;
use crate::config::raw::NameScheme;

fn rules(change: impl FnOnce(&mut SeriesRules)) -> SeriesRules {
    let mut rules = SeriesRules::default();
    change(&mut rules);
    rules
}

fn encode(rules: SeriesRules, point: &Point<'_>) -> Result<Vec<String>, String> {
    let mut encoder = RemoteWrite::new(Arc::new(rules), Arc::default());
    let mut open = OpenBatch::default();
    let result = encoder.encode(point, RecordIndex(0), &mut open);
    result.map(|()| texts(&encoder.close(&mut open))).map_err(|error| error.0)
}

fn named(
    pieces: &[NamePiece],
    scheme: NameScheme,
    point: &Point<'_>,
) -> Result<Vec<String>, String> {
    let metric_name = Some(pieces.to_vec());
    encode(SeriesRules { metric_name, scheme, ..SeriesRules::default() }, point)
}

fn with_string<'a>(tags: &[(&'a str, &'a str)], field: &'a str, text: &'a str) -> Point<'a> {
    let mut point = point("m", tags, &[("f", 1.0)], 7);
    point.fields.push((field.into(), Value::String(text.into())));
    point
}

#[test]
fn a_metrics_name_is_made_by_its_template() {
    use NamePiece::{Field, Measurement, Text};
    let one = point("1-m", &[], &[("value", 1.0), ("f.g", 2.0)], 7);
    let dotted = [Text("x.".into()), Field, Text(":".into()), Measurement];
    let texts = named(&dotted, NameScheme::Legacy, &one).unwrap();
    assert_eq!(texts, ["__name__=x_value:1_m 1@7", "__name__=x_f_g:1_m 2@7"]);
    let texts = named(&[Measurement, Text("_".into()), Field], NameScheme::Utf8, &one).unwrap();
    assert_eq!(texts, ["__name__=1-m_value 1@7", "__name__=1-m_f.g 2@7"]);
    let texts = named(&[Field], NameScheme::Legacy, &point("m", &[], &[("9", 1.0)], 7)).unwrap();
    assert_eq!(texts, ["__name__=_9 1@7"]);
    let reason = named(&[Measurement], NameScheme::Utf8, &one).unwrap_err();
    assert!(reason.contains("\"value\" and \"f.g\" both become"), "{reason}");
    let one_field = point("m", &[], &[("f", 1.0)], 7);
    assert_eq!(named(&[Measurement], NameScheme::Legacy, &one_field).unwrap(), ["__name__=m 1@7"]);
}

#[test]
fn utf8_names_stay_as_they_are() {
    let utf8 = || rules(|rules| rules.scheme = NameScheme::Utf8);
    let texts = encode(
        utf8(),
        &point(
            "plänt 1",
            &[("9.é", "1"), ("Z", "2"), ("a-b", "3"), ("a.b", "4")],
            &[("t.°", 1.0), ("t:°", 2.0)],
            7,
        ),
    );
    let labels = |name: &str| format!("9.é=1 Z=2 __name__=plänt 1_{name} a-b=3 a.b=4");
    assert_eq!(
        texts.unwrap(),
        [format!("{} 1@7", labels("t.°")), format!("{} 2@7", labels("t:°"))]
    );
    let reason = encode(utf8(), &point("m", &[("", "x")], &[("f", 1.0)], 7)).unwrap_err();
    assert!(reason.contains("empty name"), "{reason}");
    let reason = encode(utf8(), &point("m", &[("__name__", "x")], &[("f", 1.0)], 7)).unwrap_err();
    assert!(reason.contains("__name__"), "{reason}");
}

#[test]
fn a_string_is_refused_or_dropped_and_counted_or_a_label() {
    let strings = |strings| rules(|rules| rules.strings = strings);
    let point = with_string(&[("t", "a")], "s.1", "x y");
    assert!(encode(strings(Strings::Reject), &point).unwrap_err().contains("\"s.1\" is a string"));
    let label = encode(strings(Strings::Label), &point);
    assert_eq!(label.unwrap(), ["__name__=m_f s_1=x y t=a 1@7"]);
    let empty = encode(strings(Strings::Label), &with_string(&[], "s", ""));
    assert_eq!(empty.unwrap(), ["__name__=m_f 1@7"]);

    let mut encoder = RemoteWrite::new(Arc::new(strings(Strings::Drop)), Arc::default());
    let mut open = OpenBatch::default();
    encoder.encode(&point, RecordIndex(0), &mut open).unwrap();
    // Of a point that is refused nothing is dropped.
    encoder
        .encode(&with_string(&[("__name__", "x")], "s", "x"), RecordIndex(1), &mut open)
        .unwrap_err();
    assert_eq!(encoder.take_noticed().strings_dropped, 1);
    assert_eq!(encoder.take_noticed().strings_dropped, 0);
    assert_eq!(texts(&encoder.close(&mut open)), ["__name__=m_f t=a 1@7"]);
}

#[test]
fn a_point_of_strings_alone_is_refused() {
    let mut only = with_string(&[], "s", "x");
    only.fields.remove(0);
    for strings in [Strings::Drop, Strings::Label] {
        let reason = encode(rules(|rules| rules.strings = strings), &only).unwrap_err();
        assert!(reason.contains("no field is a number"), "{reason}");
    }
}

#[test]
fn a_string_that_becomes_a_tags_label_is_refused_with_both_names() {
    let label = || rules(|rules| rules.strings = Strings::Label);
    let reason = encode(label(), &with_string(&[("a_b", "x")], "a.b", "y")).unwrap_err();
    assert!(
        reason.contains("tag \"a_b\" and field \"a.b\" both become the label \"a_b\""),
        "{reason}"
    );
    // A string's metric is no metric, so it can have a number's name.
    let mut point = with_string(&[], "f.g", "y");
    point.fields.push(("f_g".into(), Value::Integer(2)));
    assert_eq!(
        encode(label(), &point).unwrap(),
        ["__name__=m_f f_g=y 1@7", "__name__=m_f_g f_g=y 2@7"]
    );
}

#[test]
fn what_is_over_a_limit_is_refused_by_name_and_limit() {
    let limits =
        |labels, name, value| rules(|rules| rules.limits = LabelLimits { labels, name, value });
    let full = point("mmm", &[("aaaa", "bbbbb"), ("c", "d")], &[("f", 1.0)], 7);
    assert!(encode(limits(3, 4, 5), &full).is_ok());
    // The slow path, too.
    let odd = point("mmm", &[("aaa.", "bbbbb"), ("c", "d")], &[("f", 1.0)], 7);
    assert!(encode(limits(3, 4, 5), &odd).is_ok());
    for (limits, expected) in [
        (limits(2, 4, 5), "3 labels, with the metric's name, are more than `label_limit` (2)"),
        (limits(3, 3, 5), "has 4 bytes, which is more than `label_name_length_limit` (3)"),
        (limits(3, 4, 4), "has 5 bytes, which is more than `label_value_length_limit` (4)"),
    ] {
        for (point, label) in [(&full, "\"aaaa\""), (&odd, "\"aaa_\"")] {
            let reason = encode(limits.clone(), point).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
            assert!(reason.contains(label) || expected.contains("label_limit"), "{reason}");
        }
    }
    let reason = encode(limits(3, 4, 5), &point("mmmm", &[], &[("f", 1.0)], 7)).unwrap_err();
    assert!(reason.contains("the metric's name \"mmmm_f\" has 6 bytes"), "{reason}");
}

#[test]
fn the_limits_are_by_default_what_a_database_would_drop_without_a_word() {
    let names: Vec<_> = (0..30).map(|number| format!("t{number:02}")).collect();
    let tags =
        |count: usize| names[..count].iter().map(|name| (name.as_str(), "x")).collect::<Vec<_>>();
    let encode_tags =
        |tags: &[(&str, &str)]| encode(SeriesRules::default(), &point("m", tags, &[("f", 1.0)], 7));
    assert!(encode_tags(&tags(29)).is_ok());
    assert!(encode_tags(&tags(30)).unwrap_err().contains("`label_limit` (30)"));
    let (long, longer) = ("x".repeat(4096), "x".repeat(4097));
    assert!(encode_tags(&[("t", &long)]).is_ok());
    assert!(encode_tags(&[("t", &longer)]).unwrap_err().contains("(4096)"));
    assert!(encode_tags(&[(&long[..256], "x")]).is_ok());
    assert!(encode_tags(&[(&long[..257], "x")]).unwrap_err().contains("(256)"));
}

#[test]
fn a_metric_that_two_measurements_become_is_noticed_once_by_all_encoders_of_a_connector() {
    let origins = Arc::<crate::encode::Origins>::default();
    let noticed = |rules: &Arc<SeriesRules>, names: &[(&'static str, &'static str)]| {
        let mut encoder = RemoteWrite::new(Arc::clone(rules), Arc::clone(&origins));
        let mut open = OpenBatch::default();
        for (measurement, field) in names {
            let point = point(measurement, &[], &[(field, 1.0)], 0);
            encoder.encode(&point, RecordIndex(0), &mut open).unwrap();
        }
        let noticed = encoder.take_noticed();
        let told = noticed
            .shared
            .into_iter()
            .map(|shared| format!("{}: {} and {}", shared.metric, shared.one, shared.other));
        (noticed.shared_metrics, told.collect::<Vec<_>>())
    };
    let plain = Arc::<SeriesRules>::default();
    assert_eq!(noticed(&plain, &[("a", "b_c"), ("a", "d"), ("a", "b_c")]), (0, vec![]));
    let told = r#"a_b_c: "b_c" of "a" and "c" of "a_b""#;
    assert_eq!(
        noticed(&plain, &[("a_b", "c"), ("a", "b_c"), ("a_b", "c")]),
        (1, vec![told.into()])
    );
    assert_eq!(noticed(&plain, &[("a_b", "c"), ("a.b", "c")]), (0, vec![]), "told already");
    let told = r#"x_y_c: "c" of "x.y" and "c" of "x-y""#;
    assert_eq!(noticed(&plain, &[("x.y", "c"), ("x-y", "c")]), (1, vec![told.into()]));
    // What a template leaves out is meant to be left out.
    let by_field = SeriesRules {
        metric_name: Some(vec![NamePiece::Text("p_".into()), NamePiece::Field]),
        ..SeriesRules::default()
    };
    assert_eq!(noticed(&Arc::new(by_field), &[("a", "f"), ("bb", "f")]), (0, vec![]));
}

#[test]
fn a_tag_without_a_value_is_no_label() {
    for name in ["a", "a.b"] {
        let point = point("m", &[(name, ""), ("c", "x")], &[("f", 1.0)], 7);
        let texts = encode(SeriesRules::default(), &point).unwrap();
        assert_eq!(texts, ["__name__=m_f c=x 1@7"]);
    }
}
