//! What a process serves over HTTP: metrics, health, the REST interface and the status page.
//!
//! Without encryption: it listens only where the configuration says.

mod change_folder;
mod connect;
mod connections;
mod figures;
mod guard;
mod health;
mod look;
mod own;
mod replays;
mod replicas;
mod route;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tracing::error;

use crate::connectors::{Connectors, Shown};
use crate::reload::Reload;
use crate::telemetry::Levels;
use crate::telemetry::exposition::{self, Format};
pub(crate) use change_folder::kept_state;
use connections::Limited;
pub(crate) use look::Looks;
pub(crate) use replays::Replays;
pub(crate) use replicas::Replicas;
use replicas::Status;
use route::Route;

const PAGE: &str = include_str!("page.html");

/// Every call of the REST interface.
const ROUTES: &[&[Route]] = &[connect::ROUTES, own::ROUTES, look::ROUTES, replays::ROUTES];

/// What requests are answered from.
#[derive(Debug, Clone)]
pub struct Served {
    pub connectors: Connectors,
    pub reload: Reload,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What this process is called: where others reach it.
    pub worker_id: String,
    /// Holds what a request must show, if it must show anything.
    pub token_file: Option<PathBuf>,
    /// The folder of the connectors that are made by requests, if any are.
    pub folder: Option<PathBuf>,
    pub levels: Levels,
    /// Looked up once.
    pub cluster: Arc<OnceLock<String>>,
    pub runtime: Handle,
    pub(crate) looks: Looks,
    pub(crate) replays: Replays,
    /// The other processes with the same connectors, if there are any.
    pub(crate) replicas: Option<Replicas>,
}

impl Served {
    /// A connector's state in this process.
    fn status(&self, shown: &Shown) -> Status {
        Status::of(shown, &self.worker_id)
    }

    /// A connector's state in each process, in the order of their names.
    fn statuses(&self, shown: &Shown) -> Vec<Status> {
        let name = shown.view.name();
        let others = self.replicas.iter().flat_map(|replicas| replicas.elsewhere(name));
        let mut all: Vec<_> = std::iter::once(self.status(shown)).chain(others).collect();
        all.sort_by(|a, b| a.worker_id.cmp(&b.worker_id));
        all
    }
}

/// Serves until the runtime ends.
pub async fn serve(listener: TcpListener, served: Served) {
    if let Err(error) = axum::serve(Limited::new(listener), routes(served)).await {
        error!(%error, "metrics, health and REST are not served any longer");
    }
}

fn routes(served: Served) -> Router {
    route::router(ROUTES)
        .route("/", get(root))
        .route("/openapi.json", get(openapi))
        .route("/metrics", get(metrics))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .layer(map_response(harmless))
        .with_state(served)
}

/// Asks such a process: it is on this machine, or in a network of one's own, so there is no proxy and no
/// redirect.
pub(crate) fn client(timeout: Duration) -> Result<Client, String> {
    // Fails when there is one already, which serves as well.
    _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy().timeout(timeout).redirect(Policy::none());
    builder.build().map_err(|error| error.to_string())
}

/// A browser gets the status page; everybody else what Kafka Connect says here.
async fn root(State(served): State<Served>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        return Html(PAGE).into_response();
    }
    if let Err(refusal) = guard::check(&served, &axum::http::Method::GET, &headers) {
        return refusal.into_response();
    }
    let about = tokio::task::spawn_blocking(move || connect::about(&served)).await;
    Json(about.unwrap_or(Value::Null)).into_response()
}

async fn openapi() -> Json<Value> {
    Json(route::openapi(ROUTES))
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::wanted(accept.unwrap_or_default());
    let page = exposition::page(format, served.connectors.views(), &served.reload.counts);
    ([(header::CONTENT_TYPE, format.content_type())], page).into_response()
}

/// The page loads nothing from elsewhere and runs in no frame, and no reply is taken for another kind.
async fn harmless(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
             connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; \
             form-action 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
