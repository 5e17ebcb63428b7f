//! Replays of dead letters that requests have asked for, one of a connector at a time. What they do is
//! what `tidegate dlq replay` does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::runtime::Runtime;
use tracing::{error, info};

use super::look::letters_of;
use super::route::{Answer, Call, Refusal, Reply, Route, Verb};
use crate::connector::ReplayCounts;
use crate::dead_letter::DeadLetters;
use crate::kafka::range::Bound;

/// How often what a replay has done is looked up.
const WATCH: Duration = Duration::from_millis(100);

pub(super) const ROUTES: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/connectors/{name}/dead-letters/replay",
        about: "The replay of dead letters that is under way, or how the last one has ended",
        query: &[],
        body: None,
        codes: &[200, 409],
        answer: show,
    },
    Route {
        verb: Verb::Post,
        path: "/connectors/{name}/dead-letters/replay",
        about: "Send the dead letters that are left through the connector again, as \
                `tidegate dlq replay` does; ends by itself",
        query: &[],
        body: None,
        codes: &[202, 409],
        answer: begin,
    },
];

/// By connector: the replay that is under way, or the last one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replays(Arc<Mutex<BTreeMap<String, Progress>>>);

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Progress {
    state: Phase,
    /// Offsets that were left when it began.
    to_read: u64,
    #[serde(flatten)]
    counts: ReplayCounts,
    /// Why it has failed.
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    /// There was none since the start.
    #[default]
    None,
    Running,
    Done,
    Failed,
}

impl Replays {
    pub(super) fn get(&self, connector: &str) -> Progress {
        self.lock().get(connector).cloned().unwrap_or_default()
    }

    fn set(&self, connector: &str, progress: Progress) {
        self.lock().insert(connector.to_owned(), progress);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a new one may begin: then its place is taken.
    fn take_place(&self, connector: &str, still_there: impl Fn(&str) -> bool) -> bool {
        let mut all = self.lock();
        all.retain(|name, progress| progress.state == Phase::Running || still_there(name));
        if all.get(connector).is_some_and(|progress| progress.state == Phase::Running) {
            return false;
        }
        let progress = Progress { state: Phase::Running, ..Progress::default() };
        all.insert(connector.to_owned(), progress);
        true
    }
}

fn show(call: &Call) -> Answer {
    let dead = letters_of(call)?;
    Reply::ok(json!(call.served.replays.get(&dead.connector.name)))
}

fn begin(call: &Call) -> Answer {
    let dead = letters_of(call)?;
    let name = dead.connector.name.clone();
    let connectors = &call.served.connectors;
    if !call.served.replays.take_place(&name, |name| connectors.get(name).is_some()) {
        return Err(Refusal::new(409, "a replay of its dead letters is under way"));
    }
    let (replays, runtime) = (call.served.replays.clone(), Arc::clone(connectors.runtime()));
    let begun = std::thread::Builder::new().name(format!("{name}-replaying")).spawn({
        let (replays, name) = (replays.clone(), name.clone());
        move || run(&dead, &name, &replays, &runtime)
    });
    if let Err(error) = begun {
        let reason = Some(format!("can't start a thread: {error}"));
        replays.set(&name, Progress { state: Phase::Failed, reason, ..Progress::default() });
    }
    Reply::with(202, json!(call.served.replays.get(&name)))
}

/// To its end; what it comes to is in the log, too, because nobody may look.
fn run(dead: &DeadLetters, connector: &str, replays: &Replays, runtime: &Arc<Runtime>) {
    match replay(dead, connector, replays, runtime) {
        Ok(progress) => {
            let ReplayCounts { written, rejected, .. } = progress.counts;
            info!(connector, written, rejected, "the dead letters were replayed");
            replays.set(connector, progress);
        }
        Err(reason) => {
            error!(connector, reason, "the replay of dead letters has ended before its time");
            let last = replays.get(connector);
            replays.set(connector, Progress { state: Phase::Failed, reason: Some(reason), ..last });
        }
    }
}

fn replay(
    dead: &DeadLetters,
    connector: &str,
    replays: &Replays,
    runtime: &Arc<Runtime>,
) -> Result<Progress, String> {
    let kafka = |error| format!("Kafka: {error}");
    let reader = dead.reader(Bound::Beginning, Bound::End).map_err(kafka)?;
    let replayed = dead.replayed(reader.partitions()).map_err(kafka)?;
    let (to_read, ends) = replayed.left(reader.partitions());
    drop(reader);
    let mut progress = Progress { state: Phase::Running, to_read, ..Progress::default() };
    if to_read > 0 {
        let replay = dead.replay(ends, runtime).map_err(|error| error.to_string())?;
        while !replay.worker.is_finished() {
            progress.counts = replay.so_far();
            replays.set(connector, progress.clone());
            std::thread::sleep(WATCH);
        }
        progress.counts = replay.ended()?;
    }
    Ok(Progress { state: Phase::Done, ..progress })
}
