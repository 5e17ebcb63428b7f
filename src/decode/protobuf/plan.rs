//! What each field of a type is to a mapping's paths, worked out once for all its messages: by it a message's bytes are
//! walked ([`super::walk`]), and of a field that no path names nothing is kept.
//!
//! There is no plan where lists are wanted, or all values of a message, nor for types with groups: such messages are
//! read whole.

use std::collections::HashMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use super::is_wrapper;
use crate::decode::input::Input;
use crate::decode::{Slot, empty};
use crate::path::{Node, PathTrie};

/// A connector's messages have a few types and a few mappings; a message of a registry can name any.
const MOST_PLANS: usize = 64;

/// How messages are read, by their types and the paths that are wanted.
#[derive(Debug, Default)]
pub(super) struct Plans {
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    of: MessageDescriptor,
    paths: u64,
    /// None where each message has to be read whole.
    plan: Option<Plan>,
}

impl Plans {
    /// Fills `slots` with the values at the paths of a trie. `None` where the message has to be read whole.
    ///
    /// # Panics
    /// When there are not exactly [`PathTrie::slots`] slots.
    pub(super) fn fill<'a>(
        &mut self,
        of: &MessageDescriptor,
        payload: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Option<()> {
        assert_eq!(slots.len(), paths.slots(), "one slot a path");
        empty(slots);
        self.of(of, paths)?.fill(payload, slots)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn of(&mut self, of: &MessageDescriptor, paths: &PathTrie) -> Option<&Plan> {
        let is_it = |known: &Known| known.paths == paths.id() && known.of == *of;
        let place = self.known.iter().position(is_it).unwrap_or_else(|| {
            if self.known.len() == MOST_PLANS {
                self.known.clear();
            }
            let plan = Plan::new(of, paths);
            self.known.push(Known { of: of.clone(), paths: paths.id(), plan });
            self.known.len() - 1
        });
        self.known[place].plan.as_ref()
    }
}

/// What is done with a message and those within it. The first type is the message's own.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) types: Vec<Type>,
}

#[derive(Debug, Default)]
pub(super) struct Type {
    /// Ascending by their numbers.
    pub(super) fields: Vec<Field>,
    /// What a field without presence is that is not in a message.
    pub(super) defaults: Vec<(usize, Slot<'static>)>,
    /// Where a message says that it is one.
    pub(super) slot: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) read: Read,
    /// Then nothing of it is wanted.
    pub(super) is_list: bool,
    pub(super) slot: Option<usize>,
    /// The slots of the other fields of its oneof: of these a message has the last.
    pub(super) others: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Read {
    Scalar(Kind),
    /// By its place among the plan's types.
    Message(usize),
    Timestamp,
    Duration,
    Map(Map),
}

/// A map of which some keys are wanted.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) key: Kind,
    /// An entry of which nothing is wanted, by its place among the plan's types.
    pub(super) entry: usize,
    pub(super) wanted: Vec<Entry>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Box<[u8]>,
    /// Reads its value.
    pub(super) place: usize,
    /// All that it fills: of a key that is there twice the last entry counts.
    pub(super) slots: Vec<usize>,
    /// What a scalar without a value is, a zero, is known, but not what a message is.
    pub(super) needs_value: bool,
}

impl Plan {
    pub(super) fn new(of: &MessageDescriptor, paths: &PathTrie) -> Option<Self> {
        let mut compiler = Compiler::default();
        if is_value(of) {
            return None;
        }
        compiler.message(of, Some(paths.root()))?;
        Some(Self { types: compiler.types })
    }
}

#[derive(Default)]
struct Compiler {
    types: Vec<Type>,
    /// Those of which nothing is wanted, by their names: a type may hold itself.
    unwanted: HashMap<String, usize>,
}

impl Compiler {
    /// The place of a message's type. `None` where such messages have to be read whole.
    fn message(&mut self, of: &MessageDescriptor, node: Option<&Node>) -> Option<usize> {
        if node.is_some_and(Node::gathers) {
            return None;
        }
        let place = self.types.len();
        if node.is_none() {
            if let Some(known) = self.unwanted.get(of.full_name()) {
                return Some(*known);
            }
            self.unwanted.insert(of.full_name().to_owned(), place);
        }
        self.types.push(Type { slot: node.and_then(Node::slot), ..Type::default() });
        for field in of.fields() {
            let child = |field: &FieldDescriptor| node?.keys().find(field.name().as_bytes());
            let mut compiled = self.field(&field, child(&field), place)?;
            for other in field.containing_oneof().iter().flat_map(OneofDescriptor::fields) {
                if let Some(node) = child(&other).filter(|_| other != field) {
                    compiled.others.extend(node.slot().iter().chain(node.below()));
                }
            }
            self.types[place].fields.push(compiled);
        }
        self.types[place].fields.sort_by_key(|field| field.number);
        Some(place)
    }

    /// A field of the type at a place.
    fn field(
        &mut self,
        field: &FieldDescriptor,
        node: Option<&Node>,
        place: usize,
    ) -> Option<Field> {
        if field.is_group() || field.is_list() && node.is_some() {
            return None;
        }
        let slot = node.and_then(Node::slot);
        let read = match field.kind() {
            Kind::Message(of) if let Some(node) = node.filter(|_| field.is_map()) => {
                Read::Map(self.map(&of, node)?)
            }
            Kind::Message(of) => match (well_known(&of), node) {
                ("Timestamp", _) => Read::Timestamp,
                ("Duration", _) => Read::Duration,
                (name, Some(node)) if is_wrapper(name) => Read::Message(self.wrapper(&of, node)?),
                (_, Some(_)) if is_value(&of) => return None,
                _ => Read::Message(self.message(&of, node)?),
            },
            kind => Read::Scalar(kind),
        };
        if let Some(slot) = slot.filter(|_| !field.supports_presence()) {
            self.types[place].defaults.push((slot, default(field)?));
        }
        Some(Field {
            number: field.number(),
            read,
            is_list: field.is_list(),
            slot,
            others: Vec::new(),
        })
    }

    fn map(&mut self, of: &MessageDescriptor, node: &Node) -> Option<Map> {
        if node.gathers() {
            return None;
        }
        let (key, value) = (of.map_entry_key_field().kind(), of.map_entry_value_field());
        let entry = self.message(of, None)?;
        let wanted = node.each_key().map(|(key, node)| {
            let place = self.types.len();
            self.types.push(Type::default());
            let field = self.field(&value, Some(node), place)?;
            let needs_value = !matches!(field.read, Read::Scalar(_));
            let of = &mut self.types[place];
            of.fields.push(field);
            if let Some(slot) = node.slot().filter(|_| !needs_value && of.defaults.is_empty()) {
                of.defaults.push((slot, default(&value)?));
            }
            let slots = node.slot().iter().chain(node.below()).copied().collect();
            Some(Entry { key: key.into(), place, slots, needs_value })
        });
        Some(Map { key, entry, wanted: wanted.collect::<Option<_>>()? })
    }

    /// A message with one field, for which it stands.
    fn wrapper(&mut self, of: &MessageDescriptor, node: &Node) -> Option<usize> {
        let place = self.types.len();
        self.types.push(Type::default());
        let field = self.field(&of.get_field_by_name("value")?, Some(node), place)?;
        self.types[place].fields.push(field);
        Some(place)
    }
}

/// The name of a type of Protobuf's own; of another it is empty.
fn well_known(of: &MessageDescriptor) -> &str {
    of.full_name().strip_prefix("google.protobuf.").unwrap_or_default()
}

/// Whether a message of this type is no object.
fn is_value(of: &MessageDescriptor) -> bool {
    let name = well_known(of);
    is_wrapper(name) || matches!(name, "Timestamp" | "Duration" | "Struct" | "ListValue" | "Value")
}

fn default(field: &FieldDescriptor) -> Option<Slot<'static>> {
    let default = super::value(&field.default_value(), &field.kind(), &mut Input::new(&[]));
    Some(default.ok()?.into())
}
