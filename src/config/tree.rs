//! YAML text → a tree of nodes, each with its place in the text.
//!
//! Built on the parser's events rather than on serde, because only they tell where each key and
//! value stands and how a scalar was quoted. What YAML can do beyond plain data (anchors, tags,
//! several documents) is refused: a configuration must read the same to a person and to a machine.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StrInput, options};
use serde_json::{Number, Value as Json};

use super::error::{Findings, quoted};
use super::expand::Expansion;
use super::plain::Type;
use super::secrets;
use super::source::{Source, Span};

/// The largest file that is read.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// The deepest nesting; the deepest that makes sense is about 6.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
    /// Put in place of a value that was reported as wrong or missing, so that the checks after it
    /// can go on. What they find here is not reported.
    pub(super) standin: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Table(Table),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// The text, after quotes, escapes and expansion.
    pub(super) text: String,
    /// Neither quoted nor a block.
    pub(super) plain: bool,
    pub(super) expansion: Expansion,
    /// As what the schema takes it.
    pub(super) kind: Type,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Table {
    /// In the order of the file.
    pub(super) entries: Vec<Entry>,
    /// A key was refused, so what seems to be missing may only be misspelt.
    pub(super) incomplete: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(super) fn child(&self, step: &str) -> Option<(&Node, Option<Span>)> {
        match &self.value {
            Value::Scalar(_) => None,
            Value::List(items) => items.get(step.parse::<usize>().ok()?).map(|item| (item, None)),
            Value::Table(table) => {
                let entry = table.entries.iter().find(|entry| entry.key == step)?;
                Some((&entry.value, Some(entry.key_span)))
            }
        }
    }

    /// As serde takes it, typed as the schema wants it.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(table) => {
                let pairs = table.entries.iter().map(|e| (e.key.clone(), e.value.to_json()));
                Json::Object(pairs.collect())
            }
            Value::Scalar(scalar) => match scalar.kind {
                Type::Null => Json::Null,
                Type::Boolean(value) => Json::Bool(value),
                Type::Integer(value) => Number::from_i128(value).map_or(Json::Null, Json::Number),
                Type::Float(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
                Type::Text => Json::String(scalar.text.clone()),
            },
        }
    }

    /// A value that stands in for a wrong one.
    pub(super) fn standin(span: Span, value: Value) -> Self {
        Self { span, value, standin: true }
    }
}

impl Scalar {
    pub(super) fn new(text: impl Into<String>, plain: bool) -> Self {
        let text = text.into();
        let kind = if plain { Type::of(&text) } else { Type::Text };
        Self { text, plain, expansion: Expansion::None, kind }
    }

    /// The text for a message: `***` if any of it came from an expansion.
    pub(super) fn shown(&self) -> String {
        if self.expansion == Expansion::None { quoted(&self.text) } else { "`***`".into() }
    }
}

/// Reads a text's only document. `None` after an error that leaves nothing to go on with; what is
/// wrong is in `findings` either way. An empty document is an empty table.
pub(super) fn parse(source: &mut Source, findings: &mut Findings) -> Option<Node> {
    let text = std::mem::take(&mut source.text);
    let mut options = options! {};
    options.set_emit_comments(false);
    // Otherwise a secret that begins with `*` would be a syntax error that says nothing of it.
    options.emit_unresolved_aliases = true;
    let mut builder = Builder {
        text: &text,
        events: Parser::new_from_str_with_options(&text, options),
        findings,
        path: Vec::new(),
        secrets: Vec::new(),
        failed_at: None,
    };
    let root = builder.document();
    let Builder { secrets, failed_at, .. } = builder;
    source.text = text;
    for secret in secrets {
        source.mask(secret);
    }
    if let Some(at) = failed_at {
        let (line, _) = source.place(at);
        secrets::mask_by_look(source, line);
    }
    root.ok()
}

/// The events make no sense any more; the reason is among the findings.
struct Stop;

struct Builder<'t, 'f> {
    text: &'t str,
    events: Parser<'t, StrInput<'t>>,
    findings: &'f mut Findings,
    /// The keys down to where it is.
    path: Vec<String>,
    /// What must not be shown; gathered here, because a key that is refused leaves no node.
    secrets: Vec<Range<usize>>,
    failed_at: Option<usize>,
}

impl<'t> Builder<'t, '_> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.events.next() {
            Some(Ok((event, span))) => {
                let bytes = span.byte_range().unwrap_or_default();
                // A tag stands before its value; an error about it points at the tag.
                let tag = span.tag_span().and_then(|span| span.byte_range()).map(|tag| tag.start);
                Ok((event, Span::new(tag.unwrap_or(bytes.start).min(bytes.start), bytes.end)))
            }
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or_default();
                self.findings.add_noted(
                    Span::new(at, at + 1),
                    format!("not YAML: {}", error.info()),
                    Some(SYNTAX_HINT.into()),
                );
                self.failed_at = Some(at);
                Err(Stop)
            }
            None => Err(Stop),
        }
    }

    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    self.findings.add(
                        span,
                        "a second document begins here; write each connector into a file of its own",
                    );
                    break;
                }
                event if event.is_node() => root = Some(self.node(event, span, 0)?),
                _ => {}
            }
        }
        Ok(root.unwrap_or_else(|| Node {
            span: Span::default(),
            value: Value::Table(Table::default()),
            standin: false,
        }))
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Stop> {
        if depth > MAX_DEPTH {
            self.findings.add(span, format!("nested deeper than {MAX_DEPTH} levels"));
            self.failed_at = Some(span.start);
            return Err(Stop);
        }
        let mut standin = self.refuse_tag(&event, span);
        let mut span = span;
        let value = match event {
            Event::Scalar(text, style, _, tag) => {
                if secrets::holds_login(&text) {
                    self.secrets.push(span.start..span.end);
                }
                let plain = style == ScalarStyle::Plain && tag.is_none();
                Value::Scalar(Scalar::new(text, plain))
            }
            Event::SequenceStart(..) => {
                let (items, end) = self.list(depth)?;
                span.end = end.max(span.end);
                Value::List(items)
            }
            Event::MappingStart(..) => {
                let (table, end) = self.table(depth)?;
                span.end = end.max(span.end);
                // Nothing but refused keys, such as a template without quotes: no mapping was meant.
                standin |= table.incomplete && table.entries.is_empty();
                Value::Table(table)
            }
            _ => {
                self.findings.add(
                    span,
                    "anchors and aliases are not supported; write the value out, and in quotes if \
                     it begins with `*`",
                );
                standin = true;
                Value::Scalar(Scalar::new("", false))
            }
        };
        Ok(Node { span, value, standin })
    }

    /// Tags other than `!!str` would silently change what a value means.
    fn refuse_tag(&mut self, event: &Event<'_>, span: Span) -> bool {
        let refused = event.tag().is_some_and(|tag| tag.core_suffix() != Some("str"));
        if refused {
            self.findings.add(
                span,
                "YAML tags are not supported; write a value that begins with `!` in quotes",
            );
        }
        refused
    }

    fn list(&mut self, depth: usize) -> Result<(Vec<Node>, usize), Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => return Ok((items, span.end)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn table(&mut self, depth: usize) -> Result<(Table, usize), Stop> {
        let mut table = Table::default();
        let mut keys = std::collections::HashSet::new();
        loop {
            let (event, key_span) = match self.next()? {
                (Event::MappingEnd, span) => return Ok((table, span.end)),
                other => other,
            };
            let key = self.key(event, key_span, depth)?;
            let (event, span) = self.next()?;
            self.path.push(key.clone().unwrap_or_default());
            let value = self.node(event, span, depth + 1);
            self.path.pop();
            let (Some(key), value) = (key, value?) else {
                table.incomplete = true;
                continue;
            };
            let secret = secrets::of_entry(&self.path, &key, key_span, &value, self.text);
            self.secrets.extend(secret);
            if !keys.insert(key.clone()) {
                self.findings.add(
                    key_span,
                    format!("the key {} is here twice; keep one of them", quoted(&key)),
                );
                continue;
            }
            table.entries.push(Entry { key, key_span, value });
        }
    }

    /// `None` for a key that is no text; its value is still to be read.
    fn key(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Option<String>, Stop> {
        let message = match &event {
            Event::Scalar(text, _, _, None) if text.contains("${") => {
                "variables are expanded in values only, not in keys"
            }
            Event::Scalar(text, _, _, None) if span.end > span.start => {
                return Ok(Some(text.clone().into_owned()));
            }
            Event::Scalar(_, _, _, None) => "a key is missing before this `:`",
            Event::MappingStart(..) => {
                "a key must be text; a template such as `{{ topic }}` must stand in quotes"
            }
            Event::SequenceStart(..) => "a key must be text",
            // Reported as what it is below.
            _ => "",
        };
        if !message.is_empty() {
            self.findings.add(span, message);
        }
        self.node(event, span, depth + 1)?;
        Ok(None)
    }
}

const SYNTAX_HINT: &str = "text with `{{ }}`, `: ` or ` #` in it must stand in quotes, and so must \
                           `${ }` inside `{ }` or `[ ]`";
