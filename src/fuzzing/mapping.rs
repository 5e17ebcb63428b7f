//! Numbers, conversions and timestamps of a mapping.

use serde_json::Value as Json;

use crate::config::raw::{FieldKind, TimeUnit};
use crate::decode::{Refusal, Slot, json};
use crate::map::{Field, Piece, Plan, PointRule, Scratch, Source, Template, TimeSource};
use crate::point::{Point, Timestamp, Value};
use crate::record::{Offset, Record};

/// A record with a value and nothing else.
pub(super) struct Bare<'a>(pub(super) &'a [u8]);

impl Record for Bare<'_> {
    fn topic(&self) -> &'static str {
        "t"
    }
    fn partition(&self) -> i32 {
        0
    }
    fn offset(&self) -> Offset {
        Offset(0)
    }
    fn key(&self) -> Option<&[u8]> {
        None
    }
    fn value(&self) -> Option<&[u8]> {
        Some(self.0)
    }
    fn timestamp_millis(&self) -> Option<i64> {
        Some(0)
    }
    fn header(&self, _: &str) -> Option<&[u8]> {
        None
    }
    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        Vec::new()
    }
}

/// One JSON value as a field of each type, and as a time in each notation.
pub fn mapping(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Json>(data) else { return };
    for coerce in [false, true] {
        for kind in [
            FieldKind::Float,
            FieldKind::Integer,
            FieldKind::Unsigned,
            FieldKind::Boolean,
            FieldKind::String,
        ] {
            let plan = plan(kind, coerce, TimeSource::Record);
            if let Ok(Some(error)) =
                with_point(data, &plan, |value, _| is_wrong(value, &document, coerce))
            {
                panic!("{} as {kind:?}, coerced {coerce}: {error}", data.escape_ascii());
            }
        }
    }
    for unit in [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns] {
        let time = TimeSource::Number { source: root(), unit };
        let plan = plan(FieldKind::String, true, time);
        let read = with_point(data, &plan, |_, timestamp| timestamp);
        if let (Ok(timestamp), Some(whole)) = (read, document.as_i64()) {
            let nanos = i128::from(whole) * scale(unit);
            assert_eq!(Some(timestamp), Timestamp::from_nanos(nanos), "{whole} {unit:?}");
        }
    }
    let plan = plan(FieldKind::String, true, TimeSource::Rfc3339 { source: root() });
    if with_point(data, &plan, |_, _| ()).is_ok() {
        assert!(document.is_string(), "{document} is no RFC 3339 time");
    }
}

fn root() -> Source {
    Source::Value("$".parse().unwrap())
}

fn scale(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::S => 1_000_000_000,
        TimeUnit::Ms => 1_000_000,
        TimeUnit::Us => 1_000,
        TimeUnit::Ns => 1,
    }
}

fn plan(kind: FieldKind, coerce: bool, timestamp: TimeSource) -> Plan {
    let field = Field { coerce, required: true, ..Field::new("v", root(), kind) };
    let rule = PointRule::new(Template(vec![Piece::Text("m".into())]), vec![field]);
    Plan::new(&PointRule { timestamp, ..rule }.into())
}

fn with_point<T>(
    data: &[u8],
    plan: &Plan,
    look: impl FnOnce(&Value<'_>, Timestamp) -> T,
) -> Result<T, Refusal> {
    let mut slots = vec![Slot::Missing; plan.paths().slots()];
    json::decode(data, plan.paths(), &mut slots)?;
    let (mut look, mut seen) = (Some(look), None);
    plan.points(&Bare(data), &slots, &mut Scratch::default(), &mut |point: &Point<'_>| {
        seen = look.take().map(|look| look(&point.fields[0].1, point.timestamp));
        Ok(())
    })?;
    Ok(seen.unwrap())
}

/// Against what `serde_json` has read.
fn is_wrong(value: &Value<'_>, document: &Json, coerce: bool) -> Option<String> {
    let right = match value {
        Value::Float(float) => {
            let number = float.to_f64();
            number.is_finite() && document.as_f64().is_none_or(|expected| is_near(number, expected))
        }
        Value::Integer(number) => document.as_i64().is_none_or(|expected| *number == expected),
        Value::Unsigned(number) => document.as_u64().is_none_or(|expected| *number == expected),
        Value::Boolean(truth) => document.as_bool().is_none_or(|expected| *truth == expected),
        Value::String(text) => document.as_str().is_none_or(|expected| text == expected),
        Value::Stale => document.is_null(),
        Value::NotFinite(_) => false,
    };
    let typed = match value {
        Value::Float(_) | Value::Integer(_) | Value::Unsigned(_) => document.is_number(),
        Value::Boolean(_) => document.is_boolean(),
        Value::String(_) => document.is_string(),
        Value::Stale | Value::NotFinite(_) => true,
    };
    (!right || !(typed || coerce)).then(|| format!("became {value:?}"))
}

/// `serde_json` is off by a unit in the last place, unless built to be exact.
fn is_near(number: f64, expected: f64) -> bool {
    (number - expected).abs() <= expected.abs() * 1e-15
}
