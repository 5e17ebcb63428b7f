//! `tidegate demo`: the connector at work in one process, with nothing to install.
//!
//! ```text
//!  generator ──▶ mock Kafka ──▶ the connector ──▶ store ◀── page, alert
//!  (real data)   (librdkafka's)  (the very code)   (in memory, can be taken down)
//! ```
//! At the end it accounts for every record: produced = stored + dead-lettered, by counting what is
//! in the store and in the dead-letter topic, not by what the connector says of itself.

mod alert;
mod connector;
mod generator;
mod page;
mod status;
mod store;
mod summary;
mod terminal;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::kafka::mock::{MockKafka, MockProducer};
use connector::Connector;
use generator::Progress;
use status::Shared;
use store::Store;
use summary::Summary;

/// The page's port, unless another is asked for or it is taken.
pub const DEFAULT_PORT: u16 = 7070;

/// How long the connector may get nowhere at the end, with records left to write.
const STALL: Duration = Duration::from_secs(30);
/// How long the outage lasts that the demo makes by itself.
const OWN_OUTAGE: Duration = Duration::from_secs(4);

/// How the demo runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// End by itself after so long; without a person at a terminal, the store goes down for four
    /// seconds in the middle.
    pub seconds: Option<u64>,
    /// The page's port; the default one, or any free one if it is taken.
    pub port: Option<u16>,
    /// Print plain lines even on a terminal.
    pub no_ui: bool,
}

impl Options {
    /// Whether there will be a live view on the terminal; log lines would spoil it.
    pub fn live(&self) -> bool {
        !self.no_ui && terminal::is_live()
    }
}

/// Runs the demo to its end, prints the summary, and tells by the exit code whether every record is
/// accounted for.
pub fn run(options: &Options) -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(why) => return fail(&format!("cannot start: {why}")),
    };
    let result = runtime.block_on(demonstrate(options, &runtime));
    // A connection that a browser keeps open must not keep the process.
    if let Some(runtime) = Arc::into_inner(runtime) {
        runtime.shutdown_background();
    }
    match result {
        Ok(summary) => {
            println!("\n{summary}");
            if summary.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => fail(&why),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("tidegate demo: {why}");
    ExitCode::FAILURE
}

async fn demonstrate(options: &Options, runtime: &Arc<Runtime>) -> Result<Summary, String> {
    let mut demo = Demo::start(options, runtime).await?;
    let live = options.live();
    let quits = watch::Sender::new(0);
    println!("The page is at {}", demo.address);
    let screen = demo.show(live, &quits);
    let outage =
        tokio::spawn(own_outage(Arc::clone(&demo.shared), options.seconds.filter(|_| !live)));
    let end = tokio::select! {
        () = time_is_up(options.seconds) => Ok(()),
        () = asked_to_end(&quits, 1) => Ok(()),
        why = demo.failure() => Err(why),
    };
    outage.abort();
    let result = if let Err(why) = end {
        Err(why)
    } else {
        tokio::select! {
            summary = demo.finish() => summary,
            () = asked_to_end(&quits, 2) => Err("ended before everything was written and counted".into()),
        }
    };
    demo.over.send_replace(true);
    let _ = screen.await;
    result
}

/// Waits until the person has asked to end so often, by a key or by Ctrl-C.
async fn asked_to_end(quits: &watch::Sender<u32>, often: u32) {
    let mut asked = quits.subscribe();
    tokio::select! {
        _ = asked.wait_for(|times| *times >= often) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Waits for the demo's time to pass; for ever if it has no end.
async fn time_is_up(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

/// When nobody is there to do it, takes the store down for a while in the middle.
async fn own_outage(shared: Arc<Shared>, seconds: Option<u64>) {
    let Some(seconds) = seconds else { return };
    let whole = Duration::from_secs(seconds);
    tokio::time::sleep(whole.saturating_sub(OWN_OUTAGE) / 2).await;
    shared.take_store_down();
    tokio::time::sleep(OWN_OUTAGE.min(whole / 3)).await;
    shared.store.bring_up();
}

/// Listens for the page's visitors, on this machine only.
async fn listen(port: Option<u16>) -> Result<TcpListener, String> {
    let at = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = match port {
        Some(port) => at(port).await,
        None => match at(DEFAULT_PORT).await {
            Ok(listener) => Ok(listener),
            Err(_) => at(0).await,
        },
    };
    listener.map_err(|why| format!("cannot listen for the page: {why}"))
}

/// Everything that runs.
struct Demo {
    kafka: MockKafka,
    producer: Arc<MockProducer>,
    generator: JoinHandle<Result<(), String>>,
    servers: [(&'static str, JoinHandle<std::io::Result<()>>); 2],
    shared: Arc<Shared>,
    address: String,
    /// Set when there is nothing left to show.
    over: watch::Sender<bool>,
}

impl Demo {
    async fn start(options: &Options, runtime: &Arc<Runtime>) -> Result<Self, String> {
        let topics = [(generator::TOPIC, generator::PARTITIONS), (connector::DEAD_LETTERS, 1)];
        let kafka = MockKafka::start(&topics)
            .map_err(|why| format!("cannot start the mock broker: {why}"))?;
        let producer = kafka.producer().map_err(|why| format!("cannot make a producer: {why}"))?;
        let producer = Arc::new(producer);
        let listener = listen(options.port).await?;
        let address = listener.local_addr().map_err(|why| format!("no address: {why}"))?;

        let store = Store::new();
        let port = store::Port::take().map_err(|why| format!("no port for the store: {why}"))?;
        let store_address = port.address();
        let store_server = tokio::spawn(store::serve(Arc::clone(&store), port));
        let connector = Connector::start(&kafka, store_address, runtime)?;
        let progress = Arc::new(Progress::default());
        let shared = Arc::new(Shared::new(store, connector, Arc::clone(&progress)));
        tokio::spawn(status::keep_sampling(Arc::clone(&shared)));
        let page_server = tokio::spawn(page::serve(Arc::clone(&shared), listener));

        let sensors = generator::sensors().ok_or("the embedded data is not as expected")?;
        let sending = Arc::clone(&producer);
        let generator =
            tokio::task::spawn_blocking(move || generator::run(&sensors, &sending, &progress));
        Ok(Self {
            kafka,
            producer,
            generator,
            servers: [("store", store_server), ("page", page_server)],
            shared,
            address: format!("http://{address}"),
            over: watch::Sender::new(false),
        })
    }

    /// Shows what goes on, until `over` is set; `quits` counts how often the person wants to end it.
    fn show(&self, live: bool, quits: &watch::Sender<u32>) -> JoinHandle<()> {
        let (shared, quits) = (Arc::clone(&self.shared), quits.clone());
        let (address, mut over) = (self.address.clone(), self.over.subscribe());
        tokio::spawn(async move {
            if live {
                let (shared, over) = (Arc::clone(&shared), over.clone());
                let quit = move || quits.send_modify(|times| *times += 1);
                let view = move || terminal::live(&shared, &address, &quit, &|| *over.borrow());
                match tokio::task::spawn_blocking(view).await {
                    Ok(Err(why)) => eprintln!("tidegate demo: no live view: {why}"),
                    Ok(Ok(())) | Err(_) => return,
                }
            }
            tokio::select! {
                () = terminal::lines(shared) => {}
                _ = over.wait_for(|over| *over) => {}
            }
        })
    }

    /// Waits until something fails, and says what.
    async fn failure(&self) -> String {
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if let Some(why) = self.shared.connector.failure() {
                return format!("the connector has stopped: {why}");
            }
            if self.generator.is_finished() {
                return "the generator has stopped".into();
            }
            if let Some((name, _)) = self.servers.iter().find(|(_, server)| server.is_finished()) {
                return format!("the {name} has stopped");
            }
        }
    }

    /// Stops the generator, lets the connector write what is left, stops it, and counts.
    async fn finish(&mut self) -> Result<Summary, String> {
        self.shared.begin_end();
        self.shared.progress.stop.store(true, Ordering::Relaxed);
        let generator = (&mut self.generator).await;
        generator.map_err(|why| format!("the generator has failed: {why}"))??;
        self.drain().await?;
        let shared = Arc::clone(&self.shared);
        let stopped = tokio::task::spawn_blocking(move || shared.connector.stop()).await;
        let stopped = stopped.map_err(|why| format!("the connector has failed: {why}"))?;
        stopped.map_err(|why| format!("the connector has stopped: {why}"))?;
        self.count()
    }

    /// Waits until all that was sent is done; the connector commits the last of it as it stops. When
    /// it gets nowhere, the summary will show it.
    async fn drain(&self) -> Result<(), String> {
        let (mut done, mut since) = (0, Instant::now());
        while done < self.producer.confirmed() && since.elapsed() < STALL {
            if let Some(why) = self.shared.connector.failure() {
                return Err(format!("the connector has stopped: {why}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            if self.shared.done() > done {
                (done, since) = (self.shared.done(), Instant::now());
            }
        }
        Ok(())
    }

    fn count(&self) -> Result<Summary, String> {
        let within = Duration::from_secs(20);
        let cannot = |why| format!("cannot count what is in Kafka: {why}");
        let counts = self.shared.store.counts();
        Ok(Summary {
            sent: self.producer.confirmed(),
            broken: self.shared.progress.broken.load(Ordering::Relaxed),
            not_sent: self.producer.failed(),
            stored: counts.stored,
            rewritten: counts.rewritten,
            dead: self.kafka.count_records(connector::DEAD_LETTERS, within).map_err(cannot)?,
            lag: self.kafka.lag(connector::GROUP, generator::TOPIC, within).map_err(cannot)?,
            fired: self.shared.status().alert.fired_times,
            outages: self.shared.store.outages(),
        })
    }
}

/// The time of day, in milliseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo plays sensors and a database, which have clocks"
)]
fn now_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
