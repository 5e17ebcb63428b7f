//! What a processor remembers, by series.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::rejected;
use super::values::expired;
use crate::dead_letter::ReasonKind;
use crate::decode::Refusal;
use crate::point::{Point, Timestamp};

/// A small `S` for each series of a partition: a measurement with its tags.
///
/// What was last touched at `clock - horizon` or before is as if it had never been, whether or not it
/// has been let go yet. So what comes out depends on the partition's records within the horizon alone,
/// and a map that was rebuilt from them is as good as the one that was lost.
#[derive(Debug, Clone)]
pub(super) struct Series<S> {
    horizon: Duration,
    /// More are not remembered at a time.
    most: NonZeroUsize,
    entries: HashMap<Box<[u8]>, Entry<S>>,
    /// The key of the point at hand: memory that is used again.
    key: Vec<u8>,
    /// All that has expired by this time has been let go, in nanoseconds.
    swept: i64,
    /// No entry expires before this time does.
    next_to_expire: i64,
}

#[derive(Debug, Clone)]
struct Entry<S> {
    /// The newest event time that it has seen.
    newest: i64,
    state: S,
}

impl<S: Default> Series<S> {
    pub(super) fn new(horizon: Duration, most: NonZeroUsize) -> Self {
        let (entries, key) = (HashMap::new(), Vec::new());
        Self { horizon, most, entries, key, swept: i64::MIN, next_to_expire: i64::MAX }
    }

    /// Hands what is remembered of the point's series to `with`: a fresh `S` where there is nothing, or
    /// where that has expired.
    ///
    /// # Errors
    /// When it is a new series, and there are as many live ones as there may be.
    pub(super) fn with<T>(
        &mut self,
        point: &Point<'_>,
        clock: Timestamp,
        with: impl FnOnce(&mut S) -> T,
    ) -> Result<T, Refusal> {
        let (time, expired) = (point.timestamp.nanos(), expired(clock, self.horizon));
        // Once a horizon, so that memory comes free although nothing needs the room.
        if self.swept <= expired.saturating_sub(clock.nanos() - expired) {
            self.sweep(expired);
        }
        write_key(&mut self.key, point);
        if let Some(entry) = self.entries.get_mut(self.key.as_slice()) {
            if entry.newest <= expired {
                *entry = Entry { newest: time, state: S::default() };
            }
            entry.newest = entry.newest.max(time);
            return Ok(with(&mut entry.state));
        }
        let mut entry = Entry { newest: time, state: S::default() };
        // What comes too late to be remembered needs no room.
        if time <= expired {
            return Ok(with(&mut entry.state));
        }
        self.make_room(expired)?;
        let result = with(&mut entry.state);
        self.next_to_expire = self.next_to_expire.min(time);
        self.entries.insert(self.key.as_slice().into(), entry);
        Ok(result)
    }

    fn make_room(&mut self, expired: i64) -> Result<(), Refusal> {
        if self.entries.len() >= self.most.get() && self.next_to_expire <= expired {
            self.sweep(expired);
        }
        if self.entries.len() < self.most.get() {
            return Ok(());
        }
        Err(rejected(
            ReasonKind::TooManySeries,
            format!(
                "its series is new, and {} series are remembered already, which is the limit \
             (`max_series`)",
                self.most
            ),
        ))
    }

    fn sweep(&mut self, expired: i64) {
        self.entries.retain(|_, entry| entry.newest > expired);
        let newest = self.entries.values().map(|entry| entry.newest);
        self.next_to_expire = newest.min().unwrap_or(i64::MAX);
        self.swept = expired;
    }
}

/// Where a point goes is of its series. Tags are sorted, and no text has a byte of 255 in it.
pub(super) fn write_key(key: &mut Vec<u8>, point: &Point<'_>) {
    key.clear();
    key.extend_from_slice(point.to.as_bytes());
    key.push(0xff);
    key.extend_from_slice(point.measurement.as_bytes());
    for (name, value) in &point.tags {
        for text in [name, value] {
            key.push(0xff);
            key.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::{line, time};

    fn series() -> Series<u32> {
        Series::new(Duration::from_nanos(10), NonZeroUsize::new(2).unwrap())
    }

    /// What a series has been asked for so often by now.
    fn count(series: &mut Series<u32>, name: &str, at: i64, clock: i64) -> Result<u32, Refusal> {
        series.with(&line(&format!("{name} v=1 {at}")), time(clock), |count| {
            *count += 1;
            *count
        })
    }

    #[test]
    fn what_has_expired_is_as_if_it_had_never_been() {
        let mut series = series();
        assert_eq!(count(&mut series, "a", 100, 100), Ok(1));
        assert_eq!(count(&mut series, "a", 105, 109), Ok(2));
        assert_eq!(count(&mut series, "a", 101, 114), Ok(3), "late, and 105 is within 10 of 114");
        assert_eq!(count(&mut series, "a", 115, 115), Ok(1), "105 is not within 10 of 115");
    }

    #[test]
    fn a_series_is_its_measurement_and_all_its_tags() {
        let mut series = Series::new(Duration::from_nanos(10), NonZeroUsize::new(99).unwrap());
        for name in ["a", "a,t=b", "a,t=c", "a,t=b,u=c", "a,tb=c", "at"] {
            assert_eq!(count(&mut series, name, 100, 100), Ok(1), "{name}");
        }
        assert_eq!(count(&mut series, "a,u=c,t=b", 100, 100), Ok(2));
    }

    #[test]
    fn a_new_series_beyond_the_limit_is_rejected_until_another_has_expired() {
        let mut series = series();
        assert_eq!(count(&mut series, "a", 100, 100), Ok(1));
        assert_eq!(count(&mut series, "b", 105, 105), Ok(1));
        let Err(Refusal::Rejected(reject)) = count(&mut series, "c", 106, 106) else {
            panic!("there is no room for a third")
        };
        assert!(reject.reason.contains("2 series") && reject.reason.contains("max_series"));
        assert_eq!(count(&mut series, "c", 95, 106), Ok(1), "too late to need room");
        assert_eq!(count(&mut series, "a", 106, 106), Ok(2), "one that is known");
        assert!(count(&mut series, "c", 114, 114).is_err());
        assert_eq!(count(&mut series, "c", 115, 115), Ok(1), "b has expired");
        assert_eq!(count(&mut series, "a", 115, 115), Ok(3));
    }

    #[test]
    fn memory_comes_free_although_nothing_needs_the_room() {
        let mut series = series();
        assert_eq!(count(&mut series, "a", 100, 100), Ok(1));
        assert_eq!(count(&mut series, "b", 200, 200), Ok(1));
        assert_eq!(series.entries.len(), 1);
    }
}
