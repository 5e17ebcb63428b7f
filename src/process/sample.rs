//! One point of many.

use std::num::NonZeroU64;

use super::{Moment, Next};
use crate::decode::Refusal;
use crate::point::Point;

/// Lets the points of one record of `every` through.
#[derive(Debug, Clone)]
pub struct Sample {
    pub every: NonZeroU64,
}

impl Sample {
    /// Which records depends on their offsets alone: the same in every replay.
    pub(super) fn take(
        &self,
        moment: &Moment,
        point: Point<'_>,
        next: Next<'_>,
    ) -> Result<(), Refusal> {
        let place = mixed(moment.offset.0.cast_unsigned());
        if place.is_multiple_of(self.every.get()) { next(point) } else { Ok(()) }
    }
}

/// The finalizer of `SplitMix64`. The offsets themselves won't do: devices that send in turns would be left
/// out as a whole.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::{at, line, lines};
    use crate::record::Offset;

    fn taken(every: u64, offset: i64) -> bool {
        let sample = Sample { every: NonZeroU64::new(every).unwrap() };
        let moment = Moment { offset: Offset(offset), ..at(7) };
        !lines(|next| sample.take(&moment, line("m v=1 7"), next)).unwrap().is_empty()
    }

    #[test]
    fn one_record_of_so_many_is_taken_whatever_turns_they_come_in() {
        assert!((0..100).all(|offset| taken(1, offset)));
        for (first, step) in [(0, 1), (0, 10), (3, 10), (5, 16)] {
            let count = (0..10_000).filter(|turn| taken(10, first + turn * step)).count();
            assert!((900..1100).contains(&count), "{count} of 10000");
        }
    }

    #[test]
    fn a_replay_takes_the_same_records() {
        let taken: Vec<_> = (0..40).filter(|offset| taken(10, *offset)).collect();
        assert_eq!(taken, [2, 18, 29, 30, 31], "another choice than in earlier releases");
    }
}
