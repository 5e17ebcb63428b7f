//! Telegraf's `inputs.kafka_consumer` with `json_v2` or `json`, and its `outputs.influxdb` and
//! `outputs.influxdb_v2`.

mod json;
mod layout;

use std::fmt::Write as _;

use toml::{Table, Value};

use super::ImportError;
use super::draft::{self, Imported, file_name, secret};
use crate::infer::quoted;
use crate::path::Path;

pub(super) fn import(text: &str) -> Result<Vec<Imported>, ImportError> {
    let config: Table = text.parse().map_err(|error| ImportError(format!("not TOML: {error}")))?;
    let inputs = plugins(&config, "inputs", "kafka_consumer");
    if inputs.is_empty() {
        return Err(ImportError("there is no [[inputs.kafka_consumer]]".into()));
    }
    let mut connectors = Vec::new();
    for input in inputs {
        let parsers = tables(input.get("json_v2"));
        // Each is a measurement of its own, and so a connector; a message without any still is one.
        let none = Table::new();
        let parsers = if parsers.is_empty() { vec![&none] } else { parsers };
        let count = parsers.len();
        for (number, parser) in parsers.into_iter().enumerate() {
            let mut imported = of_input(input, parser)?;
            output(&config, &mut imported)?;
            unknown(&config, &mut imported);
            if count > 1 {
                imported.name = format!("{}-{}", imported.name, number + 1);
                imported.note(format!(
                    "{count} json_v2 sections read the same topics: each became a connector, with a \
                     group of its own"
                ));
                imported.group = None;
            }
            connectors.push(imported);
        }
    }
    Ok(connectors)
}

fn plugins<'t>(config: &'t Table, kind: &str, name: &str) -> Vec<&'t Table> {
    tables(config.get(kind).and_then(Value::as_table).and_then(|plugins| plugins.get(name)))
}

/// The tables of an array, or the one that there is.
fn tables(value: Option<&Value>) -> Vec<&Table> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_table).collect(),
        Some(Value::Table(table)) => vec![table],
        _ => Vec::new(),
    }
}

fn text<'t>(table: &'t Table, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn texts(table: &Table, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

fn of_input(input: &Table, parser: &Table) -> Result<Imported, ImportError> {
    let topics = texts(input, "topics");
    let patterns = texts(input, "topic_regexps");
    if topics.is_empty() && patterns.is_empty() {
        return Err(ImportError("[[inputs.kafka_consumer]] has no topics".into()));
    }
    let first = topics.first().map_or("kafka", String::as_str);
    let mut imported = Imported {
        name: file_name(text(input, "name_override").unwrap_or(first)),
        source: "a Telegraf configuration",
        group: Some(text(input, "consumer_group").unwrap_or("telegraf_metrics_consumers").into()),
        ..Imported::default()
    };
    if patterns.is_empty() {
        imported.topics = topics;
    } else {
        let topics = topics.iter().map(|topic| regex::escape(topic));
        let all: Vec<_> = topics.chain(patterns).collect();
        imported.pattern = Some(format!("^({})$", all.join("|")));
    }
    kafka(input, &mut imported);
    let measurement = text(parser, "measurement_name").or(text(input, "name_override"));
    imported.measurement = match text(parser, "measurement_name_path") {
        Some(path) => format!("{{{{ value.{path} }}}}"),
        // Telegraf's own default.
        None => measurement.unwrap_or("kafka_consumer").into(),
    };
    if let Some(tag) = text(input, "topic_tag") {
        imported.tags.push((tag.into(), "{ record: topic }".into()));
    }
    for (name, value) in input.get("tags").and_then(Value::as_table).into_iter().flatten() {
        let constant = format!("{{ constant: {} }}", quoted(value.as_str().unwrap_or_default()));
        imported.tags.push((name.clone(), constant));
    }
    match text(input, "data_format").unwrap_or("influx") {
        "json_v2" => mapping(parser, &mut imported),
        "json" => json::mapping(input, &mut imported),
        other => {
            imported.all_fields(&format!("data_format = \"{other}\""), "*", 1);
            imported.note(format!(
                "data_format is {other}, of which the mapping is not carried over; for what it reads, \
                 see docs/formats.md"
            ));
        }
    }
    imported.note(
        "Telegraf commits what it has read when it is written or dropped; here it is committed when the \
         database has acknowledged it",
    );
    imported.note(
        "there is no dead-letter topic, so the first rejected record stops the connector: set \
         `dead_letter`, or leave it so",
    );
    Ok(imported)
}

/// How the brokers are reached.
fn kafka(input: &Table, imported: &mut Imported) {
    let brokers = texts(input, "brokers");
    if !brokers.is_empty() {
        imported.kafka.push(("bootstrap.servers".into(), brokers.join(",")));
    }
    if text(input, "offset") == Some("newest") {
        imported.kafka.push(("auto.offset.reset".into(), "latest".into()));
    }
    let user = text(input, "sasl_username");
    let is_tls = input.get("enable_tls").and_then(Value::as_bool).unwrap_or(false)
        || ["tls_ca", "tls_cert"].iter().any(|key| text(input, key).is_some());
    let protocol = match (user.is_some(), is_tls) {
        (true, true) => Some("sasl_ssl"),
        (true, false) => Some("sasl_plaintext"),
        (false, true) => Some("ssl"),
        (false, false) => None,
    };
    imported.kafka.extend(protocol.map(|protocol| ("security.protocol".into(), protocol.into())));
    for (key, property) in [
        ("tls_ca", "ssl.ca.location"),
        ("tls_cert", "ssl.certificate.location"),
        ("tls_key", "ssl.key.location"),
        ("sasl_username", "sasl.username"),
    ] {
        let value = text(input, key).map(|value| (property.to_owned(), value.to_owned()));
        imported.kafka.extend(value);
    }
    if user.is_some() {
        let mechanism = text(input, "sasl_mechanism").unwrap_or("PLAIN").to_owned();
        imported.kafka.push(("sasl.mechanism".into(), mechanism));
        imported.note("sasl_password was not copied: set sasl.password under kafka, such as '${file:/run/secrets/kafka-password}'");
    }
}

fn mapping(parser: &Table, imported: &mut Imported) {
    for tag in tables(parser.get("tag")) {
        let Some((path, name)) = path_and_name(tag, imported) else { continue };
        imported.tags.push((name, quoted(&path)));
    }
    for field in tables(parser.get("field")) {
        let Some((path, name)) = path_and_name(field, imported) else { continue };
        let kind = kind(text(field, "type"), &name, imported);
        imported.fields.push((name, draft::field(&path, kind)));
    }
    for object in tables(parser.get("object")) {
        self::object(object, imported);
    }
    if imported.fields.is_empty() {
        imported.all_fields("json_v2", "*", 1);
    }
    if let Some(path) = text(parser, "timestamp_path") {
        let of = |key| text(parser, key).unwrap_or_default();
        time(path, of("timestamp_format"), of("timestamp_timezone"), imported);
    } else {
        imported.note("the time was that of reading; here it is the record's own");
    }
}

/// A path that is one here, too, and its name. Another one is noted.
fn path_and_name(rule: &Table, imported: &mut Imported) -> Option<(String, String)> {
    let written = text(rule, "path")?;
    let Some(path) = path(written) else {
        imported.note(format!("the path {written} is a query that has no counterpart; left out"));
        return None;
    };
    let own = written.rsplit('.').next().unwrap_or(written);
    let name = text(rule, "rename").unwrap_or(own).to_owned();
    Some((path, name))
}

/// GJSON's paths of keys and indices; not its queries, modifiers and wildcards.
fn path(gjson: &str) -> Option<String> {
    if gjson.contains(['#', '|', '*', '?', '@', '\\', '{', '[', '!']) {
        return None;
    }
    let mut path = String::new();
    for part in gjson.split('.') {
        // A number is an element or a key; of a message with arrays it is mostly an element.
        // Writing to a String can't fail.
        let _ = match part.parse::<usize>() {
            Ok(index) => write!(path, "[{index}]"),
            Err(_) => write!(path, "[{}]", serde_json::Value::from(part)),
        };
    }
    path.parse::<Path>().ok().map(|path| path.to_string())
}

fn kind(kind: Option<&str>, name: &str, imported: &mut Imported) -> Option<&'static str> {
    match kind {
        Some("float") => None,
        Some("int") => Some("integer"),
        Some("uint") => Some("unsigned"),
        Some("bool") => Some("boolean"),
        Some("string") => Some("string"),
        _ => {
            imported.note(format!(
                "the field {name} has no type, so it is a float; text and booleans need `type`"
            ));
            None
        }
    }
}

/// An object's keys become tags and fields; which there are is known only where they are listed.
fn object(object: &Table, imported: &mut Imported) {
    let written = text(object, "path").unwrap_or("@this");
    let base = if written == "@this" { Some(String::new()) } else { path(written) };
    let Some(base) = base else {
        imported.note(format!("the object {written} is a query that has no counterpart; left out"));
        return;
    };
    imported.note(format!(
        "an array at or below the object {written} gave a point for each element, which is not carried over"
    ));
    let empty = Table::new();
    let table = |key: &str| object.get(key).and_then(Value::as_table).unwrap_or(&empty);
    let (renames, types) = (table("renames"), table("fields"));
    let tags = texts(object, "tags");
    let included = texts(object, "included_keys");
    let listed: Vec<_> = if included.is_empty() {
        imported.note(format!(
            "the object {written} takes all its keys; here each is named, and only those are that the \
             configuration names"
        ));
        tags.iter().cloned().chain(types.keys().cloned()).collect()
    } else {
        included
    };
    for key in listed {
        let below = format!("[{}]", serde_json::Value::from(key.as_str()));
        let Ok(path) = format!("{base}{below}").parse::<Path>() else { continue };
        let name = renames.get(&key).and_then(Value::as_str).unwrap_or(&key).to_owned();
        if tags.contains(&key) {
            imported.tags.push((name, quoted(&path.to_string())));
        } else {
            let kind = kind(types.get(&key).and_then(Value::as_str), &name, imported);
            imported.fields.push((name, draft::field(&path.to_string(), kind)));
        }
    }
    if let Some(key) = text(object, "timestamp_key") {
        let path = if base.is_empty() { key.to_owned() } else { format!("{base}.{key}") };
        let of = |key| text(object, key).unwrap_or_default();
        time(&path, of("timestamp_format"), of("timestamp_timezone"), imported);
    }
}

/// The time at a path, in a format of Telegraf's; one without an offset is of the zone.
fn time(path: &str, format: &str, zone: &str, imported: &mut Imported) {
    let Some(path) = self::path(path) else {
        imported.note(format!("the time's path {path} is a query; the record's own time is used"));
        return;
    };
    let rule = match format {
        "unix" => "unit: s".into(),
        "unix_ms" => "unit: ms".into(),
        "unix_us" => "unit: us".into(),
        "unix_ns" => "unit: ns".into(),
        "rfc3339" | "2006-01-02T15:04:05Z07:00" | "2006-01-02T15:04:05.999999999Z07:00" => {
            "format: rfc3339".into()
        }
        other => match layout::strftime(other) {
            Some(format) if zone.is_empty() => format!("format: {}", quoted(&format)),
            Some(format) => format!("format: {}, zone: {}", quoted(&format), quoted(zone)),
            None => {
                imported.note(format!(
                    "the time's format {other} is taken for RFC 3339 with a zone; it is not known here"
                ));
                "format: rfc3339".to_owned()
            }
        },
    };
    imported.timestamp = Some(format!("{{ path: {}, {rule} }}", quoted(&path)));
}

fn output(config: &Table, imported: &mut Imported) -> Result<(), ImportError> {
    let second = plugins(config, "outputs", "influxdb_v2");
    let first = plugins(config, "outputs", "influxdb");
    if second.len() + first.len() > 1 {
        imported
            .note("there are several InfluxDB outputs; the first is taken, a connector has one");
    }
    let mut url = |output: &Table| {
        let urls = texts(output, "urls");
        if urls.len() > 1 {
            imported.note("of several urls the first is taken");
        }
        quoted(urls.first().map_or("http://localhost:8086", |url| url.trim_end_matches('/')))
    };
    if let Some(output) = second.first() {
        let url = url(output);
        let token = secret(imported, "outputs.influxdb_v2.token", "INFLUX_TOKEN");
        let of = |key: &str| quoted(text(output, key).unwrap_or("set-me"));
        imported.influxdb = vec![
            ("url", url),
            ("org", of("organization")),
            ("bucket", of("bucket")),
            ("token", token),
        ];
        if let Some(tag) = text(output, "bucket_tag") {
            imported.note(format!("bucket_tag {tag}: write `bucket: '{{{{ value.… }}}}'` instead"));
        }
    } else if let Some(output) = first.first() {
        let url = url(output);
        imported.influxdb = vec![
            ("version", "1".into()),
            ("url", url),
            ("database", quoted(text(output, "database").unwrap_or("telegraf"))),
        ];
        if let Some(policy) = text(output, "retention_policy") {
            imported.influxdb.push(("retention_policy", quoted(policy)));
        }
        if let Some(user) = text(output, "username") {
            let password = secret(imported, "outputs.influxdb.password", "INFLUX_PASSWORD");
            let login = format!("{{ username: {}, password: {password} }}", quoted(user));
            imported.influxdb.push(("basic_auth", login));
        }
    } else {
        return Err(ImportError(
            "there is neither [[outputs.influxdb_v2]] nor [[outputs.influxdb]]".into(),
        ));
    }
    Ok(())
}

/// Says what else the file has that points pass through.
fn unknown(config: &Table, imported: &mut Imported) {
    for kind in ["processors", "aggregators"] {
        for name in
            config.get(kind).and_then(Value::as_table).into_iter().flatten().map(|(name, _)| name)
        {
            imported.note(format!("{kind}.{name} has no counterpart in this file"));
        }
    }
    let tags = config.get("global_tags").and_then(Value::as_table).into_iter().flatten();
    for (name, value) in tags {
        let constant = format!("{{ constant: {} }}", quoted(value.as_str().unwrap_or_default()));
        imported.tags.push((name.clone(), constant));
    }
    imported.note("Telegraf's own tag `host` is not added");
}
