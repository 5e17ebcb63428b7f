//! Checks a tree against the JSON Schema of the raw types: keys, types, choices and ranges.
//!
//! The types and doc comments of `raw` are the only reference; this walks what schemars makes of
//! them instead of relying on serde's errors, because serde stops at the first, knows no places and
//! can't tell which form of a union was meant.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::error::{Findings, either, nearest, quoted};
use super::expand::Expansion;
use super::plain::Type;
use super::raw;
use super::source::Span;
use super::tree::{Entry, Node, Scalar, Table, Value};

/// The kinds of configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `tidegate.yaml`
    Process,
    /// A connector's.
    Connector,
    /// A mapping's tests.
    Test,
}

impl FileKind {
    pub(super) fn schema(self) -> Json {
        match self {
            Self::Process => schemars::schema_for!(raw::ProcessFile),
            Self::Connector => schemars::schema_for!(raw::ConnectorFile),
            Self::Test => schemars::schema_for!(raw::TestFile),
        }
        .into()
    }
}

/// The JSON Schema of a kind of file, for editors.
pub fn json_schema(kind: FileKind) -> String {
    format!("{:#}", kind.schema())
}

/// Checks a tree. After it the tree fits the schema: what was wrong is reported and has a stand-in.
pub(super) fn check(schema: &Json, root: &mut Node, findings: &mut Findings) {
    let at = match &root.value {
        Value::Table(table) => table.entries.first().map_or(root.span, |entry| entry.key_span),
        _ => root.span,
    };
    Walk { root: schema, findings }.node(schema, root, at);
}

/// One form that a value may take.
pub(super) enum Shape<'s> {
    Null,
    Boolean,
    Text,
    Choice(Vec<&'s str>),
    /// From, to.
    Whole(i128, i128),
    Number,
    List(&'s Json),
    Table(&'s Json),
}

struct Walk<'s, 'f> {
    root: &'s Json,
    findings: &'f mut Findings,
}

impl<'s> Walk<'s, '_> {
    /// `at` is where an error about a list or table points: at its key.
    fn node(&mut self, schema: &'s Json, node: &mut Node, at: Span) {
        if is_anything(schema) {
            return;
        }
        let shapes = shapes(self.root, schema);
        if node.standin {
            node.value = self.stand_in(&shapes, node.span);
            return;
        }
        let span = node.span;
        let fits = match &mut node.value {
            Value::Table(table) => match find(&shapes, |s| matches!(s, Shape::Table(_))) {
                Some(Shape::Table(schema)) => {
                    self.table(schema, table, at);
                    true
                }
                _ => false,
            },
            Value::List(items) => match find(&shapes, |s| matches!(s, Shape::List(_))) {
                Some(Shape::List(schema)) => {
                    for item in items {
                        self.node(schema, item, item.span);
                    }
                    true
                }
                _ => false,
            },
            Value::Scalar(scalar) => {
                retype(scalar, &shapes);
                match fit(scalar, &shapes) {
                    Fit::Yes => true,
                    Fit::No => false,
                    Fit::Refused(message, more) => {
                        self.findings.add_noted(span, message, more);
                        *node = Node::standin(span, self.stand_in(&shapes, span));
                        true
                    }
                }
            }
        };
        if !fits {
            let at = if node.scalar().is_some() { span } else { at };
            let message = mismatch(self.root, schema, &shapes, node);
            self.findings.add_noted(at, message, about(schema));
            *node = Node::standin(span, self.stand_in(&shapes, span));
        }
    }

    fn table(&mut self, schema: &'s Json, table: &mut Table, at: Span) {
        let known = schema.get("properties").and_then(Json::as_object);
        let other = schema.get("additionalProperties").filter(|other| other.is_object());
        let mut meant = Vec::new();
        table.entries.retain_mut(|entry| {
            let property = known.and_then(|known| known.get(&entry.key)).or(other);
            if let Some(property) = property {
                self.node(property, &mut entry.value, entry.key_span);
            } else {
                table.incomplete = true;
                meant.extend(self.unknown(entry, schema));
            }
            property.is_some()
        });
        for name in schema.get("required").and_then(Json::as_array).into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            if table.entries.iter().any(|entry| entry.key == name) {
                continue;
            }
            let property = known.and_then(|known| known.get(name)).unwrap_or(&Json::Null);
            if !meant.contains(&name) {
                self.findings.add_noted(
                    at,
                    format!("the key {} is missing", quoted(name)),
                    about(property),
                );
            }
            let value = Node::standin(at, self.stand_in(&shapes(self.root, property), at));
            table.entries.push(Entry { key: name.into(), key_span: at, value });
        }
    }

    /// Reports an unknown key. Returns the one that was probably meant.
    fn unknown(&mut self, entry: &Entry, schema: &'s Json) -> Option<&'s str> {
        if self.findings.is_full() {
            self.findings.add(entry.key_span, "");
            return None;
        }
        let known = || keys(schema);
        let meant = nearest(&entry.key, known());
        let mut message = format!("unknown key {}", quoted(&entry.key));
        if let Some(meant) = meant {
            let _ = write!(message, "; did you mean {}?", quoted(meant));
        } else if let Some(place) = self.belongs(self.root, &entry.key, &mut Vec::new()) {
            let _ = write!(message, "; it belongs in {place}");
        }
        let allowed: Vec<_> = known().map(quoted).collect();
        let note = format!("allowed here: {}", allowed.join(", "));
        self.findings.add_noted(entry.key_span, message, Some(note));
        meant
    }

    /// Where in the file a key would be right.
    fn belongs(&self, schema: &'s Json, key: &str, path: &mut Vec<&'s str>) -> Option<String> {
        for shape in shapes(self.root, schema) {
            let Shape::Table(table) = shape else { continue };
            if keys(table).any(|known| known == key) {
                let place =
                    if path.is_empty() { "the top level".into() } else { quoted(&path.join(".")) };
                return Some(place);
            }
            for (name, property) in table.get("properties").and_then(Json::as_object)? {
                path.push(name);
                let found = self.belongs(property, key, path);
                path.pop();
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// A value that fits the first of the shapes.
    fn stand_in(&self, shapes: &[Shape<'s>], span: Span) -> Value {
        let scalar = |text: &str, kind| {
            Value::Scalar(Scalar {
                text: text.into(),
                plain: true,
                expansion: Expansion::None,
                kind,
            })
        };
        match shapes.first() {
            None | Some(Shape::Null) => scalar("", Type::Null),
            Some(Shape::Boolean) => scalar("false", Type::Boolean(false)),
            Some(Shape::Text) => scalar("", Type::Text),
            Some(Shape::Choice(words)) => {
                scalar(words.first().copied().unwrap_or_default(), Type::Text)
            }
            Some(Shape::Whole(least, _)) => scalar(&least.to_string(), Type::Integer(*least)),
            Some(Shape::Number) => scalar("0", Type::Float(0.0)),
            Some(Shape::List(_)) => Value::List(Vec::new()),
            Some(Shape::Table(schema)) => {
                let required =
                    schema.get("required").and_then(Json::as_array).into_iter().flatten();
                let entries = required.filter_map(Json::as_str).map(|key| {
                    let property = &schema["properties"][key];
                    let value = self.stand_in(&self::shapes(self.root, property), span);
                    let value = Node::standin(span, value);
                    Entry { key: key.into(), key_span: span, value }
                });
                Value::Table(Table { entries: entries.collect(), incomplete: true })
            }
        }
    }
}

fn find<'a, 's>(
    shapes: &'a [Shape<'s>],
    wanted: impl Fn(&Shape<'s>) -> bool,
) -> Option<&'a Shape<'s>> {
    shapes.iter().find(|shape| wanted(shape))
}

fn keys(table: &Json) -> impl Iterator<Item = &str> {
    table.get("properties").and_then(Json::as_object).into_iter().flatten().map(|(k, _)| k.as_str())
}

/// Whether any value at all fits: the user's own message, which is no part of the configuration.
fn is_anything(schema: &Json) -> bool {
    const RULES: [&str; 5] = ["$ref", "anyOf", "oneOf", "enum", "type"];
    match schema {
        Json::Bool(anything) => *anything,
        schema => !RULES.iter().any(|rule| schema.get(rule).is_some()),
    }
}

/// The forms that a schema allows, with references and unions resolved.
pub(super) fn shapes<'s>(root: &'s Json, schema: &'s Json) -> Vec<Shape<'s>> {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map(|target| shapes(root, target)).unwrap_or_default();
    }
    let list = |key: &str| schema.get(key).and_then(Json::as_array);
    if let Some(words) = choice(schema) {
        return vec![Shape::Choice(words)];
    }
    if let Some(branches) = list("anyOf").or_else(|| list("oneOf")) {
        return branches.iter().flat_map(|branch| shapes(root, branch)).collect();
    }
    let names: Vec<_> = match schema.get("type") {
        Some(Json::String(name)) => vec![name.as_str()],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter_map(|name| shape(name, schema)).collect()
}

fn shape<'s>(name: &str, schema: &'s Json) -> Option<Shape<'s>> {
    let bound = |key: &str| schema.get(key).and_then(Json::as_i64).map(i128::from);
    Some(match name {
        "null" => Shape::Null,
        "boolean" => Shape::Boolean,
        "string" => Shape::Text,
        "number" => Shape::Number,
        "array" => Shape::List(schema.get("items")?),
        "object" => Shape::Table(schema),
        "integer" => {
            let format = schema.get("format").and_then(Json::as_str);
            let (least, most) = match format {
                Some("uint32") => (0, u32::MAX.into()),
                _ => (i64::MIN.into(), i64::MAX.into()),
            };
            Shape::Whole(bound("minimum").unwrap_or(least), bound("maximum").unwrap_or(most))
        }
        _ => return None,
    })
}

/// The words of an enum, which schemars writes in two ways.
fn choice(schema: &Json) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        return Some(words.iter().filter_map(Json::as_str).collect());
    }
    let branches = schema.get("oneOf").and_then(Json::as_array)?;
    branches.iter().map(|branch| branch.get("const").and_then(Json::as_str)).collect()
}

/// Chooses the type of a scalar that may be taken in more than one way.
fn retype(scalar: &mut Scalar, shapes: &[Shape<'_>]) {
    let text = shapes.iter().any(|shape| matches!(shape, Shape::Text | Shape::Choice(_)));
    if scalar.expansion == Expansion::Whole && scalar.plain && !text {
        // `${PORT}`: a number if the variable holds one.
        scalar.kind = Type::of(&scalar.text);
    }
    let number = shapes.iter().any(|shape| matches!(shape, Shape::Whole(..)));
    let boolean = shapes.iter().any(|shape| matches!(shape, Shape::Boolean));
    let as_written = match scalar.kind {
        Type::Integer(_) | Type::Float(_) => text && number,
        Type::Boolean(_) => text && boolean,
        Type::Null | Type::Text => false,
    };
    // Where both fit, the text that was written: `1.10` must not become `1.1`.
    if as_written {
        scalar.kind = Type::Text;
    }
}

enum Fit {
    Yes,
    /// The type is wrong.
    No,
    /// The type is right, the value is not: a message and a note.
    Refused(String, Option<String>),
}

fn fit(scalar: &Scalar, shapes: &[Shape<'_>]) -> Fit {
    for shape in shapes {
        match (shape, scalar.kind) {
            (Shape::Null, Type::Null)
            | (Shape::Boolean, Type::Boolean(_))
            | (Shape::Text, Type::Text)
            | (Shape::Number, Type::Integer(_) | Type::Float(_)) => return Fit::Yes,
            (Shape::Whole(least, most), Type::Integer(number)) => {
                return in_range(scalar, number, *least, *most);
            }
            (Shape::Choice(words), Type::Text) => return chosen(scalar, words),
            _ => {}
        }
    }
    Fit::No
}

fn in_range(scalar: &Scalar, number: i128, least: i128, most: i128) -> Fit {
    if (least..=most).contains(&number) {
        return Fit::Yes;
    }
    let way = if number < least { "small" } else { "large" };
    let number = scalar.shown();
    Fit::Refused(format!("{number} is too {way}: it must be from {least} to {most}"), None)
}

fn chosen(scalar: &Scalar, words: &[&str]) -> Fit {
    if words.contains(&scalar.text.as_str()) {
        return Fit::Yes;
    }
    let mut message = format!("{} is none of the allowed values", scalar.shown());
    if let Some(meant) = nearest(&scalar.text, words.iter().copied()) {
        let _ = write!(message, "; did you mean {}?", quoted(meant));
    }
    Fit::Refused(message, Some(format!("allowed here: {}", either(words))))
}

/// What was expected, what was found, and how to mend it where that is plain.
fn mismatch(root: &Json, schema: &Json, shapes: &[Shape<'_>], node: &Node) -> String {
    let found = match &node.value {
        Value::List(_) => "a list",
        Value::Table(_) => "a mapping",
        Value::Scalar(scalar) => match scalar.kind {
            Type::Null => "nothing",
            Type::Boolean(_) => "a boolean",
            Type::Integer(_) | Type::Float(_) => "a number",
            Type::Text => "text",
        },
    };
    let has = |wanted: fn(&Shape<'_>) -> bool| shapes.iter().any(wanted);
    let text = has(|shape| matches!(shape, Shape::Text | Shape::Choice(_)));
    let mapping = has(|shape| matches!(shape, Shape::Table(_)));
    let default = schema.get("default").and_then(Json::as_str);
    let mend: String = match (&node.value, found, default) {
        // A number without its unit.
        (_, "a number", Some(default)) if default.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("; write it like {}, the default", quoted(default))
        }
        (_, "a number" | "a boolean", _) if text && !mapping => "; write it in quotes".into(),
        (Value::Scalar(_), "text" | "a number" | "a boolean", _)
            if has(|shape| matches!(shape, Shape::List(_))) =>
        {
            "; put it in `[ ]`".into()
        }
        (Value::Scalar(scalar), "text", _)
            if !scalar.plain && Type::of(&scalar.text) != Type::Text && !text =>
        {
            "; write it without quotes".into()
        }
        _ => String::new(),
    };
    format!("expected {}, found {found}{mend}", expected(root, shapes))
}

fn expected(root: &Json, shapes: &[Shape<'_>]) -> String {
    let mut words: Vec<String> = Vec::new();
    for shape in shapes {
        words.push(match shape {
            Shape::Boolean => "`true` or `false`".into(),
            Shape::Text => "text".into(),
            Shape::Choice(choices) => either(choices),
            Shape::Whole(least, most) if *most - *least < 1 << 32 => {
                format!("a whole number from {least} to {most}")
            }
            // Said by `a number`, or by nothing.
            Shape::Null | Shape::Whole(..) => continue,
            Shape::Number => "a number".into(),
            Shape::List(items) => {
                format!("a list of {}", expected(root, &self::shapes(root, items)))
            }
            Shape::Table(_) => "a mapping".into(),
        });
    }
    match words.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// A key's documentation, on one line.
fn about(schema: &Json) -> Option<String> {
    let text = schema.get("description").and_then(Json::as_str)?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
