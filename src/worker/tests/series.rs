//! A point whose series is known is written as if it had been made.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use proptest::prelude::*;

use super::records::{path, written};
use super::world::FakeRecord;
use crate::batch::{OpenParts, RecordIndex};
use crate::cardinality::{Cardinality, Guard, Rules};
use crate::config::raw::{FieldKind, LineFormat, OverLimit, Strings, TimeUnit};
use crate::decode::json::Json;
use crate::decode::{Decoder, Documents};
use crate::encode::{Encoder, RemoteWrite, SeriesRules};
use crate::map::{
    Field, Mapping, Piece, Plan, PointRule, Scratch, Source, Tag, Template, TimeSource,
};
use crate::worker::Transform;

/// Points of two rules with the same tags and fields, and of one that takes an array's elements.
fn mapping() -> Mapping {
    let kinds = [FieldKind::Float, FieldKind::Integer, FieldKind::String, FieldKind::Boolean];
    let fields = ["v", "w", "x", "y"].iter().zip(kinds);
    let fields = fields.map(|(name, kind)| Field::new(*name, path(name), kind)).collect();
    let element = |text: &str| Source::Element(text.parse().unwrap());
    let tags = vec![
        Tag::new("k", Source::Constant("constant".into())),
        Tag { required: true, ..Tag::new("n", Source::Partition) },
        Tag::new("s", path("s")),
    ];
    let time = || TimeSource::Number { source: path("t"), unit: TimeUnit::Ms };
    let whole = PointRule {
        tags,
        timestamp: time(),
        ..PointRule::new(Template(vec![Piece::Text("m".into())]), fields)
    };
    let other = PointRule { measurement: Template(vec![Piece::Text("n".into())]), ..whole.clone() };
    let each = PointRule {
        explode: Some("list".parse().unwrap()),
        tags: vec![Tag::new("e", element("e")), Tag::new("s", path("s"))],
        timestamp: time(),
        ..PointRule::new(
            Template(vec![Piece::Text("m".into()), Piece::Source(path("m"))]),
            vec![Field::new("f", element("f"), FieldKind::Float)],
        )
    };
    Mapping { points: vec![whole, other, each], tags: Vec::new() }
}

fn encoder(strings: Option<Strings>) -> Encoder {
    let Some(strings) = strings else { return Encoder::of_lines(LineFormat::LineProtocol) };
    let rules = SeriesRules { strings, ..SeriesRules::default() };
    Encoder::RemoteWrite(RemoteWrite::new(Arc::new(rules), Arc::default()))
}

fn transform(encoder: Encoder, limit: Option<OverLimit>, cardinality: &Cardinality) -> Transform {
    let rules = Rules {
        warn_at: u64::MAX,
        max_series: None,
        max_tag_values: limit.and(NonZeroUsize::new(3)),
        tags: BTreeMap::new(),
        over_limit: limit.unwrap_or(OverLimit::Reject),
    };
    let decoder = Decoder::Documents(Documents::Json(Json::default()));
    let guard = Some(Guard::new("c", rules, cardinality));
    Transform { guard, ..Transform::new(decoder, Plan::new(&mapping()), encoder) }
}

/// A member of an object, which may not be there.
fn member(name: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::sample::select(values).prop_map(move |value| format!(",\"{name}\":{value}")),
        1 => Just(String::new()),
    ]
}

fn message() -> impl Strategy<Value = String> {
    const TEXTS: &[&str] = &[
        r#""a""#,
        r#""b""#,
        r#""c d,e=f""#,
        r#""""#,
        r#""back\\""#,
        r#""two\nlines""#,
        "7",
        "null",
    ];
    const NUMBERS: &[&str] =
        &["1", "1.5", "-0.0", "1e5", "1e999", "12345678901234567890", "null", "true"];
    const TIMES: &[&str] = &["1000", "1001", "1002", "1700000000000", "99999999999999999", "-5"];
    let list = prop::collection::vec((member("e", TEXTS), member("f", NUMBERS)), 0..3);
    let list = list.prop_map(|elements| {
        let elements: Vec<_> = elements.iter().map(|(e, f)| format!("{{\"o\":1{e}{f}}}")).collect();
        format!(",\"list\":[{}]", elements.join(","))
    });
    let members = (
        member("v", NUMBERS),
        member(
            "w",
            &["1", "-21", "-0", "3.0", "123456789", "9223372036854775807", "\"1\"", "null"],
        ),
        member("x", TEXTS),
        member("y", &["true", "false", "null", "1"]),
        member("s", TEXTS),
        member("m", &["\"a\"", "\"b\"", "1"]),
        member("t", TIMES),
        list,
    );
    members
        .prop_map(|(v, w, x, y, s, m, t, list)| format!("{{\"o\":0{v}{w}{x}{y}{s}{m}{t}{list}}}"))
}

/// Messages with their partitions, batch by batch.
type Batches = Vec<Vec<(i32, String)>>;

/// Checks that a transform that keeps series and one that doesn't make the same of some batches, and says whether they
/// have noticed the same.
fn make_the_same(
    batches: &Batches,
    strings: Option<Strings>,
    limit: Option<OverLimit>,
) -> Result<bool, TestCaseError> {
    let found = [Cardinality::default(), Cardinality::default()];
    let mut keeping = transform(encoder(strings), limit, &found[0]);
    // One for a destination of many keeps nothing.
    let mut fresh = transform(encoder(strings).apart(""), limit, &found[1]);
    prop_assert!(keeping.encoder.keeps_series() && !fresh.encoder.keeps_series());
    let (mut scratch, mut offset, mut notice_the_same) = (Scratch::default(), 0, true);
    for batch in batches {
        let mut open = [OpenParts::default(), OpenParts::default()];
        for (index, (partition, message)) in (0..).zip(batch) {
            let record = FakeRecord::with(*partition, offset, message);
            offset += 1;
            let place = RecordIndex(index);
            let one = keeping.apply(&record, place, &mut scratch, &mut open[0]);
            let other = fresh.apply(&record, place, &mut scratch, &mut open[1]);
            prop_assert_eq!(one, other, "{}", message);
            prop_assert_eq!(open[0].items(), open[1].items(), "{}", message);
        }
        let (parts, noticed) = open[0].close(&mut keeping.encoder);
        let (other_parts, other_noticed) = open[1].close(&mut fresh.encoder);
        prop_assert_eq!(written(&parts), written(&other_parts));
        notice_the_same &= noticed == other_noticed;
    }
    let counted =
        found.map(|of| (of.series(), of.tags(), of.colliding().get(), of.over_limit().get()));
    prop_assert_eq!(&counted[0], &counted[1]);
    Ok(notice_the_same)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_of_series_shows_in_nothing_that_is_written(
        batches in prop::collection::vec(prop::collection::vec((0..2, message()), 1..20), 1..5),
        strings in prop::sample::select(vec![
            None, Some(Strings::Reject), Some(Strings::Drop), Some(Strings::Label),
        ]),
        limit in prop::sample::select(vec![
            None, Some(OverLimit::Reject), Some(OverLimit::DropTag), Some(OverLimit::Other),
        ]),
    ) {
        // Two series may share a place in the notes of where the last sample came from, which hides what is noticed of
        // them. A random seed decides which do.
        let mut notice_the_same = false;
        for _ in 0..3 {
            notice_the_same |= make_the_same(&batches, strings, limit)?;
        }
        prop_assert!(notice_the_same);
    }
}
