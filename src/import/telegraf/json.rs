//! Telegraf's `data_format = "json"`: every number of a message is a field, by its keys with `_` between.

use toml::Table;

use super::{path, text, texts, time};
use crate::import::draft::Imported;
use crate::infer::quoted;

/// Objects are followed so deep.
const DEPTH: u32 = 8;

pub(super) fn mapping(input: &Table, imported: &mut Imported) {
    if let Some(query) = text(input, "json_query") {
        chunk(query, imported);
    } else {
        imported.note(
            "a message that is an array gave a point for each element: if yours are, add `explode: '$'`",
        );
    }
    if let Some(key) = text(input, "json_name_key") {
        imported.measurement = format!("{{{{ value.{} }}}}", at(key));
        imported.note(format!(
            "a message without {key} had the name kafka_consumer, and is rejected here"
        ));
    }
    let tags = texts(input, "tag_keys");
    for key in named(&tags, "tag_keys", imported) {
        imported.tags.push((key.clone(), quoted(&at(key))));
    }
    let strings = texts(input, "json_string_fields");
    for key in named(&strings, "json_string_fields", imported) {
        let rule = format!("{{ path: {}, type: string, coerce: true }}", quoted(&at(key)));
        imported.fields.push((key.clone(), rule));
    }
    let all = tags.iter().chain(&strings);
    let deep = all.filter(|key| key.contains('_') && !is_pattern(key));
    let deep: Vec<_> = deep.map(String::as_str).collect();
    if !deep.is_empty() {
        imported.note(format!(
            "Telegraf joins the keys of objects with `_`; where one of these stands in an object, write its \
             path with a dot: {}",
            deep.join(", ")
        ));
    }
    let rule = format!("{{ path: '*', depth: {DEPTH} }}");
    imported.fields.push(("*".into(), rule));
    imported.note(
        "values within arrays had names such as `a_0`; here they are left out: name them, such as \
         `a_0: 'a[0]'`",
    );
    match text(input, "json_time_key") {
        Some(key) => {
            let of = |key| text(input, key).unwrap_or_default();
            time(&at(key), of("json_time_format"), of("json_timezone"), imported);
            if of("json_time_format").starts_with("unix") {
                imported.dropped.push(key.to_owned());
            }
        }
        None => imported.note("the time was that of reading; here it is the record's own"),
    }
}

/// The part of a message that is read.
fn chunk(query: &str, imported: &mut Imported) {
    let Some(path) = path(query) else {
        imported.note(format!(
            "json_query {query} is a query that has no counterpart: the whole message is read here"
        ));
        return;
    };
    imported.note(format!(
        "json_query {query} is taken for an array: if it is an object, leave `explode` out, and write \
         {path}. before each path"
    ));
    imported.explode = Some(path);
}

/// Those that are no patterns.
fn named<'k>(keys: &'k [String], setting: &str, imported: &mut Imported) -> Vec<&'k String> {
    for pattern in keys.iter().filter(|key| is_pattern(key)) {
        imported.note(format!("{setting}: {pattern} is a pattern; name what it takes"));
    }
    keys.iter().filter(|key| !is_pattern(key)).collect()
}

fn is_pattern(key: &str) -> bool {
    key.contains(['*', '?', '[', '{'])
}

/// A key, as a path.
fn at(key: &str) -> String {
    let quoted = format!("[{}]", serde_json::Value::from(key));
    quoted.parse::<crate::path::Path>().map_or(quoted, |path| path.to_string())
}
