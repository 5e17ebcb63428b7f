//! What holds for any input.

use std::fs;

use proptest::prelude::*;

use super::super::*;
use super::{MARK, environment, folder};

/// No word of a secret or a defect in the errors, if there are any.
fn assert_decent(errors: Result<Connector, Errors>) {
    if let Err(errors) = errors {
        let errors = errors.to_string();
        assert!(!errors.contains(MARK), "{errors}");
        assert!(!errors.contains("defect"), "{errors}");
    }
}

/// Text that YAML makes something of, more often than arbitrary text.
fn yaml_like() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "topics",
        "point",
        "sink",
        "influxdb",
        "fields",
        "tags",
        "batch",
        "url",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{ ",
        " }",
        ", ",
        "'",
        "\"",
        "${URL}",
        "${",
        "{{ topic }}",
        "}}",
        "&a",
        "*a",
        "!t",
        "|\n",
        ">\n",
        "---\n",
        "...\n",
        "#",
        "? ",
        "~",
        "1",
        "1.5",
        "true",
        "é",
        "\t",
        "\r\n",
        "\u{feff}",
        "\0",
        "%YAML 1.2\n",
        "<<",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), like in yaml_like()) {
        assert_decent(super::text("a.yaml", &text));
        assert_decent(super::text("a.yaml", &like));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = folder(&[]);
        let file = folder.path().join("a.yaml");
        fs::write(&file, bytes).unwrap();
        let _ = load(Some(&file), std::slice::from_ref(&file), &environment());
    }

    /// Slips of the pen anywhere but in the secrets themselves and their keys.
    #[test]
    fn no_slip_of_the_pen_shows_a_secret(
        slips in prop::collection::vec((0.0..1.0_f64, prop::sample::select(&SLIPS[..]), any::<bool>()), 1..5)
    ) {
        let mut text: Vec<char> = SLIPPERY.chars().collect();
        for (place, slip, replace) in slips {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let at = (place * text.len() as f64) as usize;
            let line: String = {
                let start = text[..at].iter().rposition(|c| *c == '\n').map_or(0, |found| found + 1);
                text[start..].iter().take_while(|c| **c != '\n').collect()
            };
            if line.contains(MARK) {
                continue;
            }
            if replace {
                text[at] = slip;
            } else {
                text.insert(at, slip);
            }
        }
        let text: String = text.into_iter().collect();
        assert_decent(super::text("a.yaml", &text));
    }
}

/// Found by the property above: no YAML, and a secret whose key is no longer its own.
#[test]
fn a_secret_is_not_shown_where_its_key_is_broken_and_the_text_is_no_yaml() {
    for (whole, broken) in [
        ("ssl.key.pem: |\n", "ssl.key.p\tem: *|\n"),
        ("ssl.key.pem: |\n", "ssl.key\t.pem: |\t"),
        ("ssl.key.pem: |\n", "ssl.kxx.xxm: *|\n"),
    ] {
        let text = SLIPPERY.replace(whole, broken);
        assert_ne!(text, SLIPPERY);
        let errors = super::text("a.yaml", &text).expect_err(broken).to_string();
        assert!(!errors.contains(MARK), "{errors}");
    }
}

const SLIPS: [char; 20] = [
    ' ', '\n', '\t', ':', '-', '[', ']', '{', '}', ',', '\'', '"', '#', '&', '*', '!', '|', '>',
    '$', 'x',
];

const SLIPPERY: &str = "topics: [a]
kafka:
  bootstrap.servers: localhost
  sasl.password: 'hunter2 one'
  ssl.key.pem: |
    hunter2
    hunter2
  client.id: x
point:
  measurement: 'm {{ topic }}'
  tags: { a: a, b: '{{ key }}' }
  fields: { f: f, g: { path: g, type: integer } }
  timestamp: { path: ts, unit: ms }
sink:
  influxdb:
    url: ${URL}
    org: o
    token: hunter2-two
    bucket: b
    headers: { X-Id: hunter2 }
    proxy_url: http://u:hunter2@proxy:3128
batch: { max_points: 5, linger: 1s }
";
