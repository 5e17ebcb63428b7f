//! The reference page of the configuration, made from the JSON Schema and so from the doc comments
//! of `raw`.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::schema::FileKind;

/// docs/configuration.md, whole.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Made from the source by `tidegate schema --reference`; `tidegate schema` prints the JSON \
         Schema of a connector file for editors, `tidegate schema --process` that of \
         `tidegate.yaml`, `tidegate schema --test` that of a [test file](test.md).\n\n\
         `${VAR}`, `${VAR:-default}` and `${file:/path}` are taken in every value; `$${` is a plain \
         `${`.\n",
    );
    // What several files share stands where it is met first.
    let mut told = BTreeSet::new();
    for (title, kind) in [
        ("A connector file", FileKind::Connector),
        ("tidegate.yaml", FileKind::Process),
        ("A test file", FileKind::Test),
    ] {
        let schema = kind.schema();
        let _ = write!(page, "\n## {title}\n\n{}\n", text(&schema));
        table(&mut page, &schema);
        for name in sections(&schema) {
            let section = &schema["$defs"][&name];
            if !told.insert((name.clone(), section.to_string())) {
                continue;
            }
            let _ = write!(page, "\n### {name}\n\n{}\n", text(section));
            table(&mut page, section);
            choices(&mut page, section);
        }
    }
    page
}

/// The names of the schema's own types, in the order in which a reader meets them.
fn sections(schema: &Json) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = VecDeque::from([schema]);
    while let Some(part) = open.pop_front() {
        for name in references(part) {
            // Scalars and unions explain themselves where they are used.
            if !names.contains(&name) {
                open.push_back(&schema["$defs"][&name]);
                names.push(name);
            }
        }
    }
    names.retain(|name| {
        let section = &schema["$defs"][name];
        section.get("properties").is_some() || section.get("oneOf").is_some()
    });
    names
}

fn references(part: &Json) -> Vec<String> {
    match part {
        Json::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "$defs")
            .flat_map(|(key, value)| match (key.as_str(), value.as_str()) {
                ("$ref", Some(reference)) => vec![last(reference).to_owned()],
                _ => references(value),
            })
            .collect(),
        Json::Array(list) => list.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

fn table(page: &mut String, object: &Json) {
    let Some(properties) = object["properties"].as_object() else { return };
    page.push_str("\n| Key | Type | Default | |\n|---|---|---|---|\n");
    let required = object["required"].as_array();
    for (key, property) in properties {
        let is_required = required.is_some_and(|keys| keys.iter().any(|k| k == key));
        let default = match (&property["default"], is_required) {
            (_, true) => "required".to_owned(),
            (Json::Null | Json::Object(_) | Json::Array(_), false) => String::new(),
            (Json::String(text), false) => format!("`{text}`"),
            (value, false) => format!("`{value}`"),
        };
        let _ = writeln!(page, "| `{key}` | {} | {default} | {} |", kind(property), text(property));
    }
}

fn choices(page: &mut String, section: &Json) {
    let Some(values) = section["oneOf"].as_array() else { return };
    page.push('\n');
    for value in values {
        let _ = writeln!(page, "- `{}`: {}", value["const"].as_str().unwrap_or(""), text(value));
    }
}

/// A property's type in words, with a link where it has a section of its own.
fn kind(property: &Json) -> String {
    if let Some(reference) = property["$ref"].as_str() {
        return named(last(reference));
    }
    if let Some(forms) = property["anyOf"].as_array() {
        let forms: Vec<_> = forms.iter().filter(|form| form["type"] != "null").map(kind).collect();
        return forms.join(" or ");
    }
    if let Some(map) = property.get("additionalProperties").filter(|map| map.is_object()) {
        return format!("map of {}", kind(map));
    }
    if property["items"].is_object() {
        return format!("list of {}", kind(&property["items"]));
    }
    let words = |name: &str| match name {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        other => other.to_owned(),
    };
    match &property["type"] {
        Json::String(name) => words(name),
        Json::Array(names) => {
            let names = names.iter().filter_map(Json::as_str).filter(|name| *name != "null");
            names.map(words).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn named(name: &str) -> String {
    match name {
        "Scalar" => "text, number or boolean".to_owned(),
        "Decode" => "[Format](#format) or [FormatChoice](#formatchoice)".to_owned(),
        "DayOfWeek" => "`mon` to `sun`".to_owned(),
        // What has no settings has no section.
        "Blackhole" | "Json" => "`{}`".to_owned(),
        "ExpectedPoints" => "lines, or a list of [ExpectedPoint](#expectedpoint)".to_owned(),
        "TagRule" => "a path, a template, or [TagSource](#tagsource)".to_owned(),
        "FieldRule" => "a path, or [FieldSource](#fieldsource)".to_owned(),
        other => format!("[{other}](#{})", other.to_lowercase()),
    }
}

fn last(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// A description on one line, safe in a table.
fn text(part: &Json) -> String {
    let text = part["description"].as_str().unwrap_or("");
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_says_what_the_code_says() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, reference_page()).unwrap();
        }
        let page = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            page == reference_page(),
            "docs/configuration.md is not what the code says; \
             `tidegate schema --reference > docs/configuration.md` makes it anew"
        );
    }

    #[test]
    fn every_link_leads_to_a_section() {
        let page = reference_page();
        let linked: std::collections::BTreeSet<_> =
            page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        let is_there = |anchor: &&str| {
            page.lines().any(|line| line.trim_start_matches('#').trim().to_lowercase() == **anchor)
        };
        let lost: Vec<_> = linked.iter().filter(|anchor| !is_there(anchor)).collect();
        assert!(lost.is_empty(), "{lost:?}: let `named` say what they are");
    }
}
