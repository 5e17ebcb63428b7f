//! The web page: charts, the alert, and the switch that takes the store down and up.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Json};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::status::{Shared, Status};
use super::store::query_routes;

const PAGE: &str = include_str!("page.html");

/// Serves the page, the store's query API beside it, and the switch. Ends only with an error.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) -> std::io::Result<()> {
    let queries = query_routes(Arc::clone(&shared.store));
    let own = Router::new()
        .route("/", get(page))
        .route("/demo/status", get(status))
        .route("/demo/store/down", post(down))
        .route("/demo/store/up", post(up))
        .with_state(shared);
    axum::serve(listener, own.merge(queries)).await
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                  connect-src 'self'; img-src data:";
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))], Html(PAGE))
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(shared.status())
}

async fn down(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.take_store_down();
    StatusCode::NO_CONTENT
}

async fn up(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.store.bring_up();
    StatusCode::NO_CONTENT
}
