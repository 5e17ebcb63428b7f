//! The REST interface as a table: each call is a row, and routing, checks of what comes in and the
//! `OpenAPI` description are all made from the rows.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Served, guard};

/// The largest body of a request: a configuration file's limit.
const MOST_BYTES: usize = 1024 * 1024;
/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// What is done to the thing that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// A call of the interface.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) verb: Verb,
    /// With `{name}` for what stands in its place.
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    /// What may stand behind `?`: its name, the kind of its value in JSON Schema's words, and what it says.
    pub(super) query: &'static [(&'static str, &'static str, &'static str)],
    /// The body that it takes, if it takes one.
    pub(super) body: Option<fn() -> Value>,
    /// How it answers when all is well, and what else it may say besides what every call may.
    pub(super) codes: &'static [u16],
    /// Runs on a thread that may block.
    pub(super) answer: fn(&Call) -> Answer,
}

/// A request, as a row of the table sees it.
pub(super) struct Call {
    pub(super) served: Served,
    path: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    /// What it has shown: a token or a login.
    authorization: Option<HeaderValue>,
    body: Option<Value>,
}

impl Call {
    /// What stands in the place of `{name}`.
    pub(super) fn at(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        // `expand=status&expand=info`: values of one name are joined when they are read.
        self.query(name).is_some_and(|values| values.split(',').any(|one| one == value))
    }

    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The body as what it should be.
    pub(super) fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body = self.body.clone().unwrap_or(Value::Null);
        // Serde's own words may quote a secret.
        serde_json::from_value(body)
            .map_err(|_| Refusal::bad("the body is not of the form that /openapi.json describes"))
    }
}

pub(super) type Answer = Result<Reply, Refusal>;

#[derive(Debug)]
pub(super) struct Reply {
    code: u16,
    body: Option<Value>,
    location: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "what a call ends in")]
impl Reply {
    pub(super) fn ok(body: impl Into<Value>) -> Answer {
        Self::with(200, body)
    }

    pub(super) fn with(code: u16, body: impl Into<Value>) -> Answer {
        Ok(Self { code, body: Some(body.into()), location: None })
    }

    pub(super) fn empty(code: u16) -> Answer {
        Ok(Self { code, body: None, location: None })
    }

    pub(super) fn created(location: String, body: impl Into<Value>) -> Answer {
        Ok(Self { code: 201, body: Some(body.into()), location: Some(location) })
    }
}

/// An error, in the shape of Kafka Connect's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "error_code": self.code, "message": self.message });
        let mut response = (code, Json(body)).into_response();
        if code == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"tidegate\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = match self.body {
            Some(body) => (code, Json(body)).into_response(),
            None => code.into_response(),
        };
        let location = self.location.and_then(|place| HeaderValue::from_str(&place).ok());
        if let Some(location) = location {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// A router of these rows.
pub(super) fn router(routes: &'static [&'static [Route]]) -> Router<Served> {
    let mut all = Router::new();
    for route in routes.iter().copied().flatten() {
        let handler = move |State(served), params, request| take(route, served, params, request);
        all = all.route(route.path, on(route.verb.filter(), handler));
    }
    all.method_not_allowed_fallback(async || Refusal::new(405, "HTTP 405 Method Not Allowed"))
        .fallback(async || Refusal::new(404, "HTTP 404 Not Found"))
}

async fn take(
    route: &'static Route,
    served: Served,
    params: RawPathParams,
    request: Request,
) -> Response {
    match answered(route, served, &params, request).await {
        Ok(reply) => reply.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn answered(
    route: &'static Route,
    served: Served,
    params: &RawPathParams,
    request: Request,
) -> Answer {
    guard::check(&served, request.method(), request.headers())?;
    let path = params.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let query = query(request.uri().query().unwrap_or_default());
    let authorization = request.headers().get(header::AUTHORIZATION).cloned();
    let body = match route.body {
        Some(_) => Some(body(request.into_body()).await?),
        None => None,
    };
    let call = Call { served, path, query, authorization, body };
    tokio::task::spawn_blocking(move || (route.answer)(&call))
        .await
        .unwrap_or_else(|_| Err(Refusal::new(500, "a defect of Tidegate; its log says more")))
}

async fn body(body: Body) -> Result<Value, Refusal> {
    let arrived = tokio::time::timeout(ARRIVES_WITHIN, to_bytes(body, MOST_BYTES)).await;
    let bytes = arrived
        .map_err(|_| Refusal::new(408, "the body took too long to arrive"))?
        .map_err(|_| Refusal::new(413, "the body is larger than 1 MiB, or did not arrive whole"))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad(format!("the body is no JSON: line {}", error.line())))
}

/// The pairs of a query; values of one name are joined with commas. A name alone stands for `true`.
fn query(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let mut pairs = BTreeMap::<String, String>::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
        let (name, value) = (decoded(name), decoded(value));
        pairs
            .entry(name)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    pairs
}

/// What every call may answer: what was sent is wrong, who sent it may not, there is no such thing.
const ALWAYS: [u16; 6] = [400, 401, 403, 404, 408, 413];

/// The `OpenAPI` description of these rows.
pub(super) fn openapi(routes: &[&[Route]]) -> Value {
    let mut paths = serde_json::Map::new();
    for route in routes.iter().copied().flatten() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.verb.word()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Kafka Connect's REST interface, and Tidegate's own calls besides.",
        },
        "paths": paths,
        "components": {
            "schemas": { "Error": {
                "type": "object",
                "required": ["error_code", "message"],
                "properties": {
                    "error_code": { "type": "integer" },
                    "message": { "type": "string" },
                },
            } },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic" },
            },
        },
        "security": [{}, { "bearer": [] }, { "basic": [] }],
    })
}

fn operation(route: &Route) -> Value {
    let text = json!({ "type": "string" });
    let in_path = route
        .path
        .split(['{', '}'])
        .skip(1)
        .step_by(2)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }));
    let in_query = route.query.iter().map(|(name, kind, about)| {
        json!({ "name": name, "in": "query", "description": about, "schema": { "type": kind } })
    });
    let parameters: Vec<_> = in_path.chain(in_query).collect();
    let mut responses = serde_json::Map::new();
    for code in ALWAYS.iter().chain(route.codes) {
        let is_error = *code >= 400;
        let description = StatusCode::from_u16(*code)
            .ok()
            .and_then(|code| code.canonical_reason())
            .unwrap_or_default();
        let schema =
            if is_error { json!({ "$ref": "#/components/schemas/Error" }) } else { json!({}) };
        let mut response = json!({ "description": description });
        if ![202, 204].contains(code) {
            response["content"] = json!({ "application/json": { "schema": schema } });
        }
        responses.insert(code.to_string(), response);
    }
    let mut operation = json!({
        "summary": route.about,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = route.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": body() } },
        });
    }
    operation
}
