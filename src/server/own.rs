//! Tidegate's own calls: reload, and all figures at once for the page and the terminal.

use std::collections::BTreeMap;

use serde_json::json;

use super::figures::Figures;
use super::route::{Answer, Call, Refusal, Reply, Route, Verb};

pub(super) const ROUTES: &[Route] = &[
    Route {
        verb: Verb::Post,
        path: "/reload",
        about: "Take in changed files now; where one is broken, all runs on as before",
        query: &[],
        body: None,
        codes: &[200, 409],
        answer: reload,
    },
    Route {
        verb: Verb::Get,
        path: "/summary",
        about: "The state and the figures of all connectors, of all replicas together",
        query: &[("replica", "string", "`this`: only of the process that is asked")],
        body: None,
        codes: &[200],
        answer: summary,
    },
];

fn reload(call: &Call) -> Answer {
    match call.served.reload.now("POST /reload") {
        Ok(changes) => Reply::ok(json!(changes)),
        Err(error) => Err(Refusal::new(409, error.to_string())),
    }
}

fn summary(call: &Call) -> Answer {
    let served = &call.served;
    let all = served.connectors.all();
    let own = all.iter().map(|shown| Figures::of(shown, served.status(shown)));
    let others = served.replicas.as_ref().filter(|_| call.query("replica") != Some("this"));
    let connectors: Vec<_> = match others {
        None => own.collect(),
        Some(replicas) => {
            let mut answers = BTreeMap::<String, Vec<Figures>>::new();
            for figures in replicas.figures(call.authorization(), &served.runtime) {
                answers.entry(figures.name.clone()).or_default().push(figures);
            }
            let all = own.map(|own| {
                let (answers, others) = (answers.remove(&own.name), replicas.elsewhere(&own.name));
                own.with(answers.unwrap_or_default(), others)
            });
            all.collect()
        }
    };
    let reloads = &served.reload.counts;
    Reply::ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "worker_id": served.worker_id,
        "reloads": {
            "succeeded": reloads.succeeded.get(),
            "failed": reloads.failed.get(),
            "last_failed": reloads.last_failed.get() != 0,
            "mistakes": served.reload.mistakes(),
        },
        "connectors": connectors,
    }))
}
