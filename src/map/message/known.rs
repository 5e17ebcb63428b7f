//! A point of a series that may be known: its parts, of which it is not made.

use super::Message;
use crate::decode::Slot;
use crate::map::plan::{CompiledPiece, PointPlan};
use crate::map::{Scratch, TakePoints, convert};
use crate::point::{KnownValue, Timestamp, Value};
use crate::record::Record;
use crate::series::SeriesKey;

/// Which fields of a rule there are in a message, a bit each.
#[derive(Debug, Clone, Copy, Default)]
struct Present {
    /// Those whose slot has what is to be written.
    spelled: u64,
    others: u64,
}

fn bits() -> impl Iterator<Item = u64> + Clone {
    (0..64).map(|bit| 1 << bit)
}

impl<'a, R: Record + ?Sized> Message<'a, R> {
    /// Hands over a point without making it, if its series is known. Whatever is wrong with it is left to
    /// [`Message::point`] to say. Else there is the key that its series can be known by, if there can be one.
    pub(super) fn take_known(
        &self,
        rule: &'a PointPlan,
        key: &mut SeriesKey,
        scratch: &mut Scratch,
        points: &mut impl TakePoints,
    ) -> bool {
        let mut others = std::mem::take(&mut scratch.values);
        let taken = if let Some((present, timestamp)) = self.parts(rule, key, &mut others) {
            points.take_known(key, self.values(rule, present, &others), timestamp)
        } else {
            key.clear();
            false
        };
        scratch.values = others.into_iter().filter_map(Value::discarded).collect();
        taken
    }

    /// The parts of a point: its key, which of its fields there are, and its time. Of values that are more than
    /// digits, `others` has them.
    #[inline]
    fn parts(
        &self,
        rule: &'a PointPlan,
        key: &mut SeriesKey,
        others: &mut Vec<Value<'a>>,
    ) -> Option<(Present, Timestamp)> {
        // Of wildcards nobody knows the names; and there is a bit a field.
        if !rule.all_tags.is_empty() || !rule.all_fields.is_empty() || rule.fields.len() > 64 {
            return None;
        }
        key.begin_rule(rule.number);
        if !matches!(rule.measurement.0.as_slice(), [CompiledPiece::Text(_)]) {
            key.push(&self.measurement(rule).ok()?);
        }
        for tag in &rule.tags {
            // None is empty.
            key.push(self.tag(tag).ok()?.as_deref().unwrap_or_default());
        }
        let mut present = Present::default();
        for (field, bit) in rule.fields.iter().zip(bits()) {
            // What nearly every field is.
            if let Some(Slot::Number(number)) = self.slots.get(field.slot)
                && convert::is_spelled(*number, field.rule.kind)
            {
                present.spelled |= bit;
            } else if let Some(value) = self.field(field).ok()? {
                others.push(value);
                present.others |= bit;
            }
        }
        key.push_fields(present.spelled | present.others);
        Some((present, self.timestamp(rule).ok()?))
    }

    /// The values of a point's fields. Those that are spelled are read where they stand: what is copied about just
    /// after it was written makes the processor wait.
    #[inline]
    fn values<'v>(
        &self,
        rule: &'a PointPlan,
        present: Present,
        others: &'v [Value<'a>],
    ) -> impl Iterator<Item = KnownValue<'v>> + Clone
    where
        'a: 'v,
    {
        let (slots, mut others) = (self.slots, others.iter());
        rule.fields.iter().zip(bits()).filter_map(move |(field, bit)| match slots.get(field.slot) {
            Some(Slot::Number(number)) if present.spelled & bit != 0 => {
                Some(KnownValue::Spelled(number.text()))
            }
            _ if present.others & bit != 0 => others.next().map(KnownValue::Value),
            _ => None,
        })
    }
}
