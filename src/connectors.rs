//! All connectors of a process, each steered by itself.
//!
//! Every connector has one owner, a thread that takes orders one after the other, so that nothing of
//! one waits for another: an order is only put in its way. Its state shows what has become of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tracing::{error, warn};

use crate::config;
use crate::connector::{self, Running, StartError, State, View};
use crate::telemetry::Metrics;
use crate::telemetry::traces::Traces;
use crate::worker::Failure;

/// All connectors of a process; clones are the same ones.
#[derive(Clone)]
pub struct Connectors {
    runtime: Arc<Runtime>,
    /// Where spans of records go, if anywhere.
    traces: Option<Traces>,
    all: Arc<Mutex<BTreeMap<String, Connector>>>,
    /// Owners of those that were removed and still deliver.
    leaving: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// What a connector can be asked to do. What is written is committed before, and a record's place is
/// never lost.
#[derive(Debug, Clone)]
pub enum Order {
    /// Read nothing more, and stay in the group.
    Pause,
    /// Go on after a pause or a stop.
    Resume,
    /// End the workers, and leave the group.
    Stop,
    /// End the workers and start them again; also what starts a connector that has failed.
    Restart,
    /// The same, as another configuration of the same name says.
    Replace(Arc<config::Connector>),
}

/// What [`Connectors::apply`] has changed, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Changes {
    /// Those that are new.
    pub added: Vec<String>,
    /// Those whose configuration is another.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// A connector as it is shown, and what it was told to be.
#[derive(Debug, Clone)]
pub struct Shown {
    pub view: View,
    pub config: Arc<config::Connector>,
}

struct Connector {
    shown: Shown,
    orders: Sender<Order>,
    owner: JoinHandle<()>,
}

impl Connectors {
    /// Starts all of them, or none. `kept` is the state that a connector was left in: running, paused
    /// or stopped.
    pub fn start(
        configs: Vec<config::Connector>,
        kept: impl Fn(&str) -> State,
        traces: Option<Traces>,
        runtime: &Arc<Runtime>,
    ) -> Result<Self, StartError> {
        let connectors = Self {
            runtime: Arc::clone(runtime),
            traces,
            all: Arc::default(),
            leaving: Arc::default(),
        };
        let started = configs.into_iter().map(|config| {
            advise(&config);
            let view = View::of(&config.name, Metrics::default());
            let state = kept(&config.name);
            let running = if state == State::Stopped {
                view.set(State::Stopped);
                None
            } else {
                let (view, traces) = (view.clone(), connectors.traces.as_ref());
                Some(connector::start_in(view, &config, state.clone(), traces, runtime)?)
            };
            connectors.own(view, Arc::new(config), running, state)
        });
        let started: Vec<_> = started.collect::<Result<_, _>>()?;
        connectors.lock().extend(started);
        Ok(connectors)
    }

    /// What their deliveries run on.
    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// All, in the order of their names.
    pub fn all(&self) -> Vec<Shown> {
        self.lock().values().map(|connector| connector.shown.clone()).collect()
    }

    pub fn views(&self) -> Vec<View> {
        self.lock().values().map(|connector| connector.shown.view.clone()).collect()
    }

    pub fn get(&self, name: &str) -> Option<Shown> {
        self.lock().get(name).map(|connector| connector.shown.clone())
    }

    /// Puts an order in a connector's way; whether there is one of this name.
    pub fn order(&self, name: &str, order: Order) -> bool {
        // The owner takes orders until the sender is gone, so the sending can't fail.
        self.lock().get(name).is_some_and(|connector| connector.orders.send(order).is_ok())
    }

    /// From now on these are the connectors. Those that are as before are not touched, and nothing is
    /// when one of the others can't be made. A new one gets this order first, if it is not to run.
    pub fn apply(
        &self,
        configs: Vec<config::Connector>,
        first: Option<(&str, &Order)>,
    ) -> Result<Changes, StartError> {
        let mut all = self.lock();
        let is_same = |config: &config::Connector| {
            all.get(&config.name).is_some_and(|known| known.shown.config.is_same(config))
        };
        let (same, other): (Vec<_>, Vec<_>) = configs.into_iter().partition(is_same);
        other.iter().try_for_each(connector::try_out)?;
        let mut changes = Changes::default();
        let wanted = |name: &String| same.iter().chain(&other).any(|config| config.name == *name);
        let removed: Vec<_> = all.keys().filter(|name| !wanted(name)).cloned().collect();
        for name in removed {
            // Without a sender of orders its owner ends it.
            if let Some(Connector { owner, .. }) = all.remove(&name) {
                let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
                leaving.retain(|owner| !owner.is_finished());
                leaving.push(owner);
            }
            changes.removed.push(name);
        }
        for config in other {
            advise(&config);
            let (name, config) = (config.name.clone(), Arc::new(config));
            if let Some(known) = all.get_mut(&name) {
                known.shown.config = Arc::clone(&config);
                let _ = known.orders.send(Order::Replace(config));
                changes.changed.push(name);
            } else {
                let view = View::of(&name, Metrics::default());
                let (name, new) = self.own(view, config, None, State::Running)?;
                let order = first.filter(|(to, _)| *to == name);
                let _ = new.orders.send(order.map_or(Order::Resume, |(_, order)| order.clone()));
                all.insert(name.clone(), new);
                changes.added.push(name);
            }
        }
        Ok(changes)
    }

    /// Ends all at once, so that they drain side by side, and waits for it; whether one had failed.
    pub fn end(&self) -> bool {
        let all = std::mem::take(&mut *self.lock());
        let owners: Vec<_> =
            all.into_values().map(|connector| (connector.shown.view, connector.owner)).collect();
        let leaving =
            std::mem::take(&mut *self.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        for owner in leaving {
            // A removed connector that ended by a defect has failed nobody's wish.
            let _ = owner.join();
        }
        // No `any`: all are waited for.
        owners.into_iter().fold(false, |any, (view, owner)| {
            let ended_badly = owner.join().is_err();
            any | ended_badly | matches!(view.state(), State::Failed(_))
        })
    }

    /// Whether none is left that works or could.
    pub fn have_all_failed(&self) -> bool {
        self.lock().values().all(|c| matches!(c.shown.view.state(), State::Failed(_)))
    }

    fn own(
        &self,
        view: View,
        config: Arc<config::Connector>,
        running: Option<Running>,
        state: State,
    ) -> Result<(String, Connector), StartError> {
        let name = config.name.clone();
        let (orders, taken) = channel();
        let shown = Shown { view: view.clone(), config: Arc::clone(&config) };
        let (runtime, traces) = (Arc::clone(&self.runtime), self.traces.clone());
        let owner = Owner { view, config, running, traces, runtime };
        let owner = std::thread::Builder::new()
            .name(format!("{name}-owner"))
            .spawn(move || owner.take(&taken, state))
            .map_err(|error| StartError::Thread { connector: name.clone(), error })?;
        Ok((name, Connector { shown, orders, owner }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Connector>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().keys()).finish()
    }
}

fn advise(config: &config::Connector) {
    for advice in config.advice() {
        warn!(connector = config.name, "{advice}");
    }
}

/// The one that has a connector's workers.
struct Owner {
    view: View,
    config: Arc<config::Connector>,
    /// Also when it has failed, until it is started again.
    running: Option<Running>,
    traces: Option<Traces>,
    runtime: Arc<Runtime>,
}

impl Owner {
    /// Takes orders until nobody is left who could give one; then ends the workers.
    fn take(mut self, orders: &Receiver<Order>, mut state: State) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Pause => {
                    state = State::Paused;
                    self.run_in(state.clone());
                }
                Order::Resume => {
                    state = State::Running;
                    self.run_in(state.clone());
                }
                Order::Stop => {
                    state = State::Stopped;
                    self.end_workers();
                }
                Order::Restart => self.start_again(&state),
                Order::Replace(config) => {
                    self.config = config;
                    self.start_again(&state);
                }
            }
        }
        let running = self.running.take();
        if let Some(running) = running {
            running.stop();
            let ended = running.join();
            self.view.set(ended);
        }
    }

    fn run_in(&mut self, state: State) {
        match &self.running {
            Some(running) => running.hold(state == State::Paused),
            None => self.start(state),
        }
    }

    fn end_workers(&mut self) {
        // Dropping it waits until they have delivered, committed and left the group.
        self.running = None;
        self.view.set(State::Stopped);
    }

    fn start_again(&mut self, state: &State) {
        self.end_workers();
        if *state != State::Stopped {
            self.start(state.clone());
        }
    }

    fn start(&mut self, state: State) {
        let (view, traces) = (self.view.clone(), self.traces.as_ref());
        match connector::start_in(view, &self.config, state, traces, &self.runtime) {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                error!(%error, "can't start");
                self.view.set(State::Failed(Failure::Start(error.to_string())));
            }
        }
    }
}
