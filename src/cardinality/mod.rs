//! Cardinality: how many series the points are of and how many values each tag has, before a database has to
//! hold them; and points that overwrite each other there.
//!
//! A point of a series that came lately costs a hash and a look. Only a series that is new, or was long away,
//! is taken in: [`Sketch`]es estimate how many there were, and where limits are set, exact sets of hashes tell
//! what is new. All is of one process, since its start.

mod sketch;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use tracing::warn;

use crate::config::raw::OverLimit;
use crate::dead_letter::{ReasonKind, Reject, Stage};
use crate::decode::Refusal;
use crate::decode::points::Line;
use crate::hash;
use crate::point::{Point, Timestamp};
use crate::record::Offset;
use sketch::Sketch;

/// What is said of many series, and done about more values than a tag may have; checked.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Series from which on the log warns; at each doubling again.
    pub warn_at: u64,
    /// Beyond it, a record of a new series is rejected.
    pub max_series: Option<NonZeroUsize>,
    /// Of every tag that `tags` doesn't name.
    pub max_tag_values: Option<NonZeroUsize>,
    pub tags: BTreeMap<String, NonZeroUsize>,
    pub over_limit: OverLimit,
}

/// What a connector's workers have found together. Cheap to clone: each clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Cardinality(Arc<Found>);

#[derive(Debug, Default)]
struct Found {
    series: Sketch,
    /// By tag; no more than [`MOST_TAGS`].
    tags: Mutex<BTreeMap<String, Arc<Values>>>,
    /// Where series are limited.
    known_series: Mutex<HashSet<u64>>,
    /// The estimate from which on the log warns next; 0 before the first point.
    warn_at: AtomicU64,
    colliding: Counter,
    over_limit: Counter,
    told_collision: AtomicBool,
    told_limit: AtomicBool,
}

/// Of one tag.
#[derive(Debug, Default)]
struct Values {
    sketch: Sketch,
    /// Where they are limited.
    known: Mutex<HashSet<u64>>,
}

/// More tags than this are tags made of data; the rest is not counted by name.
const MOST_TAGS: usize = 64;
/// The value that stands for all that are over the limit.
const OTHER: &str = "other";

impl Cardinality {
    /// Series since the start, about.
    pub fn series(&self) -> u64 {
        self.0.series.estimate()
    }

    /// How many values each tag has had since the start, about.
    pub fn tags(&self) -> Vec<(String, u64)> {
        let tags = lock(&self.0.tags);
        tags.iter().map(|(name, values)| (name.clone(), values.sketch.estimate())).collect()
    }

    /// Points whose series and time the series' last point had already.
    pub fn colliding(&self) -> &Counter {
        &self.0.colliding
    }

    /// Points whose tag was left out or folded, or whose record was rejected, by a limit.
    pub fn over_limit(&self) -> &Counter {
        &self.0.over_limit
    }
}

/// Where a point comes from: the same at every replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub offset: Offset,
    /// Its place among the points of its record.
    pub index: u32,
}

/// One worker's guard, through which its points pass.
#[derive(Debug)]
pub struct Guard {
    connector: String,
    rules: Rules,
    found: Arc<Found>,
    /// By hash; each takes the place of another.
    recent: Vec<Recent>,
    /// Those of `found`, without a lock.
    tags: Vec<(String, Arc<Values>)>,
    /// New series until the next look at the estimate.
    until_look: u32,
}

/// A series with its first field, by hash: points of other fields of one time are together, not instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Key(u64);

impl Key {
    /// Of a point.
    pub(crate) fn of(point: &Point<'_>) -> Self {
        let series = series_hash(point);
        Self(point.fields.first().map_or(series, |(name, _)| hash::add(series, name.as_bytes())))
    }

    /// Of a line, by its text up to the end of the first field's name.
    fn of_line(head: &str) -> Self {
        Self(hash::add(SEED, head.as_bytes()))
    }

    /// Where it may stand.
    fn ways(self) -> Range<usize> {
        let first = usize::try_from(self.0 >> 32).unwrap_or_default() % (RECENT / WAYS) * WAYS;
        first..first + WAYS
    }

    /// Which of them it takes if it can, so that it is mostly found at the first look.
    fn first_choice(self) -> usize {
        self.0.to_le_bytes()[0] as usize % WAYS
    }
}

/// A series that came lately, and its last point. Two fit in a line of the processor's cache.
#[derive(Debug, Clone, Copy)]
struct Recent {
    key: Key,
    timestamp: Timestamp,
    /// Before all offsets, where nothing has come.
    origin: Origin,
}

// What is said of lines and of memory rests on it; with an `Option` in it, it was 40.
const _: () = assert!(size_of::<Recent>() == 32);

impl Recent {
    const NOTHING: Self = Self {
        key: Key(0),
        timestamp: Timestamp::EPOCH,
        origin: Origin { offset: Offset(-1), index: 0 },
    };

    fn is_free(&self) -> bool {
        self.origin == Self::NOTHING.origin
    }

    /// Whether another point has the series' last time: the same one may be read again.
    fn collides(&self, timestamp: Timestamp, origin: Origin) -> bool {
        self.timestamp == timestamp && self.origin != origin
    }

    fn see(&mut self, timestamp: Timestamp, origin: Origin) {
        (self.timestamp, self.origin) = (timestamp, origin);
    }
}

/// A series has a choice of so many places.
const WAYS: usize = 4;
/// 256 KiB a worker.
const RECENT: usize = 1 << 13;
/// To estimate takes as long as some hundred points.
const LOOK_EVERY: u32 = 256;
/// Texts of one process and the next need not hash alike, but all workers of one must.
const SEED: u64 = 0x7469_6465_6761_7465;

impl Guard {
    pub fn new(connector: &str, rules: Rules, cardinality: &Cardinality) -> Self {
        Self {
            connector: connector.into(),
            rules,
            found: Arc::clone(&cardinality.0),
            recent: vec![Recent::NOTHING; RECENT],
            tags: Vec::new(),
            until_look: LOOK_EVERY,
        }
    }

    /// Looks at a point before it is encoded. What it gives is to be written instead, where a limit says so.
    ///
    /// # Errors
    /// A rejected record, where a limit says so.
    #[inline]
    pub fn take<'a>(
        &mut self,
        point: &Point<'a>,
        origin: Origin,
    ) -> Result<Option<Point<'a>>, Refusal> {
        let key = Key::of(point);
        if self.knows(key, point.timestamp, origin, &|| shown(point)) {
            return Ok(None);
        }
        self.admit(key, point, origin)
    }

    /// The same of a line that is copied, which becomes a point only where its series is new.
    #[inline]
    pub fn take_line<'a>(
        &mut self,
        text: &'a str,
        line: &Line,
        timestamp: Timestamp,
        origin: Origin,
    ) -> Result<Option<Point<'a>>, Refusal> {
        let head = line.head(text);
        let key = Key::of_line(head);
        if self.knows(key, timestamp, origin, &|| head.to_owned()) {
            return Ok(None);
        }
        self.admit(key, &line.point(text, timestamp)?, origin)
    }

    /// Whether a point may pass of which no more is known than the key of its series: one that came lately, of
    /// another time.
    #[inline]
    pub fn lets_pass(&mut self, key: Key, timestamp: Timestamp, origin: Origin) -> bool {
        let Some(place) = self.find(key) else { return false };
        if place.collides(timestamp, origin) {
            return false;
        }
        place.see(timestamp, origin);
        true
    }

    #[inline]
    fn find(&mut self, key: Key) -> Option<&mut Recent> {
        let ways = &mut self.recent[key.ways()];
        let choice = key.first_choice();
        let way = if ways[choice].key == key {
            choice
        } else {
            ways.iter().position(|place| place.key == key)?
        };
        Some(&mut ways[way])
    }

    /// Whether a series came lately; a point that collides with its last one is counted.
    #[inline]
    fn knows(
        &mut self,
        key: Key,
        timestamp: Timestamp,
        origin: Origin,
        shown: &dyn Fn() -> String,
    ) -> bool {
        let Some(place) = self.find(key) else { return false };
        let collides = place.collides(timestamp, origin);
        place.see(timestamp, origin);
        if collides {
            self.collided(timestamp, &shown());
        }
        true
    }

    #[cold]
    fn collided(&self, timestamp: Timestamp, series: &str) {
        self.found.colliding.inc();
        if !self.found.told_collision.swap(true, Ordering::Relaxed) {
            warn!(
                connector = self.connector,
                series,
                timestamp = timestamp.nanos(),
                "two points of one series have one time, so the database keeps the last; set \
                 `timestamp: {{ disambiguate: offset }}`, or add a tag that tells them apart"
            );
        }
    }

    /// Takes in a series that [`Self::knows`] does not; otherwise as [`Self::take`].
    #[cold]
    fn admit<'a>(
        &mut self,
        key: Key,
        point: &Point<'a>,
        origin: Origin,
    ) -> Result<Option<Point<'a>>, Refusal> {
        let changed = self.within_tag_limits(point)?;
        let written = changed.as_ref().unwrap_or(point);
        let series = series_hash(written);
        self.within_series_limit(series, written)?;
        self.found.series.add(series);
        for (name, value) in &written.tags {
            if let Some(values) = self.values_of(name) {
                values.sketch.add(hash::add(SEED, value.as_bytes()));
            }
        }
        // A series over a limit is looked at each time, but is written as one that may be known.
        let key = changed.as_ref().map_or(key, Key::of);
        if changed.is_none() || !self.knows(key, written.timestamp, origin, &|| shown(written)) {
            let ways = &mut self.recent[key.ways()];
            let choice = key.first_choice();
            // One that is free, if there is one: series that take each other's place cost as if they were new.
            let free = std::iter::once(choice).chain(0..WAYS).find(|way| ways[*way].is_free());
            let timestamp = written.timestamp;
            ways[free.unwrap_or(choice)] = Recent { key, timestamp, origin };
        }
        self.look();
        Ok(changed)
    }

    /// The point as a limit wants it, where that is not as it is.
    fn within_tag_limits<'a>(&mut self, point: &Point<'a>) -> Result<Option<Point<'a>>, Refusal> {
        if self.rules.max_tag_values.is_none() && self.rules.tags.is_empty() {
            return Ok(None);
        }
        let mut over = Vec::new();
        for (name, value) in &point.tags {
            let limit = self.rules.tags.get(&**name).copied().or(self.rules.max_tag_values);
            let Some(limit) = limit else { continue };
            let Some(values) = self.values_of(name) else { continue };
            if !values.takes(hash::add(SEED, value.as_bytes()), limit) {
                over.push((name, limit));
            }
        }
        let Some(&(name, limit)) = over.first() else { return Ok(None) };
        self.tell_over(&format!("tag {name} has more than {limit} values"));
        match self.rules.over_limit {
            OverLimit::Reject => Err(rejected(format!(
                "tag {name}: a new value, and {limit} are the most (`cardinality`)"
            ))),
            OverLimit::DropTag => {
                let mut point = point.clone();
                point.tags.retain(|(name, _)| !over.iter().any(|(over, _)| *over == name));
                Ok(Some(point))
            }
            OverLimit::Other => {
                let mut point = point.clone();
                for (name, value) in &mut point.tags {
                    if over.iter().any(|(over, _)| *over == name) {
                        *value = Cow::Borrowed(OTHER);
                    }
                }
                Ok(Some(point))
            }
        }
    }

    fn within_series_limit(&self, series: u64, point: &Point<'_>) -> Result<(), Refusal> {
        let Some(limit) = self.rules.max_series else { return Ok(()) };
        if takes(&mut lock(&self.found.known_series), series, limit) {
            return Ok(());
        }
        self.tell_over(&format!("there are more than {limit} series"));
        Err(rejected(format!(
            "{} is a new series, and {limit} are the most (`cardinality.max_series`)",
            shown(point)
        )))
    }

    fn tell_over(&self, what: &str) {
        self.found.over_limit.inc();
        if !self.found.told_limit.swap(true, Ordering::Relaxed) {
            warn!(
                connector = self.connector,
                "{what}: new ones are treated as `cardinality` says, and counted in \
                 tidegate_cardinality_over_limit_total"
            );
        }
    }

    fn values_of(&mut self, name: &str) -> Option<Arc<Values>> {
        if let Some((_, values)) = self.tags.iter().find(|(known, _)| known == name) {
            return Some(Arc::clone(values));
        }
        let mut all = lock(&self.found.tags);
        if all.len() >= MOST_TAGS && !all.contains_key(name) {
            return None;
        }
        let values = Arc::clone(all.entry(name.into()).or_default());
        self.tags.push((name.into(), Arc::clone(&values)));
        Some(values)
    }

    /// Warns when there have become too many series.
    fn look(&mut self) {
        self.until_look -= 1;
        if self.until_look > 0 {
            return;
        }
        self.until_look = LOOK_EVERY;
        let series = self.found.series.estimate();
        let warned = self.found.warn_at.load(Ordering::Relaxed).max(self.rules.warn_at);
        if series < warned
            || self.found.warn_at.swap(series.saturating_mul(2), Ordering::Relaxed) > series
        {
            return;
        }
        let mut tags = Cardinality(Arc::clone(&self.found)).tags();
        tags.sort_by_key(|(_, values)| std::cmp::Reverse(*values));
        let most = tags.first().map(|(name, values)| format!("{name} ({values} values)"));
        warn!(
            connector = self.connector,
            series,
            tag = most.unwrap_or_default(),
            "so many series are slow and dear in most databases; take the tag with the most values for a \
             field instead, or limit it with `cardinality`"
        );
    }
}

impl Values {
    /// Whether the value is known, or there is room for it.
    fn takes(&self, hash: u64, limit: NonZeroUsize) -> bool {
        takes(&mut lock(&self.known), hash, limit)
    }
}

fn takes(known: &mut HashSet<u64>, hash: u64, limit: NonZeroUsize) -> bool {
    if known.len() < limit.get() {
        known.insert(hash);
        return true;
    }
    known.contains(&hash)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn series_hash(point: &Point<'_>) -> u64 {
    let measurement = hash::add(SEED, point.measurement.as_bytes());
    let with = |series, text: &str| hash::add(series, text.as_bytes());
    point.tags.iter().fold(measurement, |series, (name, value)| with(with(series, name), value))
}

/// A series as people write it.
fn shown(point: &Point<'_>) -> String {
    let tags = point.tags.iter().map(|(name, value)| format!(",{name}={value}"));
    std::iter::once(point.measurement.to_string()).chain(tags).collect()
}

fn rejected(reason: String) -> Refusal {
    Reject::new(Stage::Map, ReasonKind::TooManySeries, reason).into()
}
