//! Health, for a probe.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Served;
use crate::connector::{self, View};

/// A worker that has not gone through its loop for so long is stuck: it does so many times a second,
/// whatever Kafka and the database do, and the longest wait in it is for a commit.
const STUCK: Duration = Duration::from_mins(2);

/// Fails when only a restart helps: a worker is stuck. An outage of Kafka or of the database, or a
/// connector that has failed, is no such case.
pub(super) async fn live(State(served): State<Served>) -> Response {
    health(&served.connectors.views(), |connector| !connector.stuck)
}

/// Fails when a connector has failed. An outage of the database is no such case: nothing is lost, and
/// taking the process out of anything would not bring the database back.
pub(super) async fn ready(State(served): State<Served>) -> Response {
    health(&served.connectors.views(), |connector| connector.state != "failed")
}

/// The reply of a probe, by the names of
/// <https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check>.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    connectors: Vec<ConnectorHealth>,
}

#[derive(Debug, Serialize)]
struct ConnectorHealth {
    name: String,
    state: &'static str,
    /// Why it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether the database takes nothing at the moment.
    paused: bool,
    /// Whether a worker has not gone through its loop for long.
    stuck: bool,
}

impl ConnectorHealth {
    fn of(view: &View) -> Self {
        let state = view.state();
        let reason = match &state {
            connector::State::Failed(failure) => Some(failure.to_string()),
            _ => None,
        };
        Self {
            name: view.name().to_owned(),
            state: state.name(),
            reason,
            paused: view.metrics.paused.get() > 0,
            stuck: view.metrics.turns.longest() > STUCK,
        }
    }
}

fn health(connectors: &[View], good: impl Fn(&ConnectorHealth) -> bool) -> Response {
    let connectors: Vec<_> = connectors.iter().map(ConnectorHealth::of).collect();
    let (code, status) = if connectors.iter().all(good) {
        (StatusCode::OK, "pass")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "fail")
    };
    (code, Json(Health { status, connectors })).into_response()
}
