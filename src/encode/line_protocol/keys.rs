//! Series keys that came before, as they stand in a line: a point of a known series costs a hash, a
//! comparison and a copy, where checks and escapes of all its texts cost several times as much.

use std::borrow::Cow;

use crate::hash;
use crate::point::Point;
use crate::words::is_same;

/// Measurements with their tags. Bounded: a key has a choice of [`WAYS`] places, and takes another's
/// where all are taken; 2.2 MiB at most, by the length below.
#[derive(Debug, Default)]
pub(super) struct Keys {
    places: Vec<Place>,
}

#[derive(Debug, Clone, Default)]
struct Place {
    hash: u64,
    /// The key as it is written, and behind it the texts that it is of, each with its length in front:
    /// two series may be written of texts that differ only in where one ends and the next begins.
    bytes: Vec<u8>,
    /// Where the texts begin.
    texts: usize,
}

const WAYS: usize = 4;
const PLACES: usize = 4096;
/// What is longer is not kept, in bytes. Each text is in them twice, so that its length fits one byte.
const LONGEST: usize = 512;
/// No secret: who makes series share their places makes them cost what they would without a place.
const SEED: u64 = 0x7469_6465_6761_7465;

impl Keys {
    /// Of the measurement and the tags' values; whether the names are the same, only [`Self::find`] says.
    #[inline]
    pub(super) fn hash(point: &Point<'_>) -> u64 {
        let measurement = hash::add(SEED, point.measurement.as_bytes());
        let with = |hash, (_, value): &(_, Cow<'_, str>)| hash::add(hash, value.as_bytes());
        point.tags.iter().fold(measurement, with)
    }

    /// The point's key as it was written.
    #[inline]
    pub(super) fn find(&self, point: &Point<'_>, hash: u64) -> Option<&[u8]> {
        let places = self.places.get(first_way(hash)..)?.first_chunk::<WAYS>()?;
        let place = places.iter().find(|place| place.hash == hash)?;
        let (written, texts) = place.bytes.split_at_checked(place.texts)?;
        is_of(texts, point).then_some(written)
    }

    /// Keeps the point's key for the next time.
    #[cold]
    pub(super) fn learn(&mut self, point: &Point<'_>, hash: u64, written: &[u8]) {
        let texts = texts(point);
        let length = texts.clone().map(|text| 1 + text.len()).sum::<usize>() + written.len();
        if length > LONGEST {
            return;
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, Place::default());
        }
        let first = first_way(hash);
        let Some(places) = self.places.get_mut(first..first + WAYS) else { return };
        // Places fill in order, so that a key's own comes before the first that is free.
        let own = places.iter().position(|place| place.hash == hash || place.bytes.is_empty());
        // The upper half of the hash: the lower one has chosen the places.
        let other = usize::try_from(hash >> 32).unwrap_or_default() % WAYS;
        let Some(place) = places.get_mut(own.unwrap_or(other)) else { return };
        place.hash = hash;
        place.texts = written.len();
        place.bytes.clear();
        // With some to spare: keys that take each other's place are to do without an allocation.
        place.bytes.reserve_exact(length.next_power_of_two().max(128));
        place.bytes.extend_from_slice(written);
        for text in texts {
            place.bytes.extend(u8::try_from(text.len()));
            place.bytes.extend_from_slice(text.as_bytes());
        }
    }
}

fn first_way(hash: u64) -> usize {
    usize::try_from(hash % (PLACES / WAYS) as u64).unwrap_or_default() * WAYS
}

/// The measurement, and each tag's name and value.
fn texts<'p>(point: &'p Point<'_>) -> impl Iterator<Item = &'p str> + Clone {
    let tags = point.tags.iter().flat_map(|(name, value)| [&**name, &**value]);
    std::iter::once(&*point.measurement).chain(tags)
}

/// Whether these are the point's texts.
#[inline]
fn is_of(texts: &[u8], point: &Point<'_>) -> bool {
    let tags = || {
        let mut rest = behind(texts, &point.measurement)?;
        for (name, value) in &point.tags {
            rest = behind(behind(rest, name)?, value)?;
        }
        Some(rest)
    };
    tags().is_some_and(<[u8]>::is_empty)
}

/// The texts behind the first, if that is this one.
#[inline]
fn behind<'t>(texts: &'t [u8], text: &str) -> Option<&'t [u8]> {
    let (length, rest) = texts.split_first()?;
    if usize::from(*length) != text.len() {
        return None;
    }
    let (known, rest) = rest.split_at_checked(text.len())?;
    is_same(known, text.as_bytes()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::point::Timestamp;

    /// Of few letters, one of which looks like a length, so that texts repeat, and that many differ only in
    /// where they are split.
    fn series() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
        let text = || prop_oneof![9 => "[a\u{1}]{0,5}", 1 => "a{80}|a{240}|a{300}"];
        (text(), prop::collection::vec((text(), text()), 0..3))
    }

    fn point((measurement, tags): &(String, Vec<(String, String)>)) -> Point<'_> {
        Point {
            measurement: measurement.into(),
            tags: tags.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            fields: Vec::new(),
            timestamp: Timestamp::from_nanos(0).unwrap(),
            to: "".into(),
        }
    }

    proptest! {
        #[test]
        fn a_key_is_found_again_and_only_for_its_own_series(
            // All of one set of places, more than there are, and most of them shared.
            points in prop::collection::vec((series(), 0..8_u64), 1..200),
        ) {
            let mut keys = Keys::default();
            for (series, number) in &points {
                let (point, hash) = (point(series), number << 32);
                let written = format!("{series:?}");
                if let Some(found) = keys.find(&point, hash) {
                    prop_assert_eq!(found, written.as_bytes());
                    continue;
                }
                keys.learn(&point, hash, written.as_bytes());
                let length = texts(&point).map(|text| 1 + text.len()).sum::<usize>() + written.len();
                let kept = (length <= 512).then_some(written.as_bytes());
                prop_assert_eq!(keys.find(&point, hash), kept);
            }
        }
    }
}
