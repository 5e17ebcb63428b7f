//! A filter: only points that a condition holds of go on.

use std::borrow::Cow;

use super::Next;
use crate::decode::Refusal;
use crate::map::{Condition, Input};
use crate::point::{Float, Point, Value};

/// Lets points pass that a condition holds of.
#[derive(Debug, Clone)]
pub struct Filter {
    condition: Condition<Name>,
}

/// A part of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    Measurement,
    /// The field of this name, else the tag.
    Of(String),
}

impl Name {
    /// As it is written in a condition.
    pub fn new(written: &str) -> Self {
        match written {
            "measurement" => Self::Measurement,
            name => Self::Of(name.to_owned()),
        }
    }

    pub(super) fn value<'a>(&self, point: &'a Point<'_>) -> Input<'a> {
        let name = match self {
            Self::Measurement => return Input::Text(Cow::Borrowed(&point.measurement)),
            Self::Of(name) => name,
        };
        if let Some(value) = point.field(name) {
            return input(value);
        }
        // Text, because a tag has no type: beside a number, one that spells a number is that.
        point.tag(name).map_or(Input::Nothing, |value| Input::Untyped(Cow::Borrowed(value)))
    }
}

fn input<'a>(value: &'a Value<'_>) -> Input<'a> {
    match value {
        Value::Float(Float::Text(text)) => Input::Number(text),
        Value::Float(Float::Number(number)) => Input::Float(*number),
        Value::Integer(number) => Input::Integer(*number),
        Value::Unsigned(number) => Input::Unsigned(*number),
        Value::Boolean(boolean) => Input::Boolean(*boolean),
        Value::String(text) => Input::Text(Cow::Borrowed(text)),
        Value::NotFinite(number) => Input::Float(number.to_f64()),
        Value::Stale => Input::Nothing,
    }
}

impl Filter {
    /// Of points that this condition holds of.
    pub fn new(condition: Condition<Name>) -> Self {
        Self { condition }
    }

    pub(super) fn take(&self, point: Point<'_>, next: Next<'_>) -> Result<(), Refusal> {
        if self.condition.holds(&|name: &Name| Ok(name.value(&point))) {
            next(point)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::point::{Float, Point, Timestamp, Value};
    use crate::process::{Chain, Processor};
    use crate::record::Offset;

    /// Whether a point goes on.
    fn passes(condition: &str) -> bool {
        let text = format!(
            "{{ name: c, topics: [t], kafka: {{ bootstrap.servers: k }}, \
               point: {{ measurement: m, fields: {{ v: v }} }}, \
               process: [{{ filter: \"{condition}\" }}], sink: {{ blackhole: {{}} }} }}"
        );
        let environment = crate::config::Environment::new(|_| None, |_| Ok(String::new()));
        let shared = crate::config::Process::default();
        let file = std::path::Path::new("c.yaml");
        let config = crate::config::load_text(file, &text, &shared, &environment).unwrap();
        assert!(matches!(config.process[..], [Processor::Filter(_)]));
        let point = Point {
            measurement: "m".into(),
            tags: vec![("floor".into(), "3".into()), ("site".into(), "lab".into())],
            fields: vec![
                ("temperature".into(), Value::Float(Float::Text("21.50"))),
                ("site".into(), Value::String("hall".into())),
                ("on".into(), Value::Boolean(true)),
                ("cycles".into(), Value::Unsigned(u64::MAX)),
            ],
            timestamp: Timestamp::from_millis(0).unwrap(),
            to: "".into(),
        };
        let mut passed = false;
        let taken = Chain::new(&config.process).pass(("t", 0, Offset(0)), point, &mut |_| {
            passed = true;
            Ok(())
        });
        taken.unwrap();
        passed
    }

    #[test]
    fn a_condition_sees_fields_before_tags_and_the_measurement() {
        for yes in [
            "temperature > -50 and site != 'lab'",
            "temperature == 21.5 and floor == 3 and floor == '3'",
            "site == 'hall' and measurement == 'm'",
            "on and exists(cycles) and not exists(missing)",
            "cycles > 18446744073709000000",
            "measurement matches '^m$' and floor in [2, 3]",
        ] {
            assert!(passes(yes), "{yes}");
        }
        for no in ["temperature > 21.5", "missing != 1", "site == 'lab'", "not on", "floor > 3"] {
            assert!(!passes(no), "{no}");
        }
    }
}
