//! Kafka Connect's InfluxDB sinks: Stream Reactor's (retired with its version 11) and Confluent's.

use super::ImportError;
use super::draft::{self, Imported, file_name, secret};
use super::kcql::{self, Statement, Tag};
use super::properties::Properties;
use crate::infer::quoted;

/// What is the framework's own, or says nothing that concerns Tidegate.
const PASSED_OVER: [&str; 14] = [
    "name",
    "connector.class",
    "key.converter",
    "header.converter",
    "errors.tolerance",
    "errors.log.enable",
    "errors.log.include.messages",
    "errors.deadletterqueue.context.headers.enable",
    "errors.deadletterqueue.topic.replication.factor",
    "connect.progress.enabled",
    "influxdb.log.level",
    "influxdb.gzip.enable",
    "confluent.topic.bootstrap.servers",
    "confluent.topic.replication.factor",
];

pub(super) fn import(mut properties: Properties) -> Result<Vec<Imported>, ImportError> {
    let class = properties.get("connector.class").cloned().unwrap_or_default();
    match class.rsplit('.').next().unwrap_or_default() {
        "InfluxSinkConnector" => stream_reactor(&mut properties),
        "InfluxDBSinkConnector" => confluent(&mut properties).map(|imported| vec![imported]),
        "" => Err(ImportError(
            "no connector.class: neither the configuration of one of Kafka Connect's InfluxDB sinks nor \
             of Telegraf"
                .into(),
        )),
        _ => Err(ImportError(format!(
            "{class} is no connector that can be imported; known are Stream Reactor's \
             InfluxSinkConnector and Confluent's InfluxDBSinkConnector"
        ))),
    }
}

/// What both have.
fn common(properties: &mut Properties, imported: &mut Imported) {
    if let Some(tasks) = properties.remove("tasks.max").and_then(|tasks| tasks.parse().ok()) {
        imported.workers = Some(tasks).filter(|tasks| (2..=64).contains(tasks));
    }
    imported.dead_letter = properties.remove("errors.deadletterqueue.topic.name");
    if imported.dead_letter.is_none() {
        imported.note(
            "there is no dead-letter topic, so the first rejected record stops the connector: set \
             `dead_letter`, or leave it so",
        );
    }
    if let Some(pattern) = properties.remove("topics.regex") {
        imported.pattern = Some(format!("^({pattern})$"));
    }
    let topics = properties.remove("topics").unwrap_or_default();
    if imported.topics.is_empty() {
        let topics = topics.split(',').map(str::trim).filter(|topic| !topic.is_empty());
        imported.topics = topics.map(ToOwned::to_owned).collect();
    }
    converter(properties, imported);
    imported.note(
        "the consumer group is another one than Kafka Connect's, so the topics are read from their \
         beginning unless the group's offsets are set before",
    );
}

fn converter(properties: &mut Properties, imported: &mut Imported) {
    let converter = properties.remove("value.converter").unwrap_or_default();
    // Kafka Connect's own default.
    let schemas =
        properties.remove("value.converter.schemas.enable").is_none_or(|on| on != "false");
    properties.retain(|name, _| {
        !name.starts_with("key.converter.") && !name.starts_with("value.converter.")
    });
    match converter.rsplit('.').next().unwrap_or_default() {
        "JsonConverter" if schemas => imported.decode = "connect_json",
        "JsonConverter" | "StringConverter" => {}
        "" => imported.note(
            "value.converter is that of the Connect worker, which is not in this file; plain JSON is \
             assumed",
        ),
        other => imported.note(format!(
            "value.converter is {other}, but `decode: json` is written here: see docs/formats.md",
        )),
    }
}

/// Says what is left.
fn leftovers(properties: &Properties, imported: &mut Imported) {
    for (name, value) in properties.iter().filter(|(name, _)| !PASSED_OVER.contains(&name.as_str()))
    {
        let value = if crate::config::is_secret(name) { "…" } else { value };
        imported.note(format!("{name}={value} has no counterpart"));
    }
}

/// The keys of `influxdb` for version 1; both sinks speak nothing else.
fn database(
    properties: &mut Properties,
    imported: &mut Imported,
    prefix: &str,
    database: Option<String>,
) -> Result<(), ImportError> {
    let mut take = |names: &[&str]| {
        names.iter().find_map(|name| properties.remove(&format!("{prefix}.{name}")))
    };
    let url = take(&["url", "connection.url"]);
    let url = url.ok_or_else(|| ImportError(format!("{prefix}.url is missing")))?;
    let database = take(&["db", "connection.database"]).or(database).unwrap_or_default();
    let (user, password) =
        (take(&["username", "connection.user"]), take(&["password", "connection.password"]));
    let policy = take(&["retention.policy"]);
    let consistency = take(&["consistency.level"]);
    imported.influxdb = vec![
        ("version", "1".into()),
        ("url", quoted(url.trim_end_matches('/'))),
        ("database", quoted(&database)),
    ];
    if let Some(policy) = policy.filter(|policy| policy != "autogen") {
        imported.influxdb.push(("retention_policy", quoted(&policy)));
    }
    if let Some(consistency) = consistency {
        imported.influxdb.push(("consistency", consistency.to_lowercase()));
    }
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        if password.is_some() {
            let password = secret(imported, &format!("{prefix}.password"), "INFLUX_PASSWORD");
            let login = format!("{{ username: {}, password: {password} }}", quoted(&user));
            imported.influxdb.push(("basic_auth", login));
        } else {
            imported.note(format!(
                "{prefix}.username is {user}, without a password: no login is written"
            ));
        }
    }
    Ok(())
}

fn stream_reactor(properties: &mut Properties) -> Result<Vec<Imported>, ImportError> {
    let names =
        ["connect.influx.kcql", "connect.influx.sink.kcql", "connect.influx.sink.route.query"];
    let kcql = names.iter().find_map(|name| properties.remove(*name));
    let kcql = kcql.ok_or_else(|| ImportError("connect.influx.kcql is missing".into()))?;
    let statements = kcql::statements(&kcql)?;
    let name = properties.get("name").cloned().unwrap_or_else(|| "influx".into());
    let alone = statements.len() == 1;
    statements
        .iter()
        .map(|statement| {
            let mut properties = properties.clone();
            let mut imported = Imported {
                name: if alone { file_name(&name) } else { file_name(&format!("{name}-{}", statement.topic)) },
                source: "the configuration of Stream Reactor's InfluxDB sink",
                measurement: match statement.target.as_str() {
                    "*" => "{{ topic }}".into(),
                    target => target.to_owned(),
                },
                ..Imported::default()
            };
            // `*`: all that the sink reads.
            let of_all = statement.topic == "*";
            if !of_all {
                imported.topics.push(statement.topic.clone());
            }
            mapping(statement, &mut imported);
            database(&mut properties, &mut imported, "connect.influx", None)?;
            common(&mut properties, &mut imported);
            if !of_all {
                imported.pattern = None;
            }
            for name in ["error.policy", "max.retries", "max.retires", "retry.interval"] {
                if let Some(value) = properties.remove(&format!("connect.influx.{name}")) {
                    imported.note(format!(
                        "connect.influx.{name}={value} has no counterpart: a database that is away is \
                         asked without end, and only records that it refuses are dead letters"
                    ));
                }
            }
            leftovers(&properties, &mut imported);
            Ok(imported)
        })
        .collect()
}

fn mapping(statement: &Statement, imported: &mut Imported) {
    for tag in &statement.tags {
        imported.tags.push(match tag {
            Tag::Path(path, name) => (name.clone(), quoted(path)),
            Tag::Constant(name, text) => {
                (name.clone(), format!("{{ constant: {} }}", quoted(text)))
            }
        });
    }
    let is_tag = |name: &str, imported: &Imported| imported.tags.iter().any(|(tag, _)| tag == name);
    if statement.all || statement.fields.is_empty() {
        imported.all_fields("SELECT *", "*", 1);
    }
    for (path, name) in &statement.fields {
        if path.ends_with(".*") {
            imported.all_fields(&format!("SELECT {path}"), path, 1);
        } else if is_tag(name, imported) {
            imported.note(format!("{name} was a tag and a field; here it is a tag"));
        } else {
            imported.fields.push((name.clone(), draft::field(path, None)));
        }
    }
    imported.note(
        "fields are floats; where the database has another type for one already, say so with \
         `{ path: …, type: integer }` (or boolean, string)",
    );
    match statement.timestamp.as_deref() {
        None | Some("sys_time()") => imported.note(
            "the time was that of the write; here it is the record's own, so that a repeated write is \
             the same point again",
        ),
        Some(path) => {
            let unit = match statement.unit.as_deref().map(str::to_uppercase).as_deref() {
                None | Some("MILLISECONDS") => Some("ms"),
                Some("MICROSECONDS") => Some("us"),
                Some("NANOSECONDS") => Some("ns"),
                Some("SECONDS") => Some("s"),
                Some(_) => None,
            };
            if unit.is_none() {
                imported.note("this TIMESTAMPUNIT is not known; milliseconds are written");
            }
            let unit = unit.unwrap_or("ms");
            imported.timestamp = Some(format!("{{ path: {}, unit: {unit} }}", quoted(path)));
        }
    }
    imported.dropped.clone_from(&statement.ignored);
    if !statement.rest.is_empty() {
        imported.note(format!("not understood in the KCQL: {}", statement.rest.join(" ")));
    }
}

fn confluent(properties: &mut Properties) -> Result<Imported, ImportError> {
    let mut imported = Imported {
        name: file_name(properties.get("name").map_or("influxdb", String::as_str)),
        source: "the configuration of Confluent's InfluxDB sink",
        ..Imported::default()
    };
    let first = properties.get("topics").and_then(|topics| topics.split(',').next());
    let first = first.map(|topic| topic.trim().to_owned());
    if !properties.contains_key("influxdb.db") {
        imported.note("influxdb.db is not set, so the database has the topic's name");
    }
    database(properties, &mut imported, "influxdb", first)?;
    let format = properties.remove("measurement.name.format");
    if format.is_none() {
        imported.note("the measurement is told by the record's field `measurement`");
    }
    let format = format.map(|format| format.replace("${topic}", "{{ topic }}"));
    imported.measurement = format.unwrap_or_else(|| "{{ value.measurement }}".into());
    imported.all_fields("this sink", "*", 1);
    imported.note(
        "the record's map `tags` gave the tags, whose names are not in the configuration: name each, \
         such as `site: tags.site`",
    );
    let unit = properties.remove("influxdb.timeunit").unwrap_or_else(|| "MILLISECONDS".into());
    match properties.remove("event.time.fieldname") {
        Some(path) => {
            let unit = match unit.as_str() {
                "NANOSECONDS" => "ns",
                "MICROSECONDS" => "us",
                "SECONDS" => "s",
                _ => "ms",
            };
            imported.timestamp = Some(format!("{{ path: {}, unit: {unit} }}", quoted(&path)));
        }
        None => imported.note("the time is the record's own"),
    }
    common(properties, &mut imported);
    leftovers(properties, &mut imported);
    Ok(imported)
}
