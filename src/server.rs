//! What a process serves over HTTP: its metrics and its health.
//!
//! Without encryption and without a login: it listens only where the configuration says.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tracing::error;

use crate::connector::{self, View};
use crate::telemetry::exposition::{self, Format};

/// A worker that has not gone through its loop for so long is stuck: it does so many times a second,
/// whatever Kafka and the database do, and the longest wait in it is for a commit.
const STUCK: Duration = Duration::from_mins(2);

/// Serves until the runtime ends.
pub async fn serve(listener: TcpListener, connectors: Vec<View>) {
    if let Err(error) = axum::serve(listener, routes(connectors)).await {
        error!(%error, "metrics and health are not served any longer");
    }
}

fn routes(connectors: Vec<View>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(Arc::from(connectors))
}

type Connectors = State<Arc<[View]>>;

async fn metrics(State(connectors): Connectors, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::wanted(accept.unwrap_or_default());
    let page = exposition::page(format, connectors.to_vec());
    ([(header::CONTENT_TYPE, format.content_type())], page).into_response()
}

/// Fails when only a restart helps: a worker is stuck. An outage of Kafka or of the database, or a
/// connector that has failed, is no such case.
async fn live(State(connectors): Connectors) -> Response {
    health(&connectors, |connector| !connector.stuck)
}

/// Fails when a connector has failed. An outage of the database is no such case: nothing is lost, and
/// taking the process out of anything would not bring the database back.
async fn ready(State(connectors): Connectors) -> Response {
    health(&connectors, |connector| connector.state != "failed")
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
            connector::State::Running | connector::State::Stopped => None,
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
