//! `make bench`: Tidegate beside a bare librdkafka consumer, on the same topic of a real Kafka, in the
//! same run.
//!
//! What counts is messages per CPU-second (user and system time of the whole process, from
//! `/proc/PID/stat`) and the ratio of the two: wall times differ from machine to machine. The database
//! is a receiver in this process that reads and acknowledges, so its cost is not Tidegate's.
//!
//! `BENCH_MESSAGES` (default 1,000,000) says how many; `BENCH_REPEATS` (default 3) how often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that can't be made can only panic"
)]

#[path = "../tests/stack/mod.rs"]
mod stack;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const TOPIC: &str = "bench";
const PARTITIONS: i32 = 4;

/// What one process has cost for the whole topic.
#[derive(Debug, Clone, serde::Serialize)]
struct Measurement {
    subject: &'static str,
    work: &'static str,
    messages: u64,
    cpu_seconds: f64,
    wall_seconds: f64,
    peak_rss_bytes: u64,
    messages_per_cpu_second: f64,
    ratio_to_bare: f64,
}

fn main() {
    if let Some(bootstrap) = std::env::args().skip_while(|arg| arg != "--bare").nth(1) {
        return bare_consumer(&bootstrap);
    }
    let messages = number("BENCH_MESSAGES", 1_000_000);
    let repeats = number("BENCH_REPEATS", 3);
    let kafka = stack::Kafka::start();
    kafka.create_topic(TOPIC, PARTITIONS);
    produce(kafka.bootstrap(), messages);
    let mut all = Vec::new();
    for repeat in 0..repeats {
        let bare = measure_bare(kafka.bootstrap(), messages);
        let lines = measure_tidegate(
            kafka.bootstrap(),
            messages,
            &format!("influxdb-{repeat}"),
            Sink::InfluxDb,
        );
        let samples = measure_tidegate(
            kafka.bootstrap(),
            messages,
            &format!("prometheus-{repeat}"),
            Sink::Prometheus,
        );
        for mut measurement in [bare.clone(), lines, samples] {
            measurement.ratio_to_bare =
                measurement.messages_per_cpu_second / bare.messages_per_cpu_second;
            all.push(measurement);
        }
    }
    report(&all);
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

/// A message of about 280 bytes: three tags, five fields, a timestamp.
fn message(n: u64) -> String {
    format!(
        r#"{{"ts":{},"site":"site-{:02}","device":{{"id":"device-{:04}","model":"TX-{}","firmware":"4.2.{}"}},"reading":{{"temperature":{}.{:02},"humidity":{}.{:01},"pressure":{}.{:02},"vibration":0.{:04},"cycles":{}}},"status":"ok","note":"regular interval reading, nothing else to report"}}"#,
        1_700_000_000_000u64 + n,
        n % 20,
        n % 1000,
        n % 5,
        n % 9,
        15 + n % 20,
        n % 100,
        30 + n % 50,
        n % 10,
        990 + n % 40,
        n % 100,
        n % 10_000,
        n
    )
}

fn produce(bootstrap: &str, messages: u64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("queue.buffering.max.messages", "200000")
        .set("linger.ms", "20")
        .create()
        .unwrap();
    for n in 0..messages {
        let (key, value) = (format!("device-{:04}", n % 1000), message(n));
        let mut record = BaseRecord::to(TOPIC).key(&key).payload(&value);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = back;
        }
        if n % 1000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_mins(2)).unwrap();
    eprintln!("{messages} messages of {} bytes in {PARTITIONS} partitions", message(123_456).len());
}

/// The floor: polls every message of the topic and looks at its length; then waits to be measured.
fn bare_consumer(bootstrap: &str) {
    let messages = number("BENCH_MESSAGES", 1_000_000);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("bare-{}", std::process::id()))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "50")
        .create()
        .unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    let (mut seen, mut bytes) = (0, 0);
    while seen < messages {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message.unwrap().payload().map_or(0, <[u8]>::len);
            seen += 1;
        }
    }
    println!("{seen} {bytes}");
    let _ = std::io::stdin().read(&mut [0]);
}

fn measure_bare(bootstrap: &str, messages: u64) -> Measurement {
    let start = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--bare", bootstrap])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let measurement =
        measure(&child, "bare librdkafka consumer", "consume JSON 280 B", messages, start);
    drop(child.stdin.take());
    child.wait().unwrap();
    measurement
}

#[derive(Clone, Copy)]
enum Sink {
    InfluxDb,
    Prometheus,
}

fn measure_tidegate(bootstrap: &str, messages: u64, name: &str, sink: Sink) -> Measurement {
    let (url, requests) = receiver();
    let (sink, work) = match sink {
        Sink::InfluxDb => (
            format!("influxdb: {{ url: '{url}', org: o, bucket: b, compression: none }}"),
            "JSON 280 B to line protocol",
        ),
        Sink::Prometheus => {
            (format!("prometheus: {{ url: '{url}/api/v1/write' }}"), "JSON 280 B to remote write")
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{name}.yaml"));
    std::fs::write(&file, connector(bootstrap, &sink)).unwrap();
    let start = Instant::now();
    let mut child = Command::new(tidegate()).arg("run").arg(&file).spawn().unwrap();
    while committed(bootstrap, &format!("tidegate-{name}")) < messages {
        assert!(child.try_wait().unwrap().is_none(), "tidegate has ended by itself");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(requests.load(Ordering::Relaxed) > 0);
    let measurement = measure(&child, "tidegate", work, messages, start);
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(child.wait().unwrap().success());
    measurement
}

/// The binary that `make bench` has built: `target/release/tidegate`, beside `examples/`.
fn tidegate() -> std::path::PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().with_file_name("tidegate")
}

fn connector(bootstrap: &str, sink: &str) -> String {
    format!(
        "topics: [{TOPIC}]
kafka: {{ bootstrap.servers: '{bootstrap}' }}
decode: json
point:
  measurement: sensor
  tags: {{ site: site, device: device.id, model: device.model }}
  fields:
    temperature: reading.temperature
    humidity: reading.humidity
    pressure: reading.pressure
    vibration: reading.vibration
    cycles: {{ path: reading.cycles, type: integer }}
  timestamp: {{ path: ts, unit: ms }}
sink:
  {sink}
"
    )
}

/// How many records the group has committed; asked by a member-less client.
fn committed(bootstrap: &str, group: &str) -> u64 {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_range(TOPIC, 0, PARTITIONS - 1);
    let offsets = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
    offsets
        .elements()
        .iter()
        .filter_map(|e| e.offset().to_raw())
        .map(|o| o.max(0).unsigned_abs())
        .sum()
}

/// A database that reads a request, acknowledges it and forgets it.
fn receiver() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counter = Arc::clone(&counter);
            std::thread::spawn(move || {
                while answer(&stream).is_some() {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (url, requests)
}

/// Reads one request and answers 204. `None` at the connection's end.
fn answer(mut stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()
}

/// What a process has used until now, by Linux' own account of it.
fn measure(
    child: &Child,
    subject: &'static str,
    work: &'static str,
    messages: u64,
    start: Instant,
) -> Measurement {
    let wall_seconds = start.elapsed().as_secs_f64();
    let account = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    // utime and stime, in ticks of 1/100 s, are the 12th and 13th after the name in brackets.
    let ticks: f64 = account
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .skip(11)
        .take(2)
        .map(|t| t.parse::<f64>().unwrap())
        .sum();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    let cpu_seconds = ticks / 100.0;
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    let messages_per_cpu_second = messages as f64 / cpu_seconds;
    Measurement {
        subject,
        work,
        messages,
        cpu_seconds,
        wall_seconds,
        peak_rss_bytes: kib * 1024,
        messages_per_cpu_second,
        ratio_to_bare: 1.0,
    }
}

fn report(all: &[Measurement]) {
    println!(
        "| subject | work | CPU s | wall s | messages per CPU-second | ratio to bare | peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for m in all {
        println!(
            "| {} | {} | {:.2} | {:.1} | {:.0} | {:.2} | {} |",
            m.subject,
            m.work,
            m.cpu_seconds,
            m.wall_seconds,
            m.messages_per_cpu_second,
            m.ratio_to_bare,
            m.peak_rss_bytes >> 20
        );
    }
    std::fs::create_dir_all("target/report").unwrap();
    std::fs::write("target/report/bench.json", serde_json::to_string_pretty(all).unwrap()).unwrap();
}
