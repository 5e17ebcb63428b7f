//! What a connector can be told, and whether what it is told is right.

use serde_json::{Value, json};

use super::CLASS;
use crate::config::flat::{self, Flat, Setting};
use crate::config::{self, Environment};
use crate::reload::Reload;
use crate::server::route::{Answer, Call, Refusal, Reply};

pub(super) fn list(_: &Call) -> Answer {
    Reply::ok(json!([
        { "class": CLASS, "type": "sink", "version": env!("CARGO_PKG_VERSION") },
    ]))
}

pub(super) fn config(call: &Call) -> Answer {
    ours(call)?;
    let options = flat::settings();
    Reply::ok(
        options.iter().enumerate().map(|(at, option)| definition(option, at)).collect::<Vec<_>>(),
    )
}

pub(super) fn validate(call: &Call) -> Answer {
    ours(call)?;
    let given: Flat = call.body()?;
    let mut errors = check(&call.served.reload, &given).err().unwrap_or_default();
    let mut configs = Vec::new();
    for (order, option) in flat::settings().iter().enumerate() {
        // A name of the user's own: each that is given is a row.
        let rows: Vec<_> = match option.key.strip_suffix('*') {
            Some(prefix) => given.keys().filter(|key| key.starts_with(prefix)).cloned().collect(),
            None => vec![option.key.clone()],
        };
        for key in rows {
            let (own, others) = errors.into_iter().partition(|(at, _)| *at == key);
            errors = others;
            configs.push(row(option, order, &key, &given, own));
        }
    }
    for (key, what) in errors {
        let unknown = Setting {
            key: key.clone(),
            documentation: String::new(),
            kind: "STRING",
            choices: Vec::new(),
            default: None,
            required: false,
        };
        configs.push(row(&unknown, configs.len(), &key, &given, vec![(key.clone(), what)]));
    }
    let count = configs.iter().filter(|row| row["value"]["errors"] != json!([])).count();
    Reply::ok(json!({
        "name": CLASS,
        "error_count": count,
        "groups": ["", "point", "sink", "kafka", "batch", "delivery", "dead_letter"],
        "configs": configs,
    }))
}

fn ours(call: &Call) -> Result<(), Refusal> {
    let plugin = call.at("plugin");
    if plugin == CLASS {
        return Ok(());
    }
    Err(Refusal::new(404, format!("Unknown plugin {plugin}.")))
}

fn definition(option: &Setting, order: usize) -> Value {
    let group = option.key.split_once('.').map_or("", |(group, _)| group);
    json!({
        "name": option.key,
        "type": option.kind,
        "required": option.required,
        "default_value": option.default,
        "importance": if option.required { "HIGH" } else { "MEDIUM" },
        "documentation": option.documentation,
        "group": group,
        "order_in_group": order,
        "width": "MEDIUM",
        "display_name": option.key,
        "dependents": [],
    })
}

fn row(
    option: &Setting,
    order: usize,
    key: &str,
    given: &Flat,
    errors: Vec<(String, String)>,
) -> Value {
    let mut definition = definition(option, order);
    definition["name"] = json!(key);
    let shown = flat::masked(given);
    json!({
        "definition": definition,
        "value": {
            "name": key,
            "value": shown.get(key).or(option.default.as_ref()),
            "recommended_values": option.choices,
            "errors": errors.into_iter().map(|(_, what)| what).collect::<Vec<_>>(),
            "visible": true,
        },
    })
}

/// Everything that is wrong with a configuration, by key. Touches no broker and no database.
pub(in crate::server) fn check(reload: &Reload, given: &Flat) -> Result<(), Vec<(String, String)>> {
    if let Some(class) = given.get("connector.class").filter(|class| *class != CLASS) {
        let what = format!(
            "Failed to find any class that implements Connector and which name matches {class}"
        );
        return Err(vec![("connector.class".into(), what)]);
    }
    let text = flat::nested(given)?;
    let checked = config::load_text("config", &text, &reload.process(), &Environment::process());
    checked.map(drop).map_err(|errors| {
        let of = |error: &config::Error| {
            let note = error.note.as_ref().map_or_else(String::new, |note| format!(" ({note})"));
            let line = error.place.and_then(|(line, _)| text.lines().nth(line - 1));
            (key_of(line.unwrap_or_default(), given), format!("{}{note}", error.message))
        };
        errors.iter().map(of).collect()
    })
}

/// The flat key that a line of the nested text stands for: the one that ends as the line begins.
/// `name`, which there always is, where none does.
fn key_of(line: &str, given: &Flat) -> String {
    let step = line.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
    let ends = |key: &&String| {
        step.is_some_and(|step| {
            key.strip_suffix(step).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    };
    given.keys().find(ends).cloned().unwrap_or_else(|| "name".into())
}
