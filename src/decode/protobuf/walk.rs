//! The walk over a message's bytes that fills a mapping's slots, by the message's [`Plan`].
//!
//! It gives up where something is rare or wrong: a message in two parts that has a time in both, an entry of a map
//! without its key, whatever isn't of its type. Then the message is read whole, which says what counts.

use prost_reflect::Kind;

use super::plan::{Entry, Field, Map, Plan, Read, Type};
use crate::decode::tree::Value;
use crate::decode::wire::{self, Fields, zigzag};
use crate::decode::{Container, Slot};

/// Messages that hold each other deeper than this are read whole. The reader of Protobuf itself stops at 100.
const DEEPEST: usize = 64;

impl Plan {
    /// Fills slots that are empty. `None` where it gives up.
    pub(super) fn fill<'a>(&self, message: &'a [u8], slots: &mut [Slot<'a>]) -> Option<()> {
        self.walk(0, message, 0, slots)
    }

    fn walk<'a>(
        &self,
        of: usize,
        message: &'a [u8],
        depth: usize,
        slots: &mut [Slot<'a>],
    ) -> Option<()> {
        if depth == DEEPEST {
            return None;
        }
        let of = &self.types[of];
        let mut next = 0;
        for found in Fields(message) {
            let (number, found) = found.ok()?;
            let Some(field) = of.field(number, &mut next) else { continue };
            for &other in &field.others {
                slots[other].set(Slot::Missing);
            }
            if field.is_list && is_packed(&field.read, found)? {
                continue;
            }
            let slot = field.slot;
            match &field.read {
                Read::Message(within) => self.walk(*within, found.bytes()?, depth + 1, slots)?,
                Read::Map(map) => self.entry(map, found.bytes()?, depth + 1, slots)?,
                // Of another part of the same message only what it has would count.
                Read::Timestamp | Read::Duration
                    if slot.is_some_and(|slot| slots[slot] != Slot::Missing) =>
                {
                    return None;
                }
                // A value that is moved is waited for: it was written in other pieces.
                read => match (value(read, found, slot.is_some()), slot) {
                    (None, _) => return None,
                    (Some(_), None) => {}
                    (Some(value), Some(slot)) => slots[slot].set(value),
                },
            }
        }
        for (slot, default) in &of.defaults {
            if slots[*slot] == Slot::Missing {
                slots[*slot].set(default.clone());
            }
        }
        if let Some(slot) = of.slot {
            slots[slot].set(Slot::Container(Container::Object));
        }
        Some(())
    }

    /// Its key may stand behind its value, so that it is read twice.
    fn entry<'a>(
        &self,
        map: &Map,
        entry: &'a [u8],
        depth: usize,
        slots: &mut [Slot<'a>],
    ) -> Option<()> {
        self.walk(map.entry, entry, depth, slots)?;
        let (mut key, mut has_value) = (None, false);
        for found in Fields(entry) {
            match found.ok()? {
                (1, found) => key = Some(scalar(&map.key, found, true)?),
                (2, _) => has_value = true,
                _ => {}
            }
        }
        let key = match key? {
            Slot::Text(key) => key,
            Slot::Integer(key) => key.to_string().into(),
            Slot::Boolean(key) => key.to_string().into(),
            _ => return None,
        };
        let is_it = |wanted: &&Entry| *wanted.key == *key.as_bytes();
        let Some(wanted) = map.wanted.iter().find(is_it) else { return Some(()) };
        if wanted.needs_value && !has_value {
            return None;
        }
        for &slot in &wanted.slots {
            slots[slot].set(Slot::Missing);
        }
        self.walk(wanted.place, entry, depth, slots)
    }
}

impl Type {
    /// The field of a number; they mostly come in ascending order.
    fn field(&self, number: u32, next: &mut usize) -> Option<&Field> {
        let is_it = |field: &Field| field.number == number;
        let place = if self.fields.get(*next).is_some_and(is_it) {
            *next
        } else {
            self.fields.binary_search_by_key(&number, |field| field.number).ok()?
        };
        *next = place + 1;
        Some(&self.fields[place])
    }
}

/// What is no object. Of what isn't wanted no text is made.
#[inline]
fn value<'a>(read: &Read, found: wire::Field<'a>, is_wanted: bool) -> Option<Slot<'a>> {
    match read {
        Read::Scalar(kind) => scalar(kind, found, is_wanted),
        Read::Timestamp => {
            let (seconds, nanos) = seconds_and_nanos(found.bytes()?)?;
            let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
            Some(Value::time(nanos)?.into())
        }
        #[expect(clippy::cast_precision_loss, reason = "the seconds of a float")]
        Read::Duration => {
            let (seconds, nanos) = seconds_and_nanos(found.bytes()?)?;
            Some(Slot::Float(seconds as f64 + f64::from(nanos) / 1e9))
        }
        Read::Message(_) | Read::Map(_) => None,
    }
}

fn scalar<'a>(kind: &Kind, found: wire::Field<'a>, is_wanted: bool) -> Option<Slot<'a>> {
    #[expect(clippy::cast_possible_truncation, reason = "of a longer number the lower half counts")]
    let low = |number: u64| number as u32;
    Some(match (kind, found) {
        (Kind::Bool, wire::Field::Varint(number)) => Slot::Boolean(number != 0),
        (Kind::Int32, wire::Field::Varint(number)) => {
            Slot::Integer(low(number).cast_signed().into())
        }
        (Kind::Uint32, wire::Field::Varint(number)) => Slot::Integer(low(number).into()),
        (Kind::Sint32, wire::Field::Varint(number)) => Slot::Integer(zigzag(low(number).into())),
        (Kind::Int64, wire::Field::Varint(number))
        | (Kind::Sfixed64, wire::Field::Fixed64(number)) => Slot::Integer(number.cast_signed()),
        (Kind::Sint64, wire::Field::Varint(number)) => Slot::Integer(zigzag(number)),
        (Kind::Uint64, wire::Field::Varint(number))
        | (Kind::Fixed64, wire::Field::Fixed64(number)) => Value::whole(number.into()).into(),
        (Kind::Fixed32, wire::Field::Fixed32(number)) => Slot::Integer(number.into()),
        (Kind::Sfixed32, wire::Field::Fixed32(number)) => {
            Slot::Integer(number.cast_signed().into())
        }
        (Kind::Float, wire::Field::Fixed32(bits)) => Slot::Float(f32::from_bits(bits).into()),
        (Kind::Double, wire::Field::Fixed64(bits)) => Slot::Float(f64::from_bits(bits)),
        (Kind::String, found) => Slot::Text(found.text().ok()?.into()),
        (Kind::Bytes, wire::Field::Bytes(_)) | (Kind::Enum(_), wire::Field::Varint(_))
            if !is_wanted =>
        {
            Slot::Null
        }
        (Kind::Bytes, wire::Field::Bytes(bytes)) => Value::bytes(bytes).into(),
        (Kind::Enum(kind), wire::Field::Varint(number)) => {
            let number = low(number).cast_signed();
            match kind.get_value(number) {
                Some(known) => Slot::Text(known.name().to_owned().into()),
                None => Slot::Integer(number.into()),
            }
        }
        _ => return None,
    })
}

/// Whether the elements of a list are all in one field, as numbers may be. `None` if that holds something else.
fn is_packed(read: &Read, found: wire::Field<'_>) -> Option<bool> {
    let (Read::Scalar(kind), wire::Field::Bytes(bytes)) = (read, found) else { return Some(false) };
    let length = match kind {
        Kind::String | Kind::Bytes | Kind::Message(_) => return Some(false),
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 8,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 4,
        _ => {
            let mut numbers = Fields(bytes);
            while !numbers.0.is_empty() {
                numbers.varint().ok()?;
            }
            return Some(true);
        }
    };
    bytes.len().is_multiple_of(length).then_some(true)
}

/// What a `Timestamp` and a `Duration` hold. Their `nanos` are less than a second.
fn seconds_and_nanos(message: &[u8]) -> Option<(i64, i32)> {
    let (mut seconds, mut nanos) = (0, 0);
    for found in Fields(message) {
        match found.ok()? {
            #[expect(clippy::cast_possible_truncation, reason = "an `int32`'s lower half counts")]
            (2, field) => nanos = field.number()? as i32,
            (1, field) => seconds = field.number()?.cast_signed(),
            _ => {}
        }
    }
    (0..1_000_000_000).contains(&nanos).then_some((seconds, nanos))
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
