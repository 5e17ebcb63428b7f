//! Isolation: from a batch that the database refuses down to the items that it will never take.
//!
//! What is left of the batch is a queue of pieces. Each is written whole, and either acknowledged or
//! cut smaller by what the database has said of it. An item is durable by an acknowledgement that
//! covers it, and by nothing else; it is refused when the database names it, or refuses it alone.
//! Pieces are worked off from the front and cut in place: what was in order stays in order, on which
//! the databases that take a series' samples in the order of time only depend.
//!
//! Of `n` items with `k` refused ones, the writes that were answered are at most
//!
//! - where the database names every refused item: 2;
//! - where it names one at a time: 2k + 1, and k + 1 for a few;
//! - where it names none: 1 + 2k⌈log₂ n⌉.

use std::collections::VecDeque;

use super::{Delivered, Refused};
use crate::batch::Batch;
use crate::dead_letter::ReasonKind;
use crate::sink::{Rejected, Scope};

/// From then on, what is left beside named items is also halved: if many are refused and the database
/// names one at a time, the same bytes would be sent over and over.
const NAMED_WHOLE: u8 = 4;

/// Items to be written in one request.
#[derive(Debug)]
pub(super) struct Piece {
    pub batch: Batch,
    /// An attempt that held these items ended without an acknowledgement, so they may be stored.
    pub perhaps_stored: bool,
    /// The next piece is the other half of what this one was cut from, of which at least one item is
    /// refused.
    is_half: bool,
    /// At least one of them is refused: that follows when the other half was written.
    has_refused: bool,
    /// How often the database has named items of what this was cut from.
    named: u8,
}

/// A batch on its way to being written but for the refused items.
#[derive(Debug)]
pub(super) struct Isolation {
    /// From the front.
    to_write: VecDeque<Piece>,
    delivered: Delivered,
}

impl Isolation {
    pub(super) fn of(batch: Batch) -> Self {
        let piece =
            Piece { batch, perhaps_stored: false, is_half: false, has_refused: false, named: 0 };
        Self { to_write: VecDeque::from([piece]), delivered: Delivered::default() }
    }

    /// What is to be written next.
    pub(super) fn next(&mut self) -> Option<Piece> {
        loop {
            let piece = self.to_write.pop_front()?;
            // Its answer as a whole is known. A single item is tried all the same: for its own
            // reason, and because what is refused may have changed.
            if piece.has_refused && self.halve(&piece) {
                continue;
            }
            return Some(piece);
        }
    }

    pub(super) fn written(&mut self, piece: &Piece) {
        self.delivered.written += piece.batch.len();
        if piece.is_half
            && let Some(other) = self.to_write.front_mut()
        {
            other.has_refused = true;
        }
    }

    pub(super) fn too_large(&mut self, piece: &Piece, reason: String) {
        if let Some((left, right)) = piece.batch.halves() {
            self.push([piece.part(left), piece.part(right)]);
        } else {
            self.refuse(piece, 0, reason, ReasonKind::TooLarge);
        }
    }

    pub(super) fn rejected(&mut self, piece: &Piece, rejected: &Rejected) {
        match &rejected.scope {
            Scope::Items(items) if !items.is_empty() => self.take_named(piece, items, rejected),
            Scope::Split(items) if (1..piece.batch.len()).contains(&items.len()) => {
                let parts = [piece.batch.only(items), piece.batch.without(items)];
                self.push(parts.map(|batch| piece.left_of(batch, rejected)));
            }
            _ => {
                let rest = piece.left_of(piece.batch.clone(), rejected);
                if !self.halve(&rest) {
                    self.refuse(piece, 0, rejected.reason.clone(), kind(rejected));
                }
            }
        }
    }

    /// What has become of every item.
    pub(super) fn finish(mut self) -> Delivered {
        self.delivered.refused.sort_by_key(|refused| refused.record);
        self.delivered
    }

    fn take_named(&mut self, piece: &Piece, items: &[(usize, String)], rejected: &Rejected) {
        for (item, reason) in items {
            self.refuse(piece, *item, reason.clone(), kind(rejected));
        }
        let named: Vec<_> = items.iter().map(|(item, _)| *item).collect();
        let mut rest = piece.left_of(piece.batch.without(&named), rejected);
        rest.named = piece.named.saturating_add(1);
        match rest.batch.halves() {
            Some((left, right)) if rest.named >= NAMED_WHOLE => {
                self.push([rest.part(left), rest.part(right)]);
            }
            _ if rest.batch.is_empty() => {}
            _ => self.push([rest]),
        }
    }

    /// Puts the two halves in the place of a piece that has a refused item. `false` if it is one item.
    fn halve(&mut self, piece: &Piece) -> bool {
        let Some((left, right)) = piece.batch.halves() else {
            return false;
        };
        let left = Piece { is_half: true, ..piece.part(left) };
        self.push([left, piece.part(right)]);
        true
    }

    fn push<const N: usize>(&mut self, pieces: [Piece; N]) {
        for piece in pieces.into_iter().rev() {
            self.to_write.push_front(piece);
        }
    }

    fn refuse(&mut self, piece: &Piece, item: usize, reason: String, kind: ReasonKind) {
        let record = piece.batch.record(item);
        let perhaps_stored = piece.perhaps_stored;
        self.delivered.refused.push(Refused { record, kind, perhaps_stored, reason });
    }
}

/// Whether the database has something already is its to say.
fn kind(rejected: &Rejected) -> ReasonKind {
    if rejected.superseded { ReasonKind::Superseded } else { ReasonKind::Refused }
}

impl Piece {
    /// A part of this piece, of which no more is known.
    fn part(&self, batch: Batch) -> Self {
        Self { batch, is_half: false, has_refused: false, ..*self }
    }

    /// A part of this piece that the database has neither acknowledged nor refused.
    fn left_of(&self, batch: Batch, rejected: &Rejected) -> Self {
        let perhaps_stored = self.perhaps_stored || rejected.rest_written;
        Self { perhaps_stored, ..self.part(batch) }
    }
}
