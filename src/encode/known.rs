//! Series that came before, as an encoder has written them: another point of one costs a look and a copy,
//! where checks and escapes of all its texts cost several times as much.

use std::cell::Cell;

use crate::cardinality;
use crate::point::Point;
use crate::series::SeriesKey;
use crate::words::is_same;

/// What an encoder keeps of series, by [`SeriesKey`]. Bounded: a key has a choice of [`WAYS`] places, and takes
/// another's where all are taken.
#[derive(Debug)]
pub(super) struct Known<W> {
    /// More places are not made; a power of two.
    most: usize,
    /// Of the keys in each [`WAYS`] places: together in a line of the processor's cache.
    hashes: Vec<[u64; WAYS]>,
    places: Vec<Place<W>>,
    /// What is left of [`PATIENCE`].
    patience: Cell<u32>,
    /// What is left of [`PAUSE`].
    pause: u32,
}

/// One series. In as few lines of the processor's cache as it fits in: of many series they are far away.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
pub(super) struct Place<W> {
    /// The key, and behind it what the encoder has written: of many series neither is near the processor, and together
    /// they are reached by one way.
    bytes: Vec<u8>,
    /// The length of the key; zero where there is none.
    key_len: usize,
    /// What the guard over cardinality knows it by.
    pub(super) guarded: cardinality::Key,
    /// What the encoder knows of what is written.
    pub(super) written: W,
}

impl<W> Place<W> {
    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len]
    }

    /// What the encoder has written.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.key_len..]
    }
}

const WAYS: usize = 8;
/// Longer keys are not kept, in bytes.
const LONGEST: usize = 512;
/// Each series that takes another's place takes [`MISS`] of it and each that is found gives back [`HIT`]: a point of a
/// known series gains some three times what it costs to look for one in vain, and to keep it.
const PATIENCE: u32 = 512;
const HIT: u32 = 3;
const MISS: u32 = 1;
/// Once none is left, so many points are written without a look: there are too many series in turn.
const PAUSE: u32 = 16_384;

impl<W: Clone + Default> Known<W> {
    /// Of so many series at most.
    pub(super) fn new(most: usize) -> Self {
        debug_assert!(most.is_power_of_two() && most >= WAYS, "a mask chooses the places");
        let patience = Cell::new(PATIENCE);
        Self { most, hashes: Vec::new(), places: Vec::new(), patience, pause: 0 }
    }

    /// Whether the next point is worth a look.
    #[inline]
    pub(super) fn is_on(&mut self) -> bool {
        let is_on = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        is_on
    }

    /// The series of this key.
    #[inline]
    pub(super) fn find(&self, key: &SeriesKey) -> Option<&Place<W>> {
        let (key, hash) = key.get()?;
        let set = self.set(hash);
        let choice = self.places.get(set * WAYS + first_choice(hash))?;
        let place =
            if is_same(choice.key(), key) { choice } else { self.elsewhere(set, hash, key)? };
        self.patience.set(PATIENCE.min(self.patience.get() + HIT));
        Some(place)
    }

    /// The same of a series that another has come before in its first choice.
    #[inline(never)]
    fn elsewhere(&self, set: usize, hash: u64, key: &[u8]) -> Option<&Place<W>> {
        let way = self.hashes.get(set)?.iter().position(|known| *known == hash)?;
        self.places.get(set * WAYS + way).filter(|place| is_same(place.key(), key))
    }

    /// A place for the key of a point, with what the encoder knew of another series, and a vector that it is to append
    /// what is written to, of so many bytes. `None` where the series is not to be kept.
    #[cold]
    pub(super) fn learn(
        &mut self,
        key: &SeriesKey,
        point: &Point<'_>,
        len: usize,
    ) -> Option<(&mut Vec<u8>, &mut W)> {
        let (key, hash) = key.get()?;
        if key.len() > LONGEST {
            return None;
        }
        if self.places.is_empty() {
            self.places.resize(self.most, Place::default());
            self.hashes.resize(self.most / WAYS, [0; WAYS]);
        }
        let set = self.set(hash);
        let hashes = self.hashes.get_mut(set)?;
        let places = self.places.get_mut(set * WAYS..(set + 1) * WAYS)?;
        let (own, choice) = (hashes.iter().position(|known| *known == hash), first_choice(hash));
        let is_free = |way: &usize| places[*way].key_len == 0;
        let free = || std::iter::once(choice).chain(0..WAYS).find(is_free);
        let way = own.or_else(free).unwrap_or_else(|| {
            self.patience.set(self.patience.get().saturating_sub(MISS));
            choice
        });
        if self.patience.get() == 0 {
            (self.patience, self.pause) = (Cell::new(PATIENCE), PAUSE);
            return None;
        }
        hashes[way] = hash;
        let place = &mut places[way];
        make_room(&mut place.bytes, key.len() + len);
        place.bytes.extend_from_slice(key);
        place.key_len = key.len();
        place.guarded = cardinality::Key::of(point);
        Some((&mut place.bytes, &mut place.written))
    }

    /// The first of the places that a hash may be at, by [`WAYS`].
    #[inline]
    fn set(&self, hash: u64) -> usize {
        usize::try_from(hash & (self.most / WAYS - 1) as u64).unwrap_or_default()
    }
}

/// Which of its places a series takes if it can, so that it is mostly found at the first look. Of the upper half of the
/// hash: the lower one has chosen the places.
#[inline]
fn first_choice(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default() % WAYS
}

/// Empties a vector, and makes room for so many elements, with some to spare: what takes another's place again and
/// again is to do without an allocation.
pub(super) fn make_room<T>(vector: &mut Vec<T>, elements: usize) {
    vector.clear();
    vector.reserve_exact(elements.next_power_of_two().max(8).max(64 / size_of::<T>()));
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::point::Timestamp;

    fn point() -> Point<'static> {
        Point {
            measurement: "m".into(),
            tags: Vec::new(),
            fields: Vec::new(),
            timestamp: Timestamp::from_nanos(0).unwrap(),
            to: "".into(),
        }
    }

    fn key(text: &str) -> SeriesKey {
        let mut key = SeriesKey::default();
        key.begin_rule(0);
        key.push(text);
        key
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_series_is_found_again_and_only_by_its_own_key(keys in prop::collection::vec(0..40_u32, 1..400)) {
            let mut known = Known::new(16);
            let mut last = HashMap::new();
            for (round, number) in (0_u32..).zip(keys) {
                let text = number.to_string();
                let key = key(&text);
                if let Some(place) = known.find(&key) {
                    prop_assert_eq!(Some(&place.written), last.get(&text));
                }
                *known.learn(&key, &point(), 0).unwrap().1 = round;
                last.insert(text, round);
                prop_assert_eq!(known.find(&key).map(|place| place.written), Some(round));
            }
            // 16 places, and 40 keys.
            let still = last.keys().filter(|text| known.find(&key(text)).is_some()).count();
            prop_assert!(still <= 16 && still >= last.len().min(8));
        }
    }

    #[test]
    fn too_many_series_in_turn_are_not_looked_for_and_kept_all_the_time() {
        let mut known = Known::<u32>::new(16);
        let mut looks = |series: u32| {
            let look = |n: u32| {
                let is_on = known.is_on();
                let key = key(&(n % series).to_string());
                if is_on && known.find(&key).is_none() {
                    known.learn(&key, &point(), 0);
                }
                is_on
            };
            (0..10 * PAUSE).map(look).filter(|is_on| *is_on).count()
        };
        assert_eq!(looks(8), 10 * PAUSE as usize);
        assert!(
            looks(1000) < PAUSE as usize,
            "some are looked for, in case that there are fewer again"
        );
        looks(8);
        assert_eq!(looks(8), 10 * PAUSE as usize);
    }

    #[test]
    fn a_key_that_is_too_long_is_not_kept() {
        let mut known = Known::<u32>::new(16);
        let mut key = key("");
        while key.get().unwrap().0.len() <= LONGEST {
            assert!(known.learn(&key, &point(), 0).is_some());
            key.push("aa");
        }
        assert!(known.learn(&key, &point(), 0).is_none());
    }
}
