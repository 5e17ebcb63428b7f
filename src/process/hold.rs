//! The hold: the earliest record of a partition that what is remembered may still need.

use std::collections::VecDeque;

use crate::point::Timestamp;
use crate::record::{Hold, Offset};

/// Records in a chunk. At a restart about this many more than needed are read again. Few in tests, so that
/// a few records make many chunks.
const CHUNK: u32 = if cfg!(test) { 4 } else { 256 };
/// More chunks than this are merged in pairs.
const MOST: usize = if cfg!(test) { 8 } else { 1024 };

/// The records within the horizon, in chunks: an offset for each record would be too much to keep.
#[derive(Debug, Clone, Default)]
pub(super) struct Holds {
    chunks: VecDeque<Chunk>,
}

/// A run of records that gave points.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    first: Offset,
    /// The clock before the first record.
    clock: Option<Timestamp>,
    /// The newest event time in it.
    newest: Timestamp,
    records: u32,
}

impl Holds {
    /// A record has been taken in; its newest point is of this time, and the clock before it was that.
    pub(super) fn take(&mut self, offset: Offset, newest: Timestamp, clock: Option<Timestamp>) {
        if let Some(last) = self.chunks.back_mut().filter(|last| last.records < CHUNK) {
            last.records += 1;
            last.newest = last.newest.max(newest);
            return;
        }
        self.chunks.push_back(Chunk { first: offset, clock, newest, records: 1 });
        if self.chunks.len() > MOST {
            self.merge();
        }
    }

    fn merge(&mut self) {
        let chunks = self.chunks.make_contiguous();
        let merged = chunks.chunks(2).map(|pair| {
            let newest = pair.iter().map(|chunk| chunk.newest).fold(pair[0].newest, Ord::max);
            let records = pair.iter().fold(0, |sum: u32, chunk| sum.saturating_add(chunk.records));
            Chunk { newest, records, ..pair[0] }
        });
        self.chunks = merged.collect();
    }

    /// What happened by this time is no longer needed.
    pub(super) fn let_go(&mut self, expired: Timestamp) {
        while self.chunks.front().is_some_and(|front| front.newest <= expired) {
            self.chunks.pop_front();
        }
    }

    /// Records before this offset can't be read again.
    pub(super) fn begin_at(&mut self, first: Offset) {
        for chunk in &mut self.chunks {
            chunk.first = chunk.first.max(first);
        }
    }

    /// Where reading has to begin again. `None` when nothing is remembered.
    pub(super) fn hold(&self) -> Option<Hold> {
        self.chunks.front().map(|front| Hold { from: front.first, clock: front.clock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos.into()).unwrap()
    }

    /// Takes a record at each nanosecond.
    fn taken(records: i64) -> Holds {
        let mut holds = Holds::default();
        for at in 0..records {
            holds.take(Offset(at), time(at), (at > 0).then(|| time(at - 1)));
        }
        holds
    }

    #[test]
    fn a_chunk_is_held_until_its_newest_record_has_expired() {
        let mut holds = taken(10);
        holds.let_go(time(2));
        assert_eq!(holds.hold(), Some(Hold { from: Offset(0), clock: None }));
        holds.let_go(time(3));
        assert_eq!(holds.hold(), Some(Hold { from: Offset(4), clock: Some(time(3)) }));
        holds.let_go(time(9));
        assert_eq!(holds.hold(), None);
    }

    #[test]
    fn however_long_the_horizon_the_chunks_are_bounded_and_none_is_forgotten() {
        let mut holds = taken(2000);
        assert!(holds.chunks.len() <= MOST);
        assert_eq!(holds.hold(), Some(Hold { from: Offset(0), clock: None }));
        let mut from = 0;
        for expired in 0..2000 {
            holds.let_go(time(expired));
            if let Some(hold) = holds.hold() {
                assert!(hold.from.0 >= from && hold.from.0 <= expired + 1);
                assert_eq!(
                    hold.clock.map(Timestamp::nanos),
                    (hold.from.0 > 0).then(|| hold.from.0 - 1)
                );
                from = hold.from.0;
            }
        }
        assert!(from > 1000);
    }
}
