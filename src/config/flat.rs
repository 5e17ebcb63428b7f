//! A connector file as one flat map of texts, the form that Kafka Connect's tools send and show.
//!
//! A key is the way to a value, joined by dots: `sink.influxdb.url`, `point.fields.temperature.type`,
//! `kafka.bootstrap.servers`. Where names are the user's own and may hold dots themselves, the schema
//! says where a name ends. A list is its items with commas between, or YAML such as `[a, b]`; any
//! value may be YAML where the file takes a list or a mapping, such as `{path: t, type: integer}`.
//! Two keys are Kafka Connect's own: `connector.class` says nothing here, and `tasks.max` is `workers`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json};

use super::error::{Errors, Findings, quoted};
use super::plain::Type;
use super::schema::{FileKind, Shape, shapes};
use super::secrets::{holds_login, is_reference, is_secret};
use super::source::Source;
use super::tree::{self, Node, Value};

/// What Kafka Connect's tools send and get.
pub type Flat = BTreeMap<String, String>;

/// What stands in place of a secret that is shown.
pub const MASK: &str = "***";

/// The connector file's text (JSON, which is YAML) that a flat map stands for. Errors name the key.
pub fn nested(flat: &Flat) -> Result<String, Vec<(String, String)>> {
    let schema = FileKind::Connector.schema();
    let (mut root, mut wrong) = (Json::Object(Map::new()), Vec::new());
    for (key, text) in flat {
        if key == "connector.class" || key == "tasks.max" && flat.contains_key("workers") {
            continue;
        }
        let way = if key == "tasks.max" { "workers" } else { key };
        let (steps, leaf) = steps(&schema, way);
        let placed = value(leaf.as_deref().unwrap_or_default(), text)
            .and_then(|value| place(&mut root, &steps, value));
        if let Err(message) = placed {
            wrong.push((key.clone(), message));
        }
    }
    if wrong.is_empty() { Ok(format!("{root:#}\n")) } else { Err(wrong) }
}

/// The same of a file that holds such a map as JSON.
pub(super) fn nested_file(file: &Path, text: &str) -> Result<String, Errors> {
    let wrong = |message: String| {
        let mut errors = Errors::default();
        errors.push(super::Error::of_file(file, message));
        errors
    };
    let flat: Flat = serde_json::from_str(text)
        // Serde's own words may quote a secret.
        .map_err(|error| wrong(format!("line {} is no flat map of texts", error.line())))?;
    nested(&flat).map_err(|errors| {
        let texts: Vec<_> = errors.iter().map(|(key, what)| format!("`{key}`: {what}")).collect();
        wrong(texts.join("; "))
    })
}

/// The flat map that a connector file stands for, as it was written: nothing is filled in, and
/// secrets are masked.
pub fn flat(text: &str) -> Flat {
    let mut flat = Flat::new();
    let mut source = Source::new(Path::new(""), text.to_owned());
    if let Some(root) = tree::parse(&mut source, &mut Findings::default()) {
        flatten(&mut Vec::new(), &root, &mut flat);
    }
    flat
}

/// Hides what must not be shown in a map as a request has sent it.
pub fn masked(flat: &Flat) -> Flat {
    let show = |(key, text): (&String, &String)| {
        let path: Vec<_> = key.split('.').collect();
        (key.clone(), shown(&path, text))
    };
    flat.iter().map(show).collect()
}

fn flatten(path: &mut Vec<String>, node: &Node, flat: &mut Flat) {
    let text = match &node.value {
        Value::Table(table) if !table.entries.is_empty() => {
            for entry in &table.entries {
                path.push(entry.key.clone());
                flatten(path, &entry.value, flat);
                path.pop();
            }
            return;
        }
        Value::Scalar(scalar) => scalar.text.clone(),
        Value::List(items) => list(items).unwrap_or_else(|| node.to_json().to_string()),
        Value::Table(_) => node.to_json().to_string(),
    };
    let steps: Vec<_> = path.iter().map(String::as_str).collect();
    flat.insert(path.join("."), shown(&steps, &text));
}

/// Items with commas between, if they are so simple.
fn list(items: &[Node]) -> Option<String> {
    let simple = |text: &str| !text.is_empty() && !text.contains([',', '[', '{', ' ']);
    let texts = items.iter().map(|item| item.scalar().map(|scalar| scalar.text.as_str()));
    let texts: Vec<_> =
        texts.map(|text| text.filter(|text| simple(text))).collect::<Option<_>>()?;
    Some(texts.join(","))
}

fn shown(path: &[&str], text: &str) -> String {
    // The names below these two are the user's own, and their values are paths.
    let own_names = matches!(path, ["point", "tags" | "fields", ..]);
    let secret = !own_names && path.iter().any(|step| is_secret(step)) && !is_file_name(path);
    if (secret || holds_login(text)) && !is_reference(text) { MASK.into() } else { text.into() }
}

/// `token_file` and the like say where the secret is.
fn is_file_name(path: &[&str]) -> bool {
    path.last().is_some_and(|key| key.ends_with("_file"))
}

/// The steps of a flat key, and the shapes that its value may have; none where the schema knows no
/// such key: then the checks say so.
fn steps<'k>(schema: &Json, key: &'k str) -> (Vec<&'k str>, Option<Vec<Leaf>>) {
    let mut steps = Vec::new();
    let (mut here, mut rest) = (schema, key);
    loop {
        let Some((step, next, behind)) = step(schema, here, rest) else {
            steps.push(rest);
            return (steps, None);
        };
        steps.push(step);
        let Some(behind) = behind else {
            let leaves = shapes(schema, next).iter().map(Leaf::of).collect();
            return (steps, Some(leaves));
        };
        (here, rest) = (next, behind);
    }
}

/// The first step of a key at a place of the schema: its name, the schema behind it, and the rest.
fn step<'s, 'k>(
    root: &'s Json,
    here: &'s Json,
    key: &'k str,
) -> Option<(&'k str, &'s Json, Option<&'k str>)> {
    let tables = shapes(root, here);
    let tables = tables.iter().filter_map(|shape| match shape {
        Shape::Table(table) => Some(*table),
        _ => None,
    });
    for table in tables {
        if let Some(known) = table.get("properties").and_then(Json::as_object) {
            let dots = key.match_indices('.').map(|(at, _)| at).chain([key.len()]);
            for at in dots {
                if let Some(next) = known.get(&key[..at]) {
                    return Some((&key[..at], next, key.get(at + 1..)));
                }
            }
        }
        if let Some(each) = table.get("additionalProperties").filter(|each| each.is_object()) {
            return Some(own_name(root, each, key));
        }
    }
    None
}

/// A name that is the user's own, and may hold dots: it ends before the last step if that is one that
/// the schema knows there.
fn own_name<'s, 'k>(
    root: &'s Json,
    each: &'s Json,
    key: &'k str,
) -> (&'k str, &'s Json, Option<&'k str>) {
    let last = key.rsplit_once('.').filter(|(name, last)| {
        let known = |shape: &Shape<'_>| matches!(shape, Shape::Table(table) if table.pointer(&format!("/properties/{last}")).is_some());
        !name.is_empty() && shapes(root, each).iter().any(known)
    });
    match last {
        Some((name, last)) => (name, each, Some(last)),
        None => (key, each, None),
    }
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    Text,
    Number,
    List,
    Table,
}

impl Leaf {
    fn of(shape: &Shape<'_>) -> Self {
        match shape {
            Shape::Null | Shape::Text | Shape::Choice(_) => Self::Text,
            Shape::Boolean | Shape::Whole(..) | Shape::Number => Self::Number,
            Shape::List(_) => Self::List,
            Shape::Table(_) => Self::Table,
        }
    }
}

fn value(leaves: &[Leaf], text: &str) -> Result<Json, String> {
    let may_be = |leaf| leaves.contains(&leaf);
    let trimmed = text.trim();
    let is_yaml = may_be(Leaf::List) && trimmed.starts_with('[')
        || may_be(Leaf::Table) && trimmed.starts_with('{');
    if is_yaml {
        return yaml(trimmed);
    }
    if may_be(Leaf::List) && !may_be(Leaf::Text) {
        let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Ok(items.map(Json::from).collect());
    }
    let typed = match Type::of(trimmed) {
        Type::Boolean(value) => Some(Json::Bool(value)),
        Type::Integer(_) | Type::Float(_) => serde_json::from_str(trimmed).ok(),
        Type::Null | Type::Text => None,
    };
    let only_typed = may_be(Leaf::Number) && !may_be(Leaf::Text);
    Ok(typed.filter(|_| only_typed).unwrap_or_else(|| Json::from(text)))
}

fn yaml(text: &str) -> Result<Json, String> {
    let mut source = Source::new(Path::new(""), text.to_owned());
    let mut findings = Findings::default();
    let root = tree::parse(&mut source, &mut findings);
    match root {
        Some(root) if findings.is_empty() => Ok(root.to_json()),
        _ => Err("is no YAML in one line, such as `[a, b]` or `{path: t, type: integer}`".into()),
    }
}

fn place(root: &mut Json, steps: &[&str], value: Json) -> Result<(), String> {
    let mut here = root;
    for step in steps {
        let Json::Object(map) = here else {
            return Err("another key gives the whole of it, so this part has no place".into());
        };
        here = map.entry(*step).or_insert_with(|| Json::Object(Map::new()));
    }
    if here.as_object().is_some_and(|map| !map.is_empty()) {
        return Err(format!(
            "other keys give parts of it, so {} has no place",
            quoted("the whole")
        ));
    }
    *here = value;
    Ok(())
}

/// An option of a connector, as its flat key names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// With `*` for a name of the user's own.
    pub key: String,
    /// The doc comment of its raw type.
    pub documentation: String,
    /// In Kafka Connect's words: `STRING`, `INT`, `DOUBLE`, `BOOLEAN` or `LIST`.
    pub kind: &'static str,
    /// The words that it takes, if it takes nothing else.
    pub choices: Vec<String>,
    pub default: Option<String>,
    pub required: bool,
}

/// Every option of a connector.
pub fn settings() -> Vec<Setting> {
    let schema = FileKind::Connector.schema();
    let mut settings = Vec::new();
    collect(&schema, &schema, "", true, &mut settings);
    settings
}

fn collect(root: &Json, table: &Json, prefix: &str, needed: bool, settings: &mut Vec<Setting>) {
    // Deeper than any option: a type that holds itself has no end.
    if prefix.matches('.').count() > 6 {
        return;
    }
    let required = table.get("required").and_then(Json::as_array);
    for (name, property) in table.get("properties").and_then(Json::as_object).into_iter().flatten()
    {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let needed = needed && required.is_some_and(|keys| keys.iter().any(|key| key == name));
        let shapes = shapes(root, property);
        let mut deeper = false;
        for shape in &shapes {
            let Shape::Table(inner) = shape else { continue };
            if inner.get("properties").is_some() {
                deeper = true;
                collect(root, inner, &key, needed, settings);
            }
        }
        if !deeper {
            settings.push(setting(key, property, &shapes, needed));
        }
    }
}

fn setting(key: String, property: &Json, shapes: &[Shape<'_>], required: bool) -> Setting {
    let leaves: Vec<_> = shapes.iter().map(Leaf::of).collect();
    let kind = match (shapes, leaves.as_slice()) {
        ([Shape::Boolean], _) => "BOOLEAN",
        ([Shape::Whole(..)], _) => "INT",
        ([Shape::Number], _) => "DOUBLE",
        (_, leaves) if leaves.contains(&Leaf::List) => "LIST",
        _ => "STRING",
    };
    let choices = shapes.iter().flat_map(|shape| match shape {
        Shape::Choice(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        _ => Vec::new(),
    });
    let documentation = property.get("description").and_then(Json::as_str).unwrap_or_default();
    let default = property.get("default").and_then(|default| match default {
        Json::Null | Json::Object(_) => None,
        Json::Array(items) if items.is_empty() => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    });
    Setting {
        key: if leaves.contains(&Leaf::Table) { format!("{key}.*") } else { key },
        documentation: documentation.replace('\n', " "),
        kind,
        choices: choices.collect(),
        default,
        required,
    }
}

#[cfg(test)]
#[path = "tests/flat.rs"]
mod tests;
