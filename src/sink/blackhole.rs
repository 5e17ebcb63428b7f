//! Nowhere: every write succeeds, and nothing is kept. To try a mapping, or to measure all but the
//! database.

use super::Durability;
use crate::check::Finding;

pub(super) const DURABILITY: Durability = Durability::Discarded;

pub(super) fn check() -> Vec<Finding> {
    vec![Finding::ok("blackhole", "takes everything and keeps nothing")]
}
