//! Log levels while it runs.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::server::route::{Answer, Call, Refusal, Reply};
use crate::telemetry::{Level, Logger};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    level: String,
}

pub(super) fn body() -> Value {
    json!({
        "type": "object",
        "required": ["level"],
        "additionalProperties": false,
        "properties": { "level": { "enum": ["OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"] } },
    })
}

pub(super) fn list(call: &Call) -> Answer {
    let all = call.served.levels.all();
    Reply::ok(all.into_iter().map(|(name, logger)| (name, shown(logger))).collect::<Map<_, _>>())
}

pub(super) fn get(call: &Call) -> Answer {
    let name = call.at("logger");
    let logger = call.served.levels.all().remove(name);
    let missing = || Refusal::new(404, format!("Logger {name} not found."));
    Reply::ok(shown(logger.ok_or_else(missing)?))
}

pub(super) fn set(call: &Call) -> Answer {
    let (name, Wanted { level }) = (call.at("logger"), call.body()?);
    let level: Level =
        level.parse().map_err(|()| Refusal::new(404, format!("invalid log level '{level}'.")))?;
    if !call.served.levels.set(name, level) {
        return Err(Refusal::bad(
            "a logger is a module's name, such as tidegate::deliver or librdkafka, or root",
        ));
    }
    if call.query("scope").is_some_and(|scope| scope.eq_ignore_ascii_case("cluster")) {
        return Reply::empty(204);
    }
    Reply::ok(json!([name]))
}

fn shown((level, last_modified): Logger) -> Value {
    json!({ "level": level.word(), "last_modified": last_modified })
}
