//! A recording proxy: stands between Tidegate and its database, passes each POST on, and keeps what the database has
//! acknowledged, and when.
//!
//! A request that has arrived whole is passed on to its end even if its sender is killed meanwhile, as a database
//! would do it: so a crash leaves points behind that are stored and not committed. An acknowledgement is on record
//! before its sender can see it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_LENGTH, HOST};
use axum::http::{HeaderMap, StatusCode, Uri};
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::Random;

/// A point's identity, which a database holds once: the number in its tag `series`, and its milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    pub series: u32,
    pub at: i64,
}

/// Reads the points of a request's body.
pub type Decode = fn(&[u8]) -> Vec<Point>;

/// What the database has said.
#[derive(Debug, Default)]
pub struct Log {
    first_acknowledged: HashMap<Point, Instant>,
    /// Points acknowledged once more.
    pub repeats: usize,
    /// Requests that were answered with 4xx.
    pub refusals: usize,
}

impl Log {
    pub fn acknowledge(&mut self, points: &[Point], at: Instant) {
        for point in points {
            let before = self.first_acknowledged.len();
            self.first_acknowledged.entry(*point).or_insert(at);
            self.repeats += usize::from(self.first_acknowledged.len() == before);
        }
    }

    pub fn was_acknowledged(&self, point: Point, by: Instant) -> bool {
        self.first_acknowledged.get(&point).is_some_and(|at| *at <= by)
    }

    /// Points acknowledged and requests refused: moves as long as anything does.
    pub fn exchanges(&self) -> usize {
        self.points() + self.repeats + self.refusals
    }

    /// Points acknowledged, repeats not counted.
    pub fn points(&self) -> usize {
        self.first_acknowledged.len()
    }
}

/// Listens until it is dropped.
pub struct Proxy {
    url: String,
    exchange: Arc<Exchange>,
    _runtime: Runtime,
}

impl Proxy {
    /// Passes everything on to `database`, a URL without a path. Each request waits a random time of up to `a_point`
    /// for each of its points, most of them little and a few long: so those are overtaken, and a kill finds requests
    /// under way.
    pub fn start(database: &str, decode: Decode, a_point: Duration, random: Random) -> Self {
        // Fails when there is one already, which serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let exchange = Arc::new(Exchange {
            client: reqwest::Client::new(),
            database: database.to_owned(),
            decode,
            a_point,
            random: Mutex::new(random),
            log: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let app = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&exchange));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { url: format!("http://{address}"), exchange, _runtime: runtime }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.exchange.log.lock().unwrap()
    }
}

struct Exchange {
    client: reqwest::Client,
    database: String,
    decode: Decode,
    a_point: Duration,
    random: Mutex<Random>,
    log: Mutex<Log>,
}

async fn answer(
    State(exchange): State<Arc<Exchange>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Bytes) {
    // A task of its own, because this one is dropped when the sender's connection breaks.
    tokio::spawn(async move { exchange.pass_on(&uri, headers, body).await })
        .await
        .expect("a body that can be decoded")
}

impl Exchange {
    async fn pass_on(&self, uri: &Uri, mut headers: HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
        let points = (self.decode)(&body);
        tokio::time::sleep(self.pause(points.len())).await;
        headers.remove(HOST);
        headers.remove(CONTENT_LENGTH);
        let url = format!("{}{uri}", self.database);
        let request = self.client.post(url).headers(headers).body(body);
        let Ok(response) = request.send().await else {
            return (StatusCode::BAD_GATEWAY, Bytes::new());
        };
        let status = response.status();
        self.record(status, &points);
        (status, response.bytes().await.unwrap_or_default())
    }

    fn pause(&self, points: usize) -> Duration {
        let share = self.random.lock().unwrap().fraction().powi(6);
        self.a_point.mul_f64(share).saturating_mul(u32::try_from(points).unwrap_or(u32::MAX))
    }

    fn record(&self, status: StatusCode, points: &[Point]) {
        let mut log = self.log.lock().unwrap();
        if status.is_success() {
            log.acknowledge(points, Instant::now());
        } else if status.is_client_error() {
            log.refusals += 1;
        }
    }
}

/// `measurement,series=17 reading=1.5 1700000000000000000`, not compressed, in nanoseconds.
pub fn line_protocol(body: &[u8]) -> Vec<Point> {
    let text = std::str::from_utf8(body).expect("line protocol is UTF-8");
    text.lines()
        .map(|line| {
            let mut parts = line.split(' ');
            let key = parts.next().expect("a series key");
            let nanoseconds: i64 = parts.nth(1).expect("a timestamp").parse().expect(line);
            let series = key.split_once(",series=").expect(line).1;
            Point { series: series.parse().expect(line), at: nanoseconds / 1_000_000 }
        })
        .collect()
}

/// Remote write 1.0, of which the test needs these parts.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Snappy's block format around a `WriteRequest`.
pub fn remote_write(body: &[u8]) -> Vec<Point> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
    let request = WriteRequest::decode(plain.as_slice()).expect("a WriteRequest");
    let mut points = Vec::new();
    for entry in request.timeseries {
        let label = entry.labels.iter().find(|label| label.name == "series");
        let series = label.expect("a label `series`").value.parse();
        let series = series.expect("a number in the label `series`");
        let at = entry.samples.iter().map(|sample| sample.timestamp);
        points.extend(at.map(|at| Point { series, at }));
    }
    points
}
