//! The shapes of a topic's documents: most are alike but for their scalars, and need no walk of their own.
//!
//! A document is its scalars and the texts between them, the *gaps*: white space, brackets, commas, colons and keys.
//! Of a document that has been walked the gaps are kept, and which slot each scalar fills. Another document in which
//! the same gaps stand with a scalar between each two has
//! - the same tokens but for the scalars, and so is as valid as the first one was: JSON takes any scalar where it
//!   takes one, a scalar is checked as in a walk, and none can reach into the gap behind it: a string and a word end
//!   by themselves, and no gap begins with what could go on a number;
//! - the same keys at the same places, and so the same slots for its scalars and containers.
//!
//! A scalar that nobody wants, and that has been the same in all documents of a shape, counts as a part of the gap that
//! it stands in. Whatever differs is left to the walk, which says what is wrong if anything is, and its shape is kept
//! too, or the scalar then counts as one.
//!
//! The shapes are one tree, as they mostly begin alike: where they part there are alternatives. Of these one at most can
//! go on: a text falls into tokens in one way only, and each gap reaches from one scalar to the next. Only a scalar in
//! a gap can hide a shape in which another stands there; once that is seen, no gap has scalars in it any more.

use std::borrow::Cow;

use super::trace::{NONE, Other, Scalar, Shape};
use super::{ONES, Scanner, end_of_plain_text, no_text};
use crate::decode::{DecodeError, Slot};
use crate::path::PathTrie;
use crate::point::Number;
use crate::words::{is_same, last_word};

/// What is not kept beyond these is walked: a topic of that many shapes, or of such long ones, gains little.
const MAX_SHAPES: usize = 32;
const MAX_STEPS: usize = 2048;
const MAX_GAPS: usize = 32 << 10;

/// Each unknown shape takes [`MISS`] of it and each known one gives back [`HIT`]; once none is left, all shapes are
/// forgotten. So a third of the documents may be of unknown shapes for good: the others gain more than that costs.
const PATIENCE: u32 = 64;
const HIT: u32 = 1;
const MISS: u32 = 2;
/// So many documents are then walked without a look at shapes, which would be vain for most of them.
const PAUSE: u32 = 2048;

/// Stands before the first steps.
const START: usize = 0;

/// Decodes the messages of a topic. Most are alike but for their scalars, which makes them cheap.
#[derive(Debug, Default)]
pub struct Json {
    shapes: Shapes,
}

impl Json {
    /// Fills `slots` with the values at the paths of `trie`, exactly as a [walk](super::decode) does.
    ///
    /// # Errors
    /// When the payload is not one JSON document; all slots are then [`Slot::Missing`].
    ///
    /// # Panics
    /// When there are not exactly [`PathTrie::slots`] slots.
    pub fn decode<'a>(
        &mut self,
        payload: &'a [u8],
        trie: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Result<(), DecodeError> {
        assert_eq!(slots.len(), trie.slots(), "one slot a path");
        let Some(text) = super::text(payload) else { return Err(no_text(payload, slots)) };
        if !self.shapes.are_for(trie) {
            return Scanner::new(text).decode(trie, slots);
        }
        if !self.shapes.fill(text, slots) {
            Scanner::new(text).decode(trie, slots)?;
            self.shapes.learn(text, trie);
        }
        Ok(())
    }
}

/// The shapes of the documents that were read last.
#[derive(Debug, Default)]
struct Shapes {
    /// The trie whose slots are filled.
    trie: u64,
    documents: Vec<Document>,
    /// Made of `documents`.
    steps: Vec<Step>,
    gaps: Vec<u8>,
    /// What is left of [`PATIENCE`].
    patience: u32,
    /// What is left of [`PAUSE`].
    pause: u32,
}

/// A document that was walked, for all that are like it.
#[derive(Debug)]
struct Document {
    text: Box<str>,
    scalars: Box<[Scalar]>,
    /// Of each scalar, whether others stand in its place: it is wanted, or it was another once.
    varies: Box<[bool]>,
    /// The slots that no scalar fills.
    others: Box<[Other]>,
}

/// A gap and what stands behind it.
#[derive(Debug)]
struct Step {
    /// The first eight bytes of the gap; zeros behind a shorter one, as in `mask`.
    first: u64,
    mask: u64,
    /// The last eight bytes, of a longer one.
    last: u64,
    /// Where it begins in [`Shapes::gaps`].
    start: usize,
    len: usize,
    then: Then,
    /// The step behind the scalar.
    next: usize,
    /// The step to try if this is not the one.
    or: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// A scalar for this slot, if there is one of this number.
    Scalar(usize),
    /// The document's end, and its place in [`Shapes::documents`].
    End(usize),
}

impl Shapes {
    /// Whether a document is worth a try. Of another trie than before nothing is known yet.
    fn are_for(&mut self, trie: &PathTrie) -> bool {
        if self.trie != trie.id() || self.steps.is_empty() {
            *self = Self { trie: trie.id(), ..Self::default() };
            self.forget();
        }
        let is_on = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        is_on
    }

    fn forget(&mut self) {
        self.documents.clear();
        self.forget_steps();
        self.patience = PATIENCE;
    }

    fn forget_steps(&mut self) {
        self.gaps.clear();
        self.steps.clear();
        self.steps.push(Step::new(&[], 0, Then::Scalar(NONE), NONE));
    }

    /// Fills all slots with what a document of a known shape has for them. Of any other it fills some.
    #[inline]
    fn fill<'a>(&mut self, text: &'a str, slots: &mut [Slot<'a>]) -> bool {
        let Some(document) = self.follow(text, slots) else {
            return false;
        };
        for &(slot, container) in &self.documents[document].others {
            slots[slot].set(container.map_or(Slot::Missing, Slot::Container));
        }
        self.patience = PATIENCE.min(self.patience + HIT);
        true
    }

    fn follow<'a>(&self, text: &'a str, slots: &mut [Slot<'a>]) -> Option<usize> {
        let mut place = self.steps.get(START)?.next;
        let mut at = 0;
        loop {
            let step = self.steps.get(place)?;
            let end = at + step.len;
            place = step.or;
            if self.is_here(step, &text.as_bytes()[at..]) {
                match step.then {
                    // A longer gap may begin with this one: that one is still to be tried where this is not it.
                    Then::Scalar(slot) => {
                        if let Some(behind) = scalar(text, end, slots.get_mut(slot)) {
                            at = behind;
                            place = step.next;
                        }
                    }
                    Then::End(document) if end == text.len() => return Some(document),
                    Then::End(_) => {}
                }
            }
        }
    }

    fn gap(&self, step: &Step) -> &[u8] {
        &self.gaps[step.start..step.start + step.len]
    }

    /// Whether a text begins with the gap of a step.
    #[inline]
    fn is_here(&self, step: &Step, text: &[u8]) -> bool {
        let Some(word) = text.first_chunk::<8>() else {
            return text.starts_with(self.gap(step));
        };
        if (u64::from_le_bytes(*word) ^ step.first) & step.mask != 0 {
            return false;
        }
        if step.len <= 8 {
            return true;
        }
        let Some(text) = text.get(..step.len) else { return false };
        last_word(text) == step.last && (step.len <= 16 || is_same(text, self.gap(step)))
    }

    /// Keeps the shape of a document that has been walked, unless there are enough.
    #[cold]
    fn learn(&mut self, text: &str, trie: &PathTrie) {
        self.patience = self.patience.saturating_sub(MISS);
        if self.patience == 0 {
            self.forget();
            self.pause = PAUSE;
            return;
        }
        let Some(shape) = Shape::of(text, trie, MAX_STEPS) else { return };
        let new = Document::new(text, shape);
        if let Some(known) = self.documents.iter_mut().find(|known| known.is_like(&new)) {
            if !known.vary(&new) {
                // Some other shape has a scalar of this one in a gap, and was taken for it.
                self.documents.iter_mut().for_each(|known| known.varies.fill(true));
            }
            let documents = std::mem::take(&mut self.documents);
            self.forget_steps();
            for document in documents {
                self.keep(document);
            }
        } else if self.fits(&new) {
            self.keep(new);
        }
    }

    fn fits(&self, new: &Document) -> bool {
        let all = || self.documents.iter().chain([new]);
        self.documents.len() < MAX_SHAPES
            && all().map(|document| document.scalars.len() + 1).sum::<usize>() < MAX_STEPS
            && all().map(|document| document.text.len()).sum::<usize>() < MAX_GAPS
    }

    /// Keeps a document, and those of its steps that are not known.
    fn keep(&mut self, document: Document) {
        let text = document.text.as_bytes();
        let (mut last, mut end) = (START, 0);
        for (scalar, _) in
            document.scalars.iter().zip(&document.varies).filter(|(_, varies)| **varies)
        {
            last = self.behind(last, &text[end..scalar.start], Then::Scalar(scalar.slot));
            end = scalar.end;
        }
        self.behind(last, &text[end..], Then::End(self.documents.len()));
        self.documents.push(document);
    }

    /// The place of a step behind another, which may be known.
    fn behind(&mut self, last: usize, gap: &[u8], then: Then) -> usize {
        let (first, place) = (self.steps[last].next, self.steps.len());
        let mut known = first;
        while let Some(step) = self.steps.get(known) {
            if step.then == then && self.gap(step) == gap {
                return known;
            }
            known = step.or;
        }
        self.steps.push(Step::new(gap, self.gaps.len(), then, first));
        self.gaps.extend_from_slice(gap);
        self.steps[last].next = place;
        place
    }
}

impl Document {
    fn new(text: &str, shape: Shape) -> Self {
        let Shape { scalars, others } = shape;
        let varies = scalars.iter().map(|scalar| scalar.slot != NONE).collect();
        Self { text: text.into(), scalars, varies, others }
    }

    /// The text before each scalar and its slot, then the text behind the last one.
    fn gaps(&self) -> impl Iterator<Item = (&str, usize)> {
        let ends = std::iter::once(0).chain(self.scalars.iter().map(|scalar| scalar.end));
        let starts = self.scalars.iter().map(|scalar| (scalar.start, scalar.slot));
        let starts = starts.chain([(self.text.len(), NONE)]);
        ends.zip(starts).map(|(end, (start, slot))| (&self.text[end..start], slot))
    }

    /// Whether all but the scalars is the same.
    fn is_like(&self, other: &Self) -> bool {
        self.scalars.len() == other.scalars.len() && self.gaps().eq(other.gaps())
    }

    /// Takes note of the scalars that are others in a document like this one. Says whether there are any.
    fn vary(&mut self, other: &Self) -> bool {
        let Self { text, scalars, varies, .. } = self;
        let mut any = false;
        for ((one, other_one), varies) in scalars.iter().zip(&other.scalars).zip(varies) {
            if !*varies && text[one.start..one.end] != other.text[other_one.start..other_one.end] {
                (*varies, any) = (true, true);
            }
        }
        any
    }
}

impl Step {
    fn new(gap: &[u8], start: usize, then: Then, or: usize) -> Self {
        let mut first = [0; 8];
        let mut mask = [0; 8];
        for (at, byte) in gap.iter().take(8).enumerate() {
            (first[at], mask[at]) = (*byte, 0xff);
        }
        Self {
            first: u64::from_le_bytes(first),
            mask: u64::from_le_bytes(mask),
            last: last_word(gap),
            start,
            len: gap.len(),
            then,
            next: NONE,
            or,
        }
    }
}

/// Fills the slot with the scalar that stands here, and gives the place behind it.
#[inline]
fn scalar<'a>(text: &'a str, at: usize, slot: Option<&mut Slot<'a>>) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.get(at)? {
        b'"' => {
            let end = end_of_plain_text(bytes, at + 1);
            if bytes.get(end) == Some(&b'"') {
                if let Some(slot) = slot {
                    slot.set(Slot::Text(Cow::Borrowed(&text[at + 1..end])));
                }
                return Some(end + 1);
            }
        }
        b'0'..=b'9' => {
            if let Some(len) = plain_number(&bytes[at..])
                && bytes[at + len] | 0x20 != b'e'
            {
                if let Some(slot) = slot {
                    slot.set(Slot::Number(Number::without_exponent(&text[at..at + len])));
                }
                return Some(at + len);
            }
        }
        _ => {}
    }
    rarer_scalar(text, at, slot)
}

#[inline(never)]
fn rarer_scalar<'a>(text: &'a str, at: usize, slot: Option<&mut Slot<'a>>) -> Option<usize> {
    let mut scanner = Scanner { at, ..Scanner::new(text) };
    scanner.scalar(slot).ok()?;
    Some(scanner.at)
}

/// The length of the number that a text begins with, up to its exponent. `None` of one with a sign, or at the end
/// of the text, and where there is none.
#[inline]
fn plain_number(text: &[u8]) -> Option<usize> {
    let word = |at: usize| text.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
    let byte = |marks: u64| marks.trailing_zeros() as usize / 8;
    let (mut at, mut marks) = (0, others(word(0)?));
    while marks == 0 {
        at += 8;
        marks = others(word(at)?);
    }
    let whole = at + byte(marks);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return None;
    }
    if text[whole] != b'.' {
        return Some(whole);
    }
    // A point carries nothing: the second mark is right, too.
    marks &= marks - 1;
    while marks == 0 {
        at += 8;
        marks = others(word(at)?);
    }
    let end = at + byte(marks);
    (end > whole + 1).then_some(end)
}

/// The top bit of each of eight bytes that is no digit.
///
/// Each addition carries only out of a byte that it marks: as with [`marks`] the lowest mark is right.
#[inline]
fn others(word: u64) -> u64 {
    let value = word ^ (ONES * u64::from(b'0'));
    (value.wrapping_add(ONES * 0x76) | value) & (ONES * 0x80)
}

#[cfg(test)]
#[path = "../json_shapes_tests.rs"]
mod tests;
