//! A recording proxy: stands between Tidegate and its database, passes each request on, and keeps what the database has
//! acknowledged, and when. It does harm when it is told to.
//!
//! A request that has arrived whole is passed on to its end even if its sender is killed meanwhile, as a database
//! would do it: so a crash leaves points behind that are stored and not committed. An acknowledgement is on record
//! before its sender can see it.

mod decode;
mod fault;
mod http;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::Random;
use http::{Answer, Connection, Request};

pub use decode::{line_protocol, remote_write};
pub use fault::Fault;

/// How much of half a request may wait in the database's socket before it is cut off.
const HALF_ARRIVES_WITHIN: Duration = Duration::from_millis(20);
/// What a slow exchange takes: less than the sender's patience.
const SLOW: Duration = Duration::from_millis(1500);

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

/// What the proxy stands before.
pub struct Database {
    /// A URL without a path.
    pub url: String,
    pub decode: Decode,
}

/// Listens until it is dropped.
pub struct Proxy {
    url: String,
    exchange: Arc<Exchange>,
    _runtime: Runtime,
}

impl Proxy {
    /// Passes everything on to the database. Each request waits a random time of up to `a_point` for each of its
    /// points, most of them little and a few long: so those are overtaken, and a kill finds requests under way.
    pub fn start(database: Database, a_point: Duration, random: Random) -> Self {
        // Fails when there is one already, which serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let exchange = Arc::new(Exchange {
            client: reqwest::Client::new(),
            database,
            a_point,
            random: Mutex::new(random),
            log: Mutex::default(),
            harm: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let for_all = Arc::clone(&exchange);
        runtime.spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&for_all).serve(Connection::new(stream)));
                }
            }
        });
        Self { url: format!("http://{address}"), exchange, _runtime: runtime }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.exchange.log.lock().unwrap()
    }

    /// Does this harm to the next so many requests.
    pub fn harm(&self, fault: Fault, requests: u32) {
        self.exchange.harm.lock().unwrap().next = Some((fault, requests));
    }

    /// Whether there is harm left to do.
    pub fn is_harmful(&self) -> bool {
        self.exchange.harm.lock().unwrap().next.is_some()
    }

    pub fn heal(&self) {
        self.exchange.harm.lock().unwrap().next = None;
    }

    /// The requests that each kind of fault has struck.
    pub fn struck(&self) -> BTreeMap<Fault, usize> {
        self.exchange.harm.lock().unwrap().struck.clone()
    }
}

struct Exchange {
    client: reqwest::Client,
    database: Database,
    a_point: Duration,
    random: Mutex<Random>,
    log: Mutex<Log>,
    harm: Mutex<Harm>,
}

#[derive(Default)]
struct Harm {
    next: Option<(Fault, u32)>,
    struck: BTreeMap<Fault, usize>,
}

impl Harm {
    fn take(&mut self) -> Option<Fault> {
        let (fault, left) = self.next.take()?;
        self.next = left.checked_sub(1).filter(|left| *left > 0).map(|left| (fault, left));
        *self.struck.entry(fault).or_default() += 1;
        Some(fault)
    }
}

impl Exchange {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        while let Some(request) = connection.next().await {
            let fault = self.harm.lock().unwrap().take();
            let Some(fault) = fault else {
                match self.pass_on(&request).await {
                    Some(answer) => connection.send(&answer).await,
                    None => return connection.reset(),
                }
                continue;
            };
            match self.harmed(&request, fault, connection).await {
                Some(same) => connection = same,
                None => return,
            }
        }
    }

    /// Hands back the connection if it has survived.
    async fn harmed(
        &self,
        request: &Request,
        fault: Fault,
        mut connection: Connection,
    ) -> Option<Connection> {
        let passes_on = fault.passes_on(&mut self.random.lock().unwrap());
        let answer = if passes_on { self.pass_on(request).await } else { None };
        if let Some(refusal) = fault.refusal() {
            connection.send(&refusal).await;
            return Some(connection);
        }
        match (fault, answer) {
            (Fault::Stall, _) => connection.stall().await,
            (Fault::TruncatedRequest, _) => {
                self.pass_on_half(request).await;
                connection.reset();
            }
            (Fault::TruncatedAnswer, Some(answer)) => {
                let part = answer.head_length() - 10 + answer.body.len() / 2;
                connection.send_part(&answer, part).await;
            }
            (Fault::Slow, Some(answer)) => {
                let share = self.random.lock().unwrap().fraction();
                tokio::time::sleep(SLOW.mul_f64(share)).await;
                connection.send(&answer).await;
                return Some(connection);
            }
            _ => connection.reset(),
        }
        None
    }

    /// `None` when the database has not answered.
    async fn pass_on(&self, request: &Request) -> Option<Answer> {
        let points = (self.database.decode)(&request.body);
        tokio::time::sleep(self.pause(points.len())).await;
        let url = format!("{}{}", self.database.url, request.target);
        let response = self
            .client
            .request(request.method.clone(), url)
            .headers(request.end_to_end_headers())
            .body(request.body.clone())
            .send()
            .await
            .ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.record(status, &points);
        let body = response.bytes().await.unwrap_or_default().to_vec();
        Some(Answer { status, headers, body })
    }

    /// As when the line breaks in the middle of a request. What the database makes of it, nobody hears.
    async fn pass_on_half(&self, request: &Request) {
        let address = self.database.url.trim_start_matches("http://");
        if let Ok(mut stream) = TcpStream::connect(address).await
            && stream.write_all(&request.cut_in_half()).await.is_ok()
        {
            tokio::time::sleep(HALF_ARRIVES_WITHIN).await;
        }
    }

    fn pause(&self, points: usize) -> Duration {
        let share = self.random.lock().unwrap().fraction().powi(6);
        self.a_point.mul_f64(share).saturating_mul(u32::try_from(points).unwrap_or(u32::MAX))
    }

    /// A refusal acknowledges nothing, also where the database says that it has written the rest.
    fn record(&self, status: StatusCode, points: &[Point]) {
        let mut log = self.log.lock().unwrap();
        if status.is_success() {
            log.acknowledge(points, Instant::now());
        }
        log.refusals += usize::from(status.is_client_error());
    }
}
