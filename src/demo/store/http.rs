//! The store's two HTTP interfaces: InfluxDB 2's write, and Prometheus's queries.

use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query as Parameters, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::evaluate::{self, Answer, Instants, Labels};
use super::query::{self, Selector};
use super::{Store, line};
use crate::demo::now_millis;

/// The largest request body, compressed or not.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// All that the store serves at its own port.
pub(super) fn routes(store: Arc<Store>) -> Router {
    let write = Router::new()
        .route("/api/v2/write", post(write))
        .route(
            "/health",
            get(|| async { Json(json!({ "name": "tidegate-demo", "status": "pass" })) }),
        )
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::clone(&store));
    write.merge(query_routes(store))
}

/// The Prometheus query API, for the page and for Grafana; answers 503 while the store is down.
pub(crate) fn query_routes(store: Arc<Store>) -> Router {
    Router::new()
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/query_range", get(range).post(range))
        .route("/api/v1/labels", get(label_names).post(label_names))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/series", get(series).post(series))
        .layer(middleware::from_fn_with_state(Arc::clone(&store), only_when_up))
        .with_state(store)
}

/// Text, as a proxy in front of a dead server would answer.
fn down() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONNECTION, "close")], "the store is down")
        .into_response()
}

async fn only_when_up(State(store): State<Arc<Store>>, request: Request, next: Next) -> Response {
    if store.is_up() { next.run(request).await } else { down() }
}

#[derive(Deserialize)]
struct WriteParameters {
    #[serde(default)]
    precision: String,
}

async fn write(
    State(store): State<Arc<Store>>,
    Parameters(parameters): Parameters<WriteParameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let falling = store.is_falling();
    if !falling && !store.is_up() {
        return down();
    }
    let reply = write_body(&store, &parameters.precision, &headers, &body);
    if falling {
        store.fall();
        return down();
    }
    reply
}

fn write_body(store: &Store, precision: &str, headers: &HeaderMap, body: &[u8]) -> Response {
    let unit = match precision {
        "" | "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return influx_error(StatusCode::BAD_REQUEST, "invalid", "invalid precision"),
    };
    let zipped = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let text = match text(body, zipped) {
        Ok(text) => text,
        Err(why) => return influx_error(StatusCode::BAD_REQUEST, "invalid", why),
    };
    let lines = match line::parse(&text) {
        Ok(lines) => lines,
        Err(why) => return influx_error(StatusCode::BAD_REQUEST, "invalid", &why),
    };
    let written = store.points().write(lines, unit, now_millis().saturating_mul(1_000_000));
    let dropped = written.too_old + written.over_series_limit;
    if dropped == 0 {
        return StatusCode::NO_CONTENT.into_response();
    }
    let why = if written.too_old > 0 {
        "points beyond retention policy"
    } else {
        "max-series limit exceeded"
    };
    let message =
        format!("failure writing points to database: partial write: {why} dropped={dropped}");
    influx_error(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable entity", &message)
}

fn text(body: &[u8], zipped: bool) -> Result<String, &'static str> {
    let mut bytes = Vec::new();
    if zipped {
        let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
        let mut unzipped = flate2::read::MultiGzDecoder::new(body).take(limit + 1);
        unzipped.read_to_end(&mut bytes).map_err(|_| "gzip: invalid data")?;
    } else {
        bytes.extend_from_slice(body);
    }
    if bytes.len() > MAX_BODY {
        return Err("request body too large");
    }
    String::from_utf8(bytes).map_err(|_| "line protocol is UTF-8")
}

fn influx_error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "code": code, "message": message }))).into_response()
}

/// Parameters of a query, from the address and from a form: Grafana sends either.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(uri: &Uri, body: &[u8]) -> Result<Self, BadData> {
        let form = str::from_utf8(body).map_err(|_| bad_data("the form is not UTF-8"))?;
        let both = format!("/?{}&{form}", uri.query().unwrap_or_default());
        let both: Uri =
            both.trim_end_matches('&').parse().map_err(|_| bad_data("malformed form"))?;
        let Parameters(pairs) =
            Parameters::try_from_uri(&both).map_err(|why| bad_data(&why.to_string()))?;
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn query(&self) -> Result<query::Query, BadData> {
        query::parse(self.get("query").unwrap_or_default())
            .map_err(|why| bad_data(&format!("invalid parameter \"query\": {why}")))
    }

    fn selectors(&self) -> Result<Vec<Selector>, BadData> {
        let texts = self.0.iter().filter(|(key, _)| key == "match[]");
        texts
            .map(|(_, text)| query::parse_selector(text))
            .collect::<Result<_, _>>()
            .map_err(|why| bad_data(&format!("invalid parameter \"match[]\": {why}")))
    }

    /// Milliseconds of a time: seconds since the epoch, or RFC 3339.
    fn time(&self, name: &str) -> Result<Option<i64>, BadData> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let millis = seconds(text)
            .or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond));
        let cannot =
            || format!("invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp");
        millis.map(Some).ok_or_else(|| bad_data(&cannot()))
    }

    fn required_time(&self, name: &str) -> Result<i64, BadData> {
        let missing =
            || format!("invalid parameter {name:?}: cannot parse \"\" to a valid timestamp");
        self.time(name)?.ok_or_else(|| bad_data(&missing()))
    }

    /// Milliseconds of a duration: seconds, or Prometheus's spelling (`15s`).
    fn step(&self) -> Result<i64, BadData> {
        let text = self.get("step").unwrap_or_default();
        let spelled =
            || humantime::parse_duration(text).ok().and_then(|d| i64::try_from(d.as_millis()).ok());
        let cannot =
            || format!("invalid parameter \"step\": cannot parse {text:?} to a valid duration");
        seconds(text).or_else(spelled).ok_or_else(|| bad_data(&cannot()))
    }
}

/// Milliseconds of a number of seconds, within the years that matter.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn seconds(text: &str) -> Option<i64> {
    let millis = text.parse::<f64>().ok()? * 1000.0;
    (millis.abs() < 1e15).then_some(millis.round() as i64)
}

async fn instant(
    State(store): State<Arc<Store>>,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, BadData> {
    let form = Form::read(&uri, &body)?;
    let query = form.query()?;
    let time = form.time("time")?.unwrap_or_else(now_millis);
    let answer = evaluate::evaluate(&store.points(), &query, Instants::one(time));
    Ok(success(&match answer {
        Answer::Number(number) => json!({ "resultType": "scalar", "result": sample(time, number) }),
        Answer::Series(series) => {
            let one = |(labels, samples): &(Labels, Vec<(i64, f64)>)| {
                let newest = samples.last().map(|&(time, value)| sample(time, value));
                json!({ "metric": labels, "value": newest })
            };
            json!({ "resultType": "vector", "result": series.iter().map(one).collect::<Vec<_>>() })
        }
    }))
}

async fn range(
    State(store): State<Arc<Store>>,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, BadData> {
    let form = Form::read(&uri, &body)?;
    let query = form.query()?;
    let (start, end) = (form.required_time("start")?, form.required_time("end")?);
    let instants = Instants::range(start, end, form.step()?).map_err(|why| bad_data(&why))?;
    let answer = evaluate::evaluate(&store.points(), &query, instants);
    let series = match answer {
        Answer::Series(series) => series,
        Answer::Number(number) => {
            vec![(Labels::new(), instants.iter().map(|time| (time, number)).collect())]
        }
    };
    let one = |(labels, samples): &(Labels, Vec<(i64, f64)>)| {
        let values = samples.iter().map(|&(time, value)| sample(time, value));
        json!({ "metric": labels, "values": values.collect::<Vec<_>>() })
    };
    Ok(success(
        &json!({ "resultType": "matrix", "result": series.iter().map(one).collect::<Vec<_>>() }),
    ))
}

async fn label_names(
    State(store): State<Arc<Store>>,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, BadData> {
    let selectors = Form::read(&uri, &body)?.selectors()?;
    let sets = evaluate::label_sets(&store.points(), &selectors);
    Ok(success(&json!(sorted(sets.iter().flat_map(Labels::keys)))))
}

async fn label_values(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, BadData> {
    let selectors = Form::read(&uri, &[])?.selectors()?;
    let sets = evaluate::label_sets(&store.points(), &selectors);
    Ok(success(&json!(sorted(sets.iter().filter_map(|labels| labels.get(&name))))))
}

async fn series(
    State(store): State<Arc<Store>>,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, BadData> {
    let selectors = Form::read(&uri, &body)?.selectors()?;
    if selectors.is_empty() {
        return Err(bad_data("no match[] parameter provided"));
    }
    Ok(success(&json!(evaluate::label_sets(&store.points(), &selectors))))
}

fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Prometheus's sample: seconds, and the value as text.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit in 2^53")]
fn sample(millis: i64, value: f64) -> Value {
    json!([millis as f64 / 1000.0, value.to_string()])
}

fn success(data: &Value) -> Json<Value> {
    Json(json!({ "status": "success", "data": data }))
}

fn bad_data(error: &str) -> BadData {
    BadData(error.to_owned())
}

/// A request that can't be answered, in Prometheus's form.
struct BadData(String);

impl IntoResponse for BadData {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "errorType": "bad_data", "error": self.0 });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}
