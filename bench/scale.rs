//! How cost and memory grow: with workers, the backlog, partitions, series, connectors, the size of messages and the
//! time that the database takes for an answer; how long a record takes at a low rate; and what idling costs.

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde::Serialize;

use crate::account::cpu_seconds;
use crate::compare::{Measurement, account, account_groups, number};
use crate::plot::{Line, lines};
use crate::receiver::{Receiver, closed_port};
use crate::report::file;
use crate::stack::Kafka;
use crate::subjects::{Output, Subject, sink, start_tidegate, start_tidegates};
use crate::topic::Topic;
use crate::workload::{DEVICES, Message, standard};

/// How long the database is away in the outage.
const OUTAGE: Duration = Duration::from_secs(15);
/// What the latency is measured at, and for how long.
const RECORDS_A_SECOND: u32 = 1000;
const LATENCY_SECONDS: u32 = 10;
const IDLE: Duration = Duration::from_secs(20);

/// Measures one thing: adds rows, of topics of about so many messages.
type Scale = fn(&Kafka, u64, &mut Vec<Row>);

/// One figure: of `scale`, at this place on its axis.
#[derive(Debug, Serialize)]
struct Row {
    scale: &'static str,
    work: String,
    at: f64,
    /// Thousand messages per CPU-second.
    rate: Option<f64>,
    wall_seconds: Option<f64>,
    peak_mib: Option<f64>,
    median_ms: Option<f64>,
    p99_ms: Option<f64>,
    cpu_percent: Option<f64>,
}

pub fn run() {
    let messages = number("BENCH_MESSAGES", 1_000_000);
    let kafka = Kafka::start();
    let mut rows = Vec::new();
    let only = std::env::var("BENCH_SCALES").unwrap_or_default();
    let scales: [(&str, Scale); 9] = [
        ("workers", workers),
        ("backlog", backlog),
        ("partitions", partitions),
        ("series", series),
        ("connectors", connectors),
        ("sizes", sizes),
        ("answers", answers),
        ("latency", latency),
        ("idle", idle),
    ];
    for (name, scale) in scales {
        if only.is_empty() || only.split(',').any(|wanted| wanted == name) {
            eprintln!("{name}");
            scale(&kafka, messages, &mut rows);
        }
    }
    report(&rows);
}

fn standard_topic(
    kafka: &Kafka,
    name: &str,
    partitions: i32,
    messages: u64,
    devices: u64,
) -> Topic {
    Topic::filled(kafka, name, partitions, "none", messages, Message::Standard, |n| {
        (format!("device-{:04}", n % devices), Message::Standard.number(n, devices))
    })
}

/// Has Tidegate do a topic; `more` is lines of its connector's file.
fn measured(topic: &Topic, output: Output, group: &str, more: &str) -> Measurement {
    let receiver = Receiver::start();
    let start = Instant::now();
    let mut running = start_tidegate(topic, group, &sink(output, &receiver.url()), more);
    let measurement = account(Subject::Tidegate, &mut running, topic, output.name(), start);
    running.stop();
    measurement
}

fn row(scale: &'static str, at: f64, measurement: &Measurement) -> Row {
    Row {
        rate: Some(measurement.messages_per_cpu_second / 1000.0),
        wall_seconds: Some(measurement.wall_seconds),
        peak_mib: Some(mib(measurement.peak_rss_bytes)),
        ..empty(scale, &measurement.work, at)
    }
}

fn empty(scale: &'static str, work: &str, at: f64) -> Row {
    let work = work.to_owned();
    Row {
        scale,
        work,
        at,
        rate: None,
        wall_seconds: None,
        peak_mib: None,
        median_ms: None,
        p99_ms: None,
        cpu_percent: None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn workers(kafka: &Kafka, messages: u64, rows: &mut Vec<Row>) {
    let topic = standard_topic(kafka, "workers", 4, messages, DEVICES);
    for workers in [1, 2] {
        for output in [Output::LineProtocol, Output::RemoteWrite] {
            let (group, more) =
                (format!("{output:?}-{workers}-workers"), format!("workers: {workers}\n"));
            let measurement = measured(&topic, output, &group, &more);
            rows.push(row("workers", f64::from(workers), &measurement));
        }
    }
}

/// A topic ten times as long costs ten times the time, and no more memory.
fn backlog(kafka: &Kafka, messages: u64, rows: &mut Vec<Row>) {
    for times in [1, 10] {
        let name = format!("backlog-{times}");
        let topic = standard_topic(kafka, &name, 4, messages * times, DEVICES);
        for output in [Output::LineProtocol, Output::RemoteWrite] {
            let measurement = measured(&topic, output, &format!("{name}-{output:?}"), "");
            #[expect(clippy::cast_precision_loss, reason = "some millions")]
            rows.push(row("backlog", topic.messages as f64, &measurement));
        }
    }
}

/// Each number of partitions twice: with the database there, and with one that is away at first.
fn partitions(kafka: &Kafka, messages: u64, rows: &mut Vec<Row>) {
    for partitions in [1, 10, 100, 1000] {
        let name = format!("partitions-{partitions}");
        // Keys of more devices than partitions, so that none stays empty.
        let topic = standard_topic(kafka, &name, partitions, messages, 20_000);
        let measurement = measured(&topic, Output::LineProtocol, &name, "");
        rows.push(row("partitions", f64::from(partitions), &measurement));
        let measurement = through_outage(&topic, &format!("{name}-outage"));
        rows.push(row("partitions", f64::from(partitions), &measurement));
    }
}

fn through_outage(topic: &Topic, group: &str) -> Measurement {
    let (address, start) = (closed_port(), Instant::now());
    let url = format!("http://{address}");
    let mut running = start_tidegate(topic, group, &sink(Output::LineProtocol, &url), "");
    sleep(OUTAGE);
    let _receiver = Receiver::at(address, None);
    let work = "line protocol, with an outage";
    let measurement = account(Subject::Tidegate, &mut running, topic, work, start);
    running.stop();
    measurement
}

fn series(kafka: &Kafka, messages: u64, rows: &mut Vec<Row>) {
    for devices in [10, 1_000, 100_000, 1_000_000] {
        let name = format!("series-{devices}");
        let topic = standard_topic(kafka, &name, 4, messages, devices);
        for output in [Output::LineProtocol, Output::RemoteWrite] {
            let measurement = measured(&topic, output, &format!("{name}-{output:?}"), "");
            #[expect(clippy::cast_precision_loss, reason = "at most a million")]
            rows.push(row("series", devices as f64, &measurement));
        }
    }
}

/// Connectors in one process, each in a group of its own over the same topic, which is the shorter the more they are:
/// together they always have as many messages.
fn connectors(kafka: &Kafka, messages: u64, rows: &mut Vec<Row>) {
    for connectors in [1, 10, 50, 200] {
        let name = format!("connectors-{connectors}");
        let each = messages / u64::from(connectors);
        let topic = standard_topic(kafka, &name, 4, each, DEVICES);
        let (receiver, start) = (Receiver::start(), Instant::now());
        let sink = sink(Output::LineProtocol, &receiver.url());
        let mut running = start_tidegates(&topic, &name, &sink, connectors);
        let groups: Vec<_> = (0..connectors).map(|n| format!("tidegate-{name}-{n}")).collect();
        let work = "line protocol, all together";
        let measurement = account_groups(&mut running, &topic, &groups, work, start);
        running.stop();
        rows.push(row("connectors", f64::from(connectors), &measurement));
    }
}

/// A database that takes its time: with several requests in flight, and (remote write) with one.
fn answers(kafka: &Kafka, messages: u64, rows: &mut Vec<Row>) {
    let topic = standard_topic(kafka, "answers", 4, messages, DEVICES);
    for delay_ms in [0, 10, 50, 200] {
        for output in [Output::LineProtocol, Output::RemoteWrite] {
            let delay = Duration::from_millis(delay_ms);
            let (receiver, start) = (Receiver::looking(move |_| sleep(delay)), Instant::now());
            let group = format!("answers-{delay_ms}-{output:?}");
            let mut running = start_tidegate(&topic, &group, &sink(output, &receiver.url()), "");
            let work = output.name();
            let measurement = account(Subject::Tidegate, &mut running, &topic, work, start);
            running.stop();
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            rows.push(row("answers", delay_ms as f64, &measurement));
        }
    }
}

/// The standard message with a text beside it that nobody wants, up to a megabyte of it.
fn sizes(kafka: &Kafka, messages: u64, rows: &mut Vec<Row>) {
    for size in [300, 1_000, 10_000, 100_000, 900_000] {
        let name = format!("size-{size}");
        let count = (messages * 300 / size).max(500);
        let alone = standard(0, DEVICES).len() as u64;
        let padding = "x".repeat(usize::try_from(size.saturating_sub(alone)).expect("small"));
        let topic = Topic::filled(kafka, &name, 4, "none", count, Message::Standard, |n| {
            let message = standard(n, DEVICES);
            let message = message.replacen('{', &format!("{{\"pad\":\"{padding}\","), 1);
            (format!("device-{:04}", n % DEVICES), message.into_bytes())
        });
        let measurement = measured(&topic, Output::LineProtocol, &name, "");
        #[expect(clippy::cast_precision_loss, reason = "at most a million")]
        rows.push(row("sizes", size as f64, &measurement));
    }
}

/// From just before a record is produced until its line has come to the database.
fn latency(kafka: &Kafka, _: u64, rows: &mut Vec<Row>) {
    for linger_ms in [10, 100, 1000] {
        let name = format!("latency-{linger_ms}");
        let topic = standard_topic(kafka, &name, 4, 0, DEVICES);
        let seen: Arc<Mutex<Vec<f64>>> = Arc::default();
        let into = Arc::clone(&seen);
        let receiver = Receiver::looking(move |body| into.lock().unwrap().extend(ages_ms(body)));
        let more = format!("batch: {{ linger: {linger_ms}ms }}\n");
        let sink = sink(Output::LineProtocol, &receiver.url());
        let running = start_tidegate(&topic, &name, &sink, &more);
        // Until it has its partitions.
        sleep(Duration::from_secs(5));
        produce_steadily(&topic);
        sleep(Duration::from_secs(3));
        running.stop();
        let mut ages = seen.lock().unwrap().clone();
        assert_eq!(ages.len(), (RECORDS_A_SECOND * LATENCY_SECONDS) as usize, "lines");
        ages.sort_by(f64::total_cmp);
        let at = |part: usize| Some(ages[(ages.len() - 1) * part / 100]);
        let (median_ms, p99_ms) = (at(50), at(99));
        let row = empty("latency", "line protocol", f64::from(linger_ms));
        rows.push(Row { median_ms, p99_ms, ..row });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the point's time is the moment of its production here"
)]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}

/// How long ago each line's time was, in milliseconds.
fn ages_ms(body: &[u8]) -> Vec<f64> {
    let now = since_epoch().as_nanos();
    let text = std::str::from_utf8(body).expect("lines are text");
    let age = |line: &str| {
        let time = line.rsplit(' ').next().and_then(|time| time.parse::<u128>().ok());
        #[expect(clippy::cast_precision_loss, reason = "an age of seconds at most")]
        let nanos = now.saturating_sub(time.expect("a time")) as f64;
        nanos / 1e6
    };
    text.lines().map(age).collect()
}

fn produce_steadily(topic: &Topic) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &topic.bootstrap)
        .set("linger.ms", "0")
        .create()
        .expect("a producer");
    let start = Instant::now();
    for n in 0..RECORDS_A_SECOND * LATENCY_SECONDS {
        sleep((Duration::from_secs(1) / RECORDS_A_SECOND * n).saturating_sub(start.elapsed()));
        let message = standard(u64::from(n), DEVICES);
        let (_, rest) = message.split_once(',').expect("what follows the time");
        let now = since_epoch();
        let millis = format!("{}.{:06}", now.as_millis(), now.subsec_nanos() % 1_000_000);
        let (key, value) = (format!("device-{:04}", n % 1000), format!("{{\"ts\":{millis},{rest}"));
        let record = BaseRecord::to(&topic.name).key(&key).payload(&value);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_mins(1)).expect("the broker takes all");
}

/// Of this many partitions, none of which has a record.
fn idle(kafka: &Kafka, _: u64, rows: &mut Vec<Row>) {
    for partitions in [4, 1000] {
        let name = format!("idle-{partitions}");
        let topic = standard_topic(kafka, &name, partitions, 0, DEVICES);
        let receiver = Receiver::start();
        let sink = sink(Output::LineProtocol, &receiver.url());
        let running = start_tidegate(&topic, &name, &sink, "");
        sleep(Duration::from_secs(10));
        let before = cpu_seconds(running.child.id());
        sleep(IDLE);
        let used = cpu_seconds(running.child.id()) - before;
        running.stop();
        let cpu_percent = Some(100.0 * used / IDLE.as_secs_f64());
        rows.push(Row { cpu_percent, ..empty("idle", "line protocol", f64::from(partitions)) });
    }
}

fn report(rows: &[Row]) {
    println!(
        "| Scale | Work | At | k messages per CPU-second | Wall s | Peak MiB | Median ms | p99 ms | CPU % |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let shown = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
    for row in rows {
        let figures =
            [row.rate, row.wall_seconds, row.peak_mib, row.median_ms, row.p99_ms, row.cpu_percent];
        let figures = figures.map(shown).join(" | ");
        println!("| {} | {} | {} | {figures} |", row.scale, row.work, row.at);
    }
    file("scale.json", &serde_json::to_string_pretty(rows).expect("plain numbers"));
    let scales = [
        ("workers", "workers"),
        ("backlog", "messages"),
        ("partitions", "partitions"),
        ("series", "devices, each of one point's series"),
        ("connectors", "connectors in one process"),
        ("sizes", "bytes a message"),
        ("answers", "milliseconds until the database answers"),
    ];
    for (scale, across) in scales {
        let write = |name: &str, up: &str, value| {
            file(&format!("scale-{scale}-{name}.svg"), &plot(rows, scale, across, up, value));
        };
        write("rate", "k messages per CPU-second", |row| row.rate);
        write("time", "seconds", |row| row.wall_seconds);
        write("memory", "MiB resident at the peak", |row| row.peak_mib);
    }
    let line = |label: &str, value: fn(&Row) -> Option<f64>| Line {
        label: label.to_owned(),
        points: rows.iter().filter_map(|row| Some((row.at, value(row)?))).collect(),
    };
    let all = [line("median", |row| row.median_ms), line("p99", |row| row.p99_ms)];
    let title = "latency: from produce to the database, at 1,000 messages a second";
    file("scale-latency.svg", &lines(title, "linger, ms", "ms", &all));
}

/// A line for each kind of work.
fn plot(
    rows: &[Row],
    scale: &str,
    across: &str,
    up: &str,
    value: fn(&Row) -> Option<f64>,
) -> String {
    let mut all: Vec<Line> = Vec::new();
    for row in rows.iter().filter(|row| row.scale == scale) {
        let Some(value) = value(row) else { continue };
        match all.iter_mut().find(|line| line.label == row.work) {
            Some(line) => line.points.push((row.at, value)),
            None => all.push(Line { label: row.work.clone(), points: vec![(row.at, value)] }),
        }
    }
    lines(&format!("{scale}: {up}"), across, up, &all)
}
