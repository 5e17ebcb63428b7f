//! All points of a record stand or fall together.

use std::num::NonZeroUsize;
use std::sync::Arc;

use proptest::prelude::*;

use super::world::FakeRecord;
use crate::batch::{OpenParts, RecordIndex};
use crate::config::raw::{FieldKind, Precision, TimeUnit};
use crate::decode::json::Json;
use crate::decode::{Decoder, Documents};
use crate::encode::{Encoder, LineProtocol, RemoteWrite};
use crate::map::{
    Field, Mapping, Piece, Plan, PointRule, Scratch, Source, Tag, Template, TimeSource,
};
use crate::route::{Routing, Slot};
use crate::worker::Transform;

pub(super) fn path(text: &str) -> Source {
    Source::Value(text.parse().unwrap())
}

/// A point of `a` and one of `b`, of the series `s`, at `t`.
fn transform(remote_write: bool, routed: bool) -> Transform {
    let rule = |name: &str| PointRule {
        tags: vec![Tag::new("s", path("s"))],
        timestamp: TimeSource::Number { source: path("t"), unit: TimeUnit::Ms },
        ..PointRule::new(
            Template(vec![Piece::Text(name.into())]),
            vec![Field { required: true, ..Field::new("v", path(name), FieldKind::Float) }],
        )
    };
    let routing = routed.then(|| {
        let template = Template(vec![Piece::Source(path("d"))]);
        Routing::new(vec![(Slot::Bucket, template)], None, NonZeroUsize::MAX)
    });
    let mapping = Mapping { points: vec![rule("a"), rule("b")], tags: Vec::new() };
    let plan = Plan::new(&mapping).routed(routing.as_ref());
    let encoder = if remote_write {
        Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()))
    } else {
        Encoder::LineProtocol(LineProtocol::new(Precision::Ms))
    };
    let decoder = Decoder::Documents(Documents::Json(Json::default()));
    Transform { routing, ..Transform::new(decoder, plan, encoder) }
}

/// What would be written, by destination, in the order of the items' bytes.
pub(super) fn written(parts: &[crate::batch::Batch]) -> Vec<(String, Vec<Vec<u8>>)> {
    let items = |part: &crate::batch::Batch| {
        let mut items: Vec<_> = (0..part.len()).map(|item| part.item(item).to_vec()).collect();
        items.sort();
        items
    };
    let mut parts: Vec<_> =
        parts.iter().map(|part| (part.destination().to_string(), items(part))).collect();
    parts.sort();
    parts
}

proptest! {
    /// A record whose second point is refused, wherever its first went, leaves no trace.
    #[test]
    fn a_record_of_which_one_point_fails_leaves_what_is_open_as_it_was(
        records in prop::collection::vec((0..3i64, "[a-c]", "[x-z]", prop::bool::ANY), 1..20),
        remote_write in prop::bool::ANY,
        routed in prop::bool::ANY,
    ) {
        let (mut whole, mut good) = (transform(remote_write, routed), transform(remote_write, routed));
        let (mut all, mut only_good) = (OpenParts::default(), OpenParts::default());
        let mut scratch = Scratch::default();
        for (index, (time, series, destination, is_good)) in (0..).zip(records) {
            let b = if is_good { "2" } else { "\"no number\"" };
            let value = format!(
                r#"{{"s":"{series}","d":"{destination}","t":{},"a":1,"b":{b}}}"#, 1000 + time
            );
            let record = FakeRecord::with(0, index, &value);
            let place = RecordIndex(u32::try_from(index).unwrap());
            let counts = (all.items(), all.bytes(), all.destinations());
            let taken = whole.apply(&record, place, &mut scratch, &mut all);
            prop_assert_eq!(taken.is_ok(), is_good);
            if is_good {
                good.apply(&record, place, &mut scratch, &mut only_good).unwrap();
            } else {
                prop_assert_eq!((all.items(), all.bytes(), all.destinations()), counts);
            }
        }
        prop_assert_eq!(
            written(&all.close(&mut whole.encoder).0),
            written(&only_good.close(&mut good.encoder).0)
        );
    }
}
