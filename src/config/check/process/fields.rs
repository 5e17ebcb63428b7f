//! Fields that processors name: one that no point has by then is a mistake of spelling, and nothing would
//! ever be made of it.

use std::collections::BTreeSet;

use crate::config::check::Checker;
use crate::config::error::{nearest, quoted};
use crate::config::raw;
use crate::map::Mapping;
use crate::process::{Processor, Shape};

/// Where wildcards or the messages themselves name fields, nothing can be said.
pub(in crate::config::check) fn fields(
    raw: &raw::ConnectorFile,
    mapping: &Mapping,
    processors: &[Processor],
    checker: &mut Checker<'_>,
) {
    let are_named = mapping.points.iter().all(|rule| rule.all_fields.is_empty());
    if mapping.points.is_empty() || !are_named {
        return;
    }
    for (index, step) in raw.process.iter().enumerate() {
        let before = &processors[..index];
        let shapes = mapping.points.iter().map(|rule| Shape::of(rule, before));
        let known: BTreeSet<String> =
            shapes.flat_map(|shape| shape.fields).map(|(name, _)| name).collect();
        let index = index.to_string();
        for (keys, field) in named(step) {
            if known.contains(field) {
                continue;
            }
            let names = known.iter().map(String::as_str);
            let hint = match nearest(field, names.clone()) {
                Some(near) => format!("did you mean {}?", quoted(near)),
                None => format!("there are: {}", names.map(quoted).collect::<Vec<_>>().join(", ")),
            };
            let at = [&["process", &index], &keys[..]].concat();
            let message = format!("no field {} comes here; {hint}", quoted(field));
            // A list's own place is its key.
            if keys.contains(&"field") {
                checker.wrong(&at, message);
            } else {
                checker.wrong_key(&at, message);
            }
        }
    }
}

/// The fields that a processor makes something of, each with the keys that lead to it.
fn named(step: &raw::ProcessStep) -> Vec<(Vec<&str>, &str)> {
    let mut named = Vec::new();
    if let Some(anomaly) = &step.anomaly {
        named.push((vec!["anomaly", "field"], anomaly.field.as_str()));
    }
    let rate = step.rate.iter().map(|rate| ("rate", &rate.fields));
    let delta = step.delta.iter().map(|delta| ("delta", &delta.fields));
    for (key, fields) in rate.chain(delta) {
        named.extend(fields.iter().map(|field| (vec![key, "fields"], field.as_str())));
    }
    let cast = step.cast.iter().flatten();
    named.extend(cast.map(|(field, _)| (vec!["cast", field.as_str()], field.as_str())));
    let window = step.window.iter().flat_map(|window| window.fields.keys());
    named.extend(window.map(|field| (vec!["window", "fields", field.as_str()], field.as_str())));
    named
}
