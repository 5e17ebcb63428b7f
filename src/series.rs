//! What tells series apart, for whoever remembers them.

use crate::hash;
use crate::point::{Point, Value};
use crate::words;

/// All that a point's items have besides its values and its time, as texts: its series, and the names and types of
/// its fields. Each has its length in front, since two may differ only in where one text ends.
///
/// It is one of two kinds, which are never the same: of a point that is there, or of a rule that would make
/// one. A rule's names are always the same, so its number stands for them.
#[derive(Debug, Clone, Default)]
pub struct SeriesKey {
    bytes: Vec<u8>,
    /// Of what the bytes are made of: to read bytes that have just been written in pieces takes its time.
    hash: u64,
    is_whole: bool,
}

/// No secret: who makes keys share their hashes makes them cost what they would if nothing were remembered.
const SEED: u64 = 0x7469_6465_6761_7465;
/// In the place of a rule's number.
const POINT: u16 = u16::MAX;

impl SeriesKey {
    /// There is none.
    pub fn clear(&mut self) {
        self.is_whole = false;
    }

    /// The key of a point.
    pub fn take_point(&mut self, point: &Point<'_>) {
        self.begin(POINT);
        self.push(&point.measurement);
        // So that no tag looks like a field.
        self.push_number(point.tags.len());
        for (name, value) in &point.tags {
            self.push(name);
            self.push(value);
        }
        for (name, value) in &point.fields {
            self.push(name);
            // A line has it behind the value's digits.
            let kind = match value {
                Value::Integer(_) => 1,
                Value::Unsigned(_) => 2,
                _ => 0,
            };
            self.push_number(kind);
            self.hash = self.hash.wrapping_add(kind as u64);
        }
    }

    /// The key of a point that the rule with this number would make. What follows must be as many texts as
    /// of any other point of the rule, and the fields that there are.
    pub fn begin_rule(&mut self, rule: usize) {
        match u16::try_from(rule) {
            Ok(rule) if rule != POINT => self.begin(rule),
            _ => self.clear(),
        }
    }

    fn begin(&mut self, rule: u16) {
        self.is_whole = true;
        self.bytes.clear();
        self.bytes.reserve(128);
        self.bytes.extend_from_slice(&rule.to_le_bytes());
        self.hash = SEED ^ u64::from(rule);
    }

    /// Adds a text.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.push_number(text.len());
        words::push(&mut self.bytes, text.as_bytes());
        self.hash = hash::add(self.hash, text.as_bytes());
    }

    /// Of what is longer there is no key.
    #[inline]
    fn push_number(&mut self, number: usize) {
        match u8::try_from(number) {
            Ok(number) => self.bytes.push(number),
            Err(_) => self.is_whole = false,
        }
    }

    /// Adds which of the fields there are, a bit each.
    #[inline]
    pub fn push_fields(&mut self, present: u64) {
        self.bytes.extend_from_slice(&present.to_le_bytes());
        self.hash ^= present.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    /// The key and its hash; `None` where there is none.
    #[inline]
    pub fn get(&self) -> Option<(&[u8], u64)> {
        self.is_whole.then_some((&self.bytes, self.hash))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::point::{Timestamp, Value};

    type Texts = (String, Vec<(String, String)>, Vec<(String, Value<'static>)>);

    /// Of few letters, one of which looks like a length, so that many differ only in where they are split.
    fn texts() -> impl Strategy<Value = Texts> {
        let text = || prop_oneof![30 => "[a\u{1}]{0,3}", 1 => "a{255}|a{256}"];
        let tags = prop::collection::vec((text(), text()), 0..3);
        let values = vec![Value::Boolean(true), Value::Integer(1), Value::Unsigned(1)];
        let field = (text(), prop::sample::select(values));
        (text(), tags, prop::collection::vec(field, 0..3))
    }

    fn key((measurement, tags, fields): &Texts) -> Option<(Vec<u8>, u64)> {
        let point = Point {
            measurement: measurement.into(),
            tags: tags.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            fields: fields.iter().map(|(name, value)| (name.into(), value.clone())).collect(),
            timestamp: Timestamp::from_nanos(0).unwrap(),
            to: "".into(),
        };
        let mut key = SeriesKey::default();
        key.take_point(&point);
        key.get().map(|(bytes, hash)| (bytes.to_vec(), hash))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn points_have_one_key_if_their_texts_and_types_are_the_same(one in texts(), other in texts()) {
            if let (Some((key, hash)), Some((other_key, other_hash))) = (key(&one), key(&other)) {
                prop_assert_eq!(key == other_key, one == other);
                prop_assert!(key != other_key || hash == other_hash);
            }
        }
    }

    #[test]
    fn fields_of_one_name_and_other_types_have_keys_of_their_own() {
        let values = [Value::Boolean(true), Value::Integer(1), Value::Unsigned(1)];
        let key = |value| key(&("m".into(), Vec::new(), vec![("f".into(), value)])).unwrap().0;
        let keys: std::collections::HashSet<_> = values.into_iter().map(key).collect();
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn what_is_too_long_for_its_length_has_no_key() {
        let series = |length| (String::from("m"), vec![("t".into(), "a".repeat(length))], vec![]);
        assert!(key(&series(255)).is_some() && key(&series(256)).is_none());
    }

    #[test]
    fn rules_have_keys_of_their_own() {
        let (mut key, mut keys) = (SeriesKey::default(), std::collections::HashSet::new());
        for (rule, fields) in [(0, 1), (0, 3), (1, 1), (65_534, 1)] {
            key.begin_rule(rule);
            key.push("a");
            key.push_fields(fields);
            assert!(keys.insert(key.get().unwrap().0.to_vec()), "{rule} {fields}");
        }
        key.begin_rule(usize::from(POINT));
        assert_eq!(key.get(), None);
    }
}
