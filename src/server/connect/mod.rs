//! Kafka Connect's REST interface, as its tools use it: kcctl, Kafka UI, AKHQ, Redpanda Console.
//!
//! Words and codes are Kafka Connect's. A connector's workers are its tasks; they start and end
//! together, so that a task's restart is the connector's.

mod change;
mod loggers;
mod offsets;
mod plugins;
mod show;

use super::Served;
use super::route::{Answer, Call, Refusal, Route, Verb};
use crate::connectors::Shown;
use crate::kafka;

pub(super) use plugins::check;
pub(super) use show::about;

/// The only plugin.
const CLASS: &str = "tidegate";

/// The release of Kafka Connect whose calls these are; tools choose by it what they offer.
const DIALECT: &str = "4.3.1";

pub(super) const ROUTES: &[Route] = &[
    Route {
        query: &[(
            "expand",
            "string",
            "`status` or `info`, or both: an object instead of a list of names, with that of each",
        )],
        ..get("/connectors", "All connectors", show::list)
    },
    Route {
        verb: Verb::Post,
        body: Some(change::new_connector),
        codes: &[201, 409, 500],
        ..get("/connectors", "Make a connector; a file in `server.connectors`", change::create)
    },
    get("/connectors/{name}", "A connector", show::connector),
    Route {
        verb: Verb::Delete,
        codes: &[204, 409, 500],
        ..get("/connectors/{name}", "Remove a connector that was made over REST", change::delete)
    },
    get(
        "/connectors/{name}/config",
        "A connector's configuration; secrets are `***`",
        show::config,
    ),
    Route {
        verb: Verb::Put,
        body: Some(change::config),
        codes: &[200, 201, 409, 500],
        ..get("/connectors/{name}/config", "Make or change a connector", change::put)
    },
    Route {
        verb: Verb::Patch,
        body: Some(change::patch_config),
        codes: &[200, 409, 500],
        ..get("/connectors/{name}/config", "Change some keys; `null` removes one", change::patch)
    },
    get("/connectors/{name}/status", "A connector's state, and its tasks'", show::status),
    steer(
        "/connectors/{name}/pause",
        "Read nothing more, and stay in the group",
        &[202, 500],
        change::pause,
    ),
    steer(
        "/connectors/{name}/resume",
        "Go on after a pause or a stop",
        &[202, 500],
        change::resume,
    ),
    steer(
        "/connectors/{name}/stop",
        "End the workers, and leave the group",
        &[204, 500],
        change::stop,
    ),
    Route {
        verb: Verb::Post,
        query: &[
            ("includeTasks", "string", "`true`: the tasks, too; here they always are"),
            ("onlyFailed", "string", "`true`: only if it has failed"),
        ],
        codes: &[202, 204, 500],
        ..get("/connectors/{name}/restart", "Restart a connector, on all replicas", change::restart)
    },
    get("/connectors/{name}/tasks", "A connector's tasks", show::tasks),
    get("/connectors/{name}/tasks/{task}/status", "A task's state", show::task),
    Route {
        verb: Verb::Post,
        codes: &[204, 500],
        ..get(
            "/connectors/{name}/tasks/{task}/restart",
            "Restart a connector, on the replica that has the task",
            change::restart_task,
        )
    },
    get("/connectors/{name}/topics", "The topics that a connector reads", show::topics),
    steer(
        "/connectors/{name}/topics/reset",
        "Kept for Kafka Connect's tools: nothing to reset",
        &[202],
        show::reset_topics,
    ),
    Route {
        codes: &[200, 409, 500],
        ..get(
            "/connectors/{name}/offsets",
            "What the connector's group has committed",
            offsets::get,
        )
    },
    Route {
        verb: Verb::Patch,
        body: Some(offsets::body),
        codes: &[200, 409, 500],
        ..get(
            "/connectors/{name}/offsets",
            "Set it, of a connector that is stopped",
            offsets::alter,
        )
    },
    Route {
        verb: Verb::Delete,
        codes: &[200, 409, 500],
        ..get(
            "/connectors/{name}/offsets",
            "Forget it, of a connector that is stopped",
            offsets::reset,
        )
    },
    Route {
        query: &[("connectorsOnly", "string", "`false`: all kinds of plugins; there is only one")],
        ..get("/connector-plugins", "What can be `connector.class`", plugins::list)
    },
    get("/connector-plugins/{plugin}/config", "Every option of a connector", plugins::config),
    Route {
        verb: Verb::Put,
        body: Some(change::config),
        ..get(
            "/connector-plugins/{plugin}/config/validate",
            "Check a configuration; touches no broker and no database",
            plugins::validate,
        )
    },
    get("/admin/loggers", "The log levels that are set", loggers::list),
    get("/admin/loggers/{logger}", "A logger's level", loggers::get),
    Route {
        verb: Verb::Put,
        query: &[(
            "scope",
            "string",
            "`worker` or `cluster`, which is the same here but for the answer",
        )],
        body: Some(loggers::body),
        codes: &[200, 204],
        ..get("/admin/loggers/{logger}", "Set a logger's level, until the next start", loggers::set)
    },
];

const fn get(path: &'static str, about: &'static str, answer: fn(&Call) -> Answer) -> Route {
    Route { verb: Verb::Get, path, about, query: &[], body: None, codes: &[200], answer }
}

const fn steer(
    path: &'static str,
    about: &'static str,
    codes: &'static [u16],
    answer: fn(&Call) -> Answer,
) -> Route {
    Route { verb: Verb::Put, path, about, query: &[], body: None, codes, answer }
}

/// The connector that a call names.
pub(super) fn named(call: &Call) -> Result<Shown, Refusal> {
    let name = call.at("name");
    let missing = || Refusal::new(404, format!("Connector {name} not found"));
    call.served.connectors.get(name).ok_or_else(missing)
}
