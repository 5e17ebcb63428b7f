//! One alert rule, evaluated twice a second against the store's query API, with the states that
//! Grafana's alerting shows. It is the demo's own small evaluator, not Grafana.

use std::collections::VecDeque;

use serde::Serialize;

/// Firings kept to look back on.
const MAX_HISTORY: usize = 50;

/// What the rule asks the store.
pub(crate) const QUERY: &str = "max(weather_temperature)";
/// The rule holds above this, in °C.
pub(crate) const THRESHOLD: f64 = 20.0;
/// How long it must hold before it fires, in milliseconds.
pub(crate) const FOR_MILLIS: i64 = 1000;

/// The rule's state, in Grafana's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlertState {
    #[default]
    Normal,
    /// The condition holds, but not for long enough yet.
    Pending,
    Firing,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Finding {
    Value(f64),
    /// The store answered, but has nothing recent.
    NoData,
    /// The store did not answer.
    Failed,
}

/// A time during which the alert fired, in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Firing {
    /// When the condition began to hold.
    pub(crate) pending: i64,
    pub(crate) fired: i64,
    pub(crate) cleared: Option<i64>,
    /// The highest value seen.
    pub(crate) peak: f64,
}

/// The rule, as it stands.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Alert {
    pub(crate) state: AlertState,
    /// Since when, in milliseconds since the epoch.
    pub(crate) since: i64,
    /// The last value found.
    pub(crate) value: Option<f64>,
    /// Why the last evaluation found none. The state stays as it was, as with Grafana's
    /// "Keep Last State".
    pub(crate) problem: Option<&'static str>,
    /// Newest last.
    pub(crate) history: VecDeque<Firing>,
    pub(crate) fired_times: u64,
}

impl Alert {
    /// Takes in an evaluation.
    pub(crate) fn evaluate(&mut self, now: i64, finding: &Finding) {
        let value = match finding {
            Finding::Value(value) => *value,
            Finding::NoData => {
                self.problem = Some("no recent data");
                return;
            }
            Finding::Failed => {
                self.problem = Some("the store does not answer");
                return;
            }
        };
        self.problem = None;
        self.value = Some(value);
        let holds = value > THRESHOLD;
        match self.state {
            AlertState::Normal if holds => self.enter(AlertState::Pending, now),
            AlertState::Pending if holds && now - self.since >= FOR_MILLIS => self.fire(now, value),
            AlertState::Pending if !holds => self.enter(AlertState::Normal, now),
            AlertState::Firing if holds => {
                if let Some(firing) = self.history.back_mut() {
                    firing.peak = firing.peak.max(value);
                }
            }
            AlertState::Firing => {
                if let Some(firing) = self.history.back_mut() {
                    firing.cleared = Some(now);
                }
                self.enter(AlertState::Normal, now);
            }
            AlertState::Normal | AlertState::Pending => {}
        }
    }

    fn fire(&mut self, now: i64, value: f64) {
        let pending = self.since;
        self.enter(AlertState::Firing, now);
        self.fired_times += 1;
        if self.history.len() == MAX_HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Firing { pending, fired: now, cleared: None, peak: value });
    }

    fn enter(&mut self, state: AlertState, now: i64) {
        self.state = state;
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(findings: &[(i64, Finding)]) -> (Alert, Vec<AlertState>) {
        let mut alert = Alert::default();
        let states = findings
            .iter()
            .map(|(now, finding)| {
                alert.evaluate(*now, finding);
                alert.state
            })
            .collect();
        (alert, states)
    }

    #[test]
    fn fires_after_its_time_and_clears() {
        use AlertState::{Firing as Fires, Normal, Pending};
        let values = [
            (0, 19.0),
            (1000, 21.0),
            (2000, 22.0),
            (3000, 24.4),
            (4000, 20.0),
            (5000, 25.0),
            (6000, 3.0),
        ];
        let (alert, states) = run(&values.map(|(now, value)| (now, Finding::Value(value))));
        assert_eq!(states, [Normal, Pending, Fires, Fires, Normal, Pending, Normal]);
        assert_eq!(
            alert.history,
            [Firing { pending: 1000, fired: 2000, cleared: Some(4000), peak: 24.4 }]
        );
        assert_eq!(alert.fired_times, 1);
    }

    #[test]
    fn keeps_its_state_while_the_store_is_down() {
        let (alert, states) = run(&[
            (0, Finding::Value(21.0)),
            (1000, Finding::Value(21.0)),
            (2000, Finding::Failed),
            (3000, Finding::NoData),
        ]);
        assert_eq!(states[1..], [AlertState::Firing; 3]);
        assert_eq!(alert.problem, Some("no recent data"));
        assert_eq!(alert.history[0].cleared, None);
    }

    #[test]
    fn history_is_bounded() {
        let cycle = |i: i64| {
            [(0, 21.0), (1000, 21.0), (2000, 1.0)].map(|(t, v)| (i * 3000 + t, Finding::Value(v)))
        };
        let (alert, _) = run(&(0..60).flat_map(cycle).collect::<Vec<_>>());
        assert_eq!((alert.history.len(), alert.fired_times), (MAX_HISTORY, 60));
    }
}
