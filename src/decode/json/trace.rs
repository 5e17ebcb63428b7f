//! The second walk, over a document whose shape is to be kept.

use super::Scanner;
use crate::decode::Container;
use crate::path::{Node, PathTrie};

/// The slot of a scalar that nobody wants: there is none of this number.
pub(super) const NONE: usize = usize::MAX;

/// A slot that no scalar fills: it has a container or is missing.
pub(super) type Other = (usize, Option<Container>);

/// The shape of one document: where its scalars stand, and what becomes of them.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) scalars: Box<[Scalar]>,
    pub(super) others: Box<[Other]>,
}

/// A scalar in the text of its document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalar {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Or [`NONE`].
    pub(super) slot: usize,
}

impl Shape {
    /// `None` of a document of which all values of some container are gathered, which has a wanted key twice, so that
    /// the later value undoes what the first one has done, or which has too many values.
    pub(super) fn of(text: &str, trie: &PathTrie, most: usize) -> Option<Self> {
        let mut tracer = Tracer {
            scanner: Scanner::new(text),
            most,
            scalars: Vec::new(),
            slots: vec![None; trie.slots()],
        };
        tracer.scanner.skip_front();
        tracer.value(Some(trie.root()))?;
        let others = tracer.slots.iter().enumerate().filter_map(|(slot, filled)| match filled {
            None => Some((slot, None)),
            Some(Filled::Container(container)) => Some((slot, Some(*container))),
            Some(Filled::Scalar) => None,
        });
        Some(Self { others: others.collect(), scalars: tracer.scalars.into() })
    }
}

/// Walks a document, which has been walked before, again for its shape.
struct Tracer<'a> {
    scanner: Scanner<'a>,
    /// More scalars are too many.
    most: usize,
    scalars: Vec<Scalar>,
    /// What each slot has so far.
    slots: Vec<Option<Filled>>,
}

#[derive(Debug, Clone, Copy)]
enum Filled {
    Scalar,
    Container(Container),
}

impl Tracer<'_> {
    fn value(&mut self, node: Option<&Node>) -> Option<()> {
        let slot = node.and_then(Node::slot);
        let filled = match self.scanner.peek() {
            b'{' => {
                self.object(node)?;
                Filled::Container(Container::Object)
            }
            b'[' => {
                self.array(node)?;
                Filled::Container(Container::Array)
            }
            _ => {
                self.scalar(slot)?;
                Filled::Scalar
            }
        };
        if let Some(slot) = slot {
            self.slots[slot] = Some(filled);
        }
        Some(())
    }

    fn scalar(&mut self, slot: Option<usize>) -> Option<()> {
        let start = self.scanner.at;
        self.scanner.scalar(None).ok()?;
        self.scalars.push(Scalar { start, end: self.scanner.at, slot: slot.unwrap_or(NONE) });
        (self.scalars.len() <= self.most).then_some(())
    }

    fn object(&mut self, node: Option<&Node>) -> Option<()> {
        if node.is_some_and(|node| !node.entries().is_empty()) {
            return None;
        }
        let mut keys = node.map(Node::keys);
        self.scanner.at += 1;
        while self.scanner.skip_space() != b'}' {
            let key = self.scanner.string().and_then(|key| self.scanner.text_of(key)).ok()?;
            let child = keys.as_mut().and_then(|keys| keys.find(key.as_bytes()));
            if child.is_some_and(|child| self.is_any_filled(child)) {
                return None;
            }
            self.scanner.skip_space();
            self.scanner.at += 1;
            self.scanner.skip_space();
            self.value(child)?;
            self.scanner.skip_comma();
        }
        self.scanner.at += 1;
        Some(())
    }

    fn array(&mut self, node: Option<&Node>) -> Option<()> {
        if node.is_some_and(|node| node.elements().is_some()) {
            return None;
        }
        let mut indexes = node.map(Node::indexes);
        let mut index = 0;
        self.scanner.at += 1;
        while self.scanner.skip_space() != b']' {
            self.value(indexes.as_mut().and_then(|indexes| indexes.find(index)))?;
            self.scanner.skip_comma();
            index += 1;
        }
        self.scanner.at += 1;
        Some(())
    }

    fn is_any_filled(&self, node: &Node) -> bool {
        node.slot().iter().chain(node.below()).any(|&slot| self.slots[slot].is_some())
    }
}
