use super::*;
use crate::decode::points::tests::{read, samples};

fn prometheus(text: &str) -> Result<Vec<String>, String> {
    read(|each| points(text.as_bytes(), samples(true), each))
}

fn open(text: &str) -> Result<Vec<String>, String> {
    read(|each| open_metrics(text.as_bytes(), samples(true), each))
}

#[test]
fn a_sample_has_a_name_labels_a_number_and_perhaps_a_time() {
    let text = "# HELP a b\n# TYPE a counter\n\n  a_total 1\na{ } 2 \r\na{x=\"1\",a=\"2\",} 3 -1\n\
                a { x = \"1\" , e=\"\" } +Inf\t7\n:r:e_1 NaN\n#";
    assert_eq!(
        prometheus(text).unwrap(),
        [
            "a_total{} value=1 1795658400000000000",
            "a{} value=2 1795658400000000000",
            "a{a=\"2\",x=\"1\"} value=3 -1000000",
            "a{x=\"1\"} value=inf 7000000",
            ":r:e_1{} value=NaN 1795658400000000000",
        ]
    );
}

#[test]
fn escapes_and_names_in_quotes_are_read() {
    let text = r#"a{p="C:\\x \"y\"\nz\q, }"} 1
{"my.name", "a b"="c"} 2
{x="1","n"} 3
"#;
    assert_eq!(
        prometheus(text).unwrap(),
        [
            r#"a{p="C:\\x \"y\"\nz\\q, }"} value=1 1795658400000000000"#,
            r#"my.name{a b="c"} value=2 1795658400000000000"#,
            r#"n{x="1"} value=3 1795658400000000000"#,
        ]
    );
}

#[test]
fn what_is_no_sample_rejects_with_its_place() {
    for (text, why) in [
        ("a 1\nb", "expected a number at byte 5"),
        ("1a 1", "expected a metric's name at byte 0"),
        ("a{x=\"1\" 1", "expected a comma or a brace at byte 8"),
        ("a{x=\"1} 1", "a text without an end at byte 4"),
        ("a{x} 1", "expected an equals sign at byte 3"),
        ("a{x=1} 1", "expected a text in quotes at byte 4"),
        ("a{:=\"1\"} 1", "expected a label's name at byte 2"),
        ("a{x=\"1\",x=\"2\"} 1", "tag \"x\" is there twice at byte 14"),
        ("a{__name__=\"b\"} 1", "a metric's name can't be a label at byte 11"),
        ("{\"a\",\"b\"} 1", "expected an equals sign at byte 8"),
        ("{x=\"1\"} 1", "expected a metric's name at byte 7"),
        ("a 1 2 3", "expected the line's end at byte 6"),
        ("a 1 1.5", "expected a time in milliseconds since 1970 at byte 7"),
        ("a 1 9999999999999999", "a timestamp outside the years 1677 to 2262 at byte 20"),
        ("a-b 1", "expected a number at byte 3"),
    ] {
        assert_eq!(prometheus(text).unwrap_err(), why, "{text}");
    }
}

#[test]
fn open_metrics_has_seconds_and_exemplars_and_an_end() {
    let text = "# TYPE a histogram\na_bucket{le=\"1.0\"} 1 1.5 # {id=\"x\"} 0.5 1.25\n\
                a_bucket{le=\"+Inf\"} 2 # {} 3\na_count 2 1e3\n# EOF\n";
    assert_eq!(
        open(text).unwrap(),
        [
            "a_bucket{le=\"1.0\"} value=1 1500000000",
            "a_bucket{le=\"+Inf\"} value=2 1795658400000000000",
            "a_count{} value=2 1000000000000",
        ]
    );
    assert_eq!(open("a 1\n").unwrap_err(), "expected `# EOF` at byte 4");
    assert_eq!(open("# EOF\na 1\n").unwrap_err(), "expected nothing after `# EOF` at byte 6");
    assert!(open("\n# EOF\n").is_err(), "no line is blank");
    assert_eq!(open("# EOF").unwrap(), [""; 0]);
}
