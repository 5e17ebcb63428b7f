//! The trie that all paths of a mapping are compiled into, so that a decoder walks a message once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Path, Segment};
use crate::words::is_same;

/// All paths of a mapping in one tree, so that a decoder walks a message once for all of them.
#[derive(Debug, Clone, Default)]
pub struct PathTrie {
    id: u64,
    root: Node,
    /// Of each slot.
    paths: Vec<Path>,
    kinds: Vec<Wanted>,
}

/// What a slot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Value,
    Elements,
    Entries(usize),
}

/// A place in the tree: what is wanted of the value that stands there.
#[derive(Debug, Clone, Default)]
pub struct Node {
    slot: Option<usize>,
    /// In the order in which they were asked for.
    keys: Vec<Child>,
    /// Where each of `keys` stands, for objects of which much is wanted.
    positions: HashMap<Box<[u8]>, usize>,
    /// In ascending order.
    indexes: Vec<(usize, Node)>,
    /// The slots of all nodes under this one, and of what is gathered here.
    below: Vec<usize>,
    /// All elements of an array are wanted.
    elements: Option<Box<Elements>>,
    /// All values of an object are wanted.
    entries: Vec<Entries>,
}

/// What is wanted of every element of an array.
#[derive(Debug, Clone)]
pub struct Elements {
    /// For a [`Slot::Elements`](crate::decode::Slot::Elements).
    pub slot: usize,
    /// The paths within an element.
    pub paths: PathTrie,
}

/// That all values of an object are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entries {
    /// For a [`Slot::Entries`](crate::decode::Slot::Entries).
    pub slot: usize,
    /// How many objects deep; 1 is the object's own values.
    pub depth: usize,
}

/// A wanted key of an object, and what is wanted of its value.
#[derive(Debug, Clone)]
struct Child {
    key: Box<[u8]>,
    node: Node,
}

/// The last [`PathTrie::id`] that was given.
static LAST_ID: AtomicU64 = AtomicU64::new(0);

impl PathTrie {
    /// A trie that wants nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot that a decoder fills with the value at `path`: the same path has the same slot.
    ///
    /// A path may be the beginning of another one: its slot then holds the container.
    pub fn slot(&mut self, path: &Path) -> usize {
        self.wanted(path, Wanted::Value, |node, slot| node.slot = Some(slot))
    }

    /// What is wanted of every element of the array at `path`, and the slot for it.
    pub fn elements(&mut self, path: &Path) -> &mut Elements {
        let slot = self.wanted(path, Wanted::Elements, |node, slot| node.below.push(slot));
        let elements = || Box::new(Elements { slot, paths: Self::new() });
        self.root.down(path).elements.get_or_insert_with(elements)
    }

    /// The slot for all values of the object at `path`, so many objects deep.
    pub fn entries(&mut self, path: &Path, depth: usize) -> usize {
        self.wanted(path, Wanted::Entries(depth), |node, slot| {
            node.below.push(slot);
            node.entries.push(Entries { slot, depth });
        })
    }

    /// What is wanted of the value of a key of the message, for who has that value alone; the slots are the same.
    #[must_use]
    pub fn below(&self, key: &str) -> Self {
        let root = self.root.keys().find(key.as_bytes()).cloned().unwrap_or_default();
        Self { id: LAST_ID.fetch_add(1, Ordering::Relaxed) + 1, root, ..self.clone() }
    }

    fn wanted(
        &mut self,
        path: &Path,
        wanted: Wanted,
        want: impl FnOnce(&mut Node, usize),
    ) -> usize {
        let mut known = self.paths.iter().zip(&self.kinds);
        if let Some(slot) = known.position(|(known, kind)| known == path && *kind == wanted) {
            return slot;
        }
        let slot = self.paths.len();
        self.id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
        let mut node = &mut self.root;
        for segment in path.segments() {
            node.below.push(slot);
            node = node.child_or_insert(segment);
        }
        want(node, slot);
        self.paths.push(path.clone());
        self.kinds.push(wanted);
        slot
    }

    /// Of no other trie, unless that one has the same slots for the same paths: by it one who remembers something of
    /// a trie knows it again.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many slots a decoder needs for one message.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.paths.len()
    }

    /// The path of each slot, in the order of the slots.
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Where a decoder starts.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    /// The slot for the value itself, if it is wanted.
    #[must_use]
    pub fn slot(&self) -> Option<usize> {
        self.slot
    }

    /// The slots under this node. When a message repeats a key, what its first value has put there must go.
    #[must_use]
    pub fn below(&self) -> &[usize] {
        &self.below
    }

    /// Whether nothing under this node is wanted, so that a container here can be skipped.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.below.is_empty()
    }

    /// What is wanted of every element, if this is an array.
    #[must_use]
    pub fn elements(&self) -> Option<&Elements> {
        self.elements.as_deref()
    }

    /// How all values are wanted, if this is an object.
    #[must_use]
    pub fn entries(&self) -> &[Entries] {
        &self.entries
    }

    /// Whether all of what is inside is wanted, in whatever way, so that a value must be at hand whole.
    #[must_use]
    pub fn gathers(&self) -> bool {
        self.elements.is_some() || !self.entries.is_empty()
    }

    /// To look up the keys of one object.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys { node: self, next: 0 }
    }

    /// Every wanted key, with what is wanted of its value.
    pub fn each_key(&self) -> impl Iterator<Item = (&[u8], &Self)> {
        self.keys.iter().map(|child| (&*child.key, &child.node))
    }

    /// To look up the elements of one array, in ascending order.
    #[must_use]
    pub fn indexes(&self) -> Indexes<'_> {
        Indexes { nodes: &self.indexes }
    }

    fn child_or_insert(&mut self, segment: &Segment) -> &mut Self {
        match segment {
            Segment::Key(key) => self.key_or_insert(key),
            Segment::Index(index) => self.index_or_insert(*index),
        }
    }

    fn down(&mut self, path: &Path) -> &mut Self {
        path.segments().iter().fold(self, Self::child_or_insert)
    }

    fn key_or_insert(&mut self, key: &str) -> &mut Node {
        let position = *self.positions.entry(key.as_bytes().into()).or_insert(self.keys.len());
        if position == self.keys.len() {
            self.keys.push(Child { key: key.as_bytes().into(), node: Node::default() });
        }
        &mut self.keys[position].node
    }

    fn index_or_insert(&mut self, index: usize) -> &mut Node {
        let position = self
            .indexes
            .binary_search_by_key(&index, |(known, _)| *known)
            .unwrap_or_else(|position| {
                self.indexes.insert(position, (index, Node::default()));
                position
            });
        &mut self.indexes[position].1
    }
}

/// The wanted keys of one object, while its message is walked.
#[derive(Debug, Clone)]
pub struct Keys<'t> {
    node: &'t Node,
    /// The place behind the key that was found last: a mapping mostly names keys in the order of its messages.
    next: usize,
}

impl<'t> Keys<'t> {
    /// Up to here a look at each key is quicker than a hash: most differ in length already.
    const FEW: usize = 12;

    /// The node of a key, if anything at or under it is wanted.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Option<&'t Node> {
        let Node { keys, positions, .. } = self.node;
        let is_it = |child: &Child| is_same(&child.key, key);
        let position = if keys.get(self.next).is_some_and(is_it) {
            self.next
        } else if keys.len() > Self::FEW {
            *positions.get(key)?
        } else {
            keys.iter().position(is_it)?
        };
        self.next = position + 1;
        Some(&keys[position].node)
    }
}

/// The wanted elements of one array, while its message is walked.
#[derive(Debug, Clone)]
pub struct Indexes<'t> {
    nodes: &'t [(usize, Node)],
}

impl<'t> Indexes<'t> {
    /// The node of an element, if anything at or under it is wanted. Indexes must be asked for in ascending order.
    #[inline]
    pub fn find(&mut self, index: usize) -> Option<&'t Node> {
        let ((wanted, node), rest) = self.nodes.split_first()?;
        if *wanted != index {
            return None;
        }
        self.nodes = rest;
        Some(node)
    }
}
