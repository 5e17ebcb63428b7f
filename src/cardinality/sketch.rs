//! How many different values there were, without keeping them: `HyperLogLog` (Flajolet, Fusy, Gandouet and
//! Meunier, 2007), with linear counting below its range.

use std::sync::atomic::{AtomicU8, Ordering};

/// An estimate within some 3 % of the count, two times of three. Several threads may add at once.
#[derive(Debug)]
pub(super) struct Sketch(Box<[AtomicU8]>);

/// 2 KiB a sketch.
const BITS: u32 = 11;
const REGISTERS: usize = 1 << BITS;

impl Default for Sketch {
    fn default() -> Self {
        Self((0..REGISTERS).map(|_| AtomicU8::new(0)).collect())
    }
}

impl Sketch {
    /// Takes in a value, by its hash.
    pub(super) fn add(&self, hash: u64) {
        let hash = spread(hash);
        let register = (hash >> (u64::BITS - BITS)) as usize;
        // The mark ends the run of zeros where the hash has no more bits.
        let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() + 1;
        self.0[register].fetch_max(rank.to_le_bytes()[0], Ordering::Relaxed);
    }

    /// How many different hashes there were, about.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, far below 2⁵³ and not negative"
    )]
    pub(super) fn estimate(&self) -> u64 {
        let count = REGISTERS as f64;
        let (mut sum, mut zeros) = (0.0, 0.0);
        for register in &self.0 {
            let rank = register.load(Ordering::Relaxed);
            sum += (-f64::from(rank)).exp2();
            zeros += f64::from(u8::from(rank == 0));
        }
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let estimate =
            if raw <= 2.5 * count && zeros > 0.0 { count * (count / zeros).ln() } else { raw };
        estimate.round() as u64
    }
}

/// Makes each bit depend on all (the last step of `MurmurHash3`): hashes that are spread more evenly than chance
/// would spread them, as a product's are, look like more values than they are.
fn spread(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash;

    #[test]
    fn an_estimate_is_near_the_count_over_all_sizes_and_repeats_change_nothing() {
        for count in [0_u64, 1, 10, 100, 1_000, 5_000, 20_000, 100_000, 1_000_000] {
            let sketch = Sketch::default();
            for _ in 0..2 {
                (0..count).for_each(|n| sketch.add(hash(7, &[&n.to_le_bytes()])));
            }
            let estimate = sketch.estimate();
            // Three times the standard error of 2.3 %.
            let room = 1 + count * 7 / 100;
            assert!(estimate.abs_diff(count) <= room, "{estimate} instead of {count}");
        }
    }
}
