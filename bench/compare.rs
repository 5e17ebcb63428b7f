//! Side by side: every subject on the same topics, in turn, in one run.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::account::{cpu_seconds, peak_rss_bytes};
use crate::receiver::Receiver;
use crate::report;
use crate::stack::Kafka;
use crate::subjects::{Output, Running, Subject};
use crate::topic::Topic;
use crate::workload::{DEVICES, Message};

const PARTITIONS: i32 = 4;
/// Nobody needs this long for what one run gives.
const DONE_WITHIN: Duration = Duration::from_mins(5);
/// How often a group's progress is asked for.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What one process has cost for so many messages.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    pub subject: &'static str,
    pub work: String,
    pub messages: u64,
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
    pub peak_rss_bytes: u64,
    pub messages_per_cpu_second: f64,
    /// To the bare consumer on the same topic, in the same repeat.
    pub ratio_to_bare: f64,
}

/// A topic and the kind of messages in it.
struct Source {
    topic: Topic,
    compression: &'static str,
    /// Whether peers read it as well.
    with_peers: bool,
}

pub fn run() {
    let messages = number("BENCH_MESSAGES", 1_000_000);
    let repeats = number("BENCH_REPEATS", 3);
    let peers = number("BENCH_PEERS", 1) != 0;
    let kafka = Kafka::start();
    let sources = sources(&kafka, messages, peers);
    let mut all = Vec::new();
    for repeat in 0..repeats {
        for (number, source) in sources.iter().enumerate() {
            eprintln!("repeat {} of {repeats}: {}", repeat + 1, source.topic.name);
            all.extend(measure_source(source, &format!("{number}-{repeat}")));
        }
    }
    report::write(&all);
}

pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

fn sources(kafka: &Kafka, messages: u64, peers: bool) -> Vec<Source> {
    let only = std::env::var("BENCH_TOPICS").unwrap_or_default();
    let mut sources = Vec::new();
    let works = [
        (Message::Standard, messages, &["none", "lz4", "zstd"][..]),
        (Message::Wide, messages / 4, &["none", "lz4", "zstd"]),
        (Message::Avro, messages, &["none"]),
        (Message::Protobuf, messages, &["none"]),
        (Message::Msgpack, messages, &["none"]),
        (Message::Line, messages, &["none"]),
    ];
    for (message, messages, compressions) in works {
        for &compression in compressions {
            let name = format!("{message:?}-{compression}").to_lowercase();
            if !only.is_empty() && !only.split(',').any(|wanted| name == wanted) {
                continue;
            }
            let keyed = |n| (format!("device-{:04}", n % DEVICES), message.number(n, DEVICES));
            let topic =
                Topic::filled(kafka, &name, PARTITIONS, compression, messages, message, keyed);
            // Telegraf and Connect read the others with parsers that are not in these builds.
            let is_json = matches!(message, Message::Standard | Message::Wide);
            let with_peers = peers && is_json && compression == "none";
            let bytes = message.number(123_456, DEVICES).len();
            eprintln!("{name}: {messages} messages of {bytes} bytes in {PARTITIONS} partitions");
            sources.push(Source { topic, compression, with_peers });
        }
    }
    sources
}

/// Every subject once on one topic.
fn measure_source(source: &Source, suffix: &str) -> Vec<Measurement> {
    let Source { topic, compression, with_peers } = source;
    let of = match *compression {
        "none" => topic.kind.name().to_owned(),
        compression => format!("{} in {compression}", topic.kind.name()),
    };
    let measure = |subject: Subject, output: Output| {
        let group = format!("{subject:?}-{output:?}-{suffix}").to_lowercase();
        measure(subject, topic, output, &format!("{of} to {}", output.name()), &group)
    };
    let mut measured = vec![measure(Subject::Bare, Output::Nothing)];
    let mut outputs = vec![Output::LineProtocol, Output::RemoteWrite];
    if *compression == "none" {
        outputs.push(Output::LineProtocolGzip);
    }
    measured.extend(outputs.iter().map(|&output| measure(Subject::Tidegate, output)));
    if *with_peers {
        measured.push(measure(Subject::Telegraf, Output::LineProtocol));
        measured.push(measure(Subject::Telegraf, Output::RemoteWrite));
        measured.push(measure(Subject::KafkaConnect, Output::NullFile));
    }
    let bare = measured[0].messages_per_cpu_second;
    for measurement in &mut measured {
        measurement.ratio_to_bare = measurement.messages_per_cpu_second / bare;
    }
    measured
}

/// Runs a subject over a topic and takes its account.
fn measure(
    subject: Subject,
    topic: &Topic,
    output: Output,
    work: &str,
    group: &str,
) -> Measurement {
    let receiver = Receiver::start();
    let start = Instant::now();
    let mut running = subject.start(topic, output, &receiver.url(), group);
    let measurement = account(subject, &mut running, topic, work, start);
    let writes = !matches!(output, Output::Nothing | Output::NullFile);
    assert!(!writes || receiver.requests() > 0, "{} has written nothing", subject.name());
    running.stop();
    measurement
}

/// Waits until a subject, begun at `start`, has done a topic, and says what it has cost.
pub fn account(
    subject: Subject,
    running: &mut Running,
    topic: &Topic,
    work: &str,
    start: Instant,
) -> Measurement {
    let before = until_done(subject, running, topic, start);
    let messages = topic.messages - before.messages;
    sum_up(subject, running, &before, messages, work, start)
}

/// The same for a Tidegate whose connectors read the topic once each, in these groups.
pub fn account_groups(
    running: &mut Running,
    topic: &Topic,
    groups: &[String],
    work: &str,
    start: Instant,
) -> Measurement {
    let mut left: Vec<_> = groups.iter().map(|group| topic.progress(group)).collect();
    while !left.is_empty() {
        left.retain(|progress| progress.committed() < topic.messages);
        assert!(running.child.try_wait().expect("a child").is_none(), "it has ended by itself");
        assert!(start.elapsed() < DONE_WITHIN, "{} groups are not done", left.len());
        std::thread::sleep(ASK_EVERY);
    }
    let messages = topic.messages * groups.len() as u64;
    sum_up(Subject::Tidegate, running, &Before::default(), messages, work, start)
}

fn sum_up(
    subject: Subject,
    running: &Running,
    before: &Before,
    messages: u64,
    work: &str,
    start: Instant,
) -> Measurement {
    let pid = running.child.id();
    let cpu_seconds = cpu_seconds(pid) - before.cpu_seconds;
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    let messages_per_cpu_second = messages as f64 / cpu_seconds;
    Measurement {
        subject: subject.name(),
        work: work.to_owned(),
        messages,
        cpu_seconds,
        wall_seconds: start.elapsed().as_secs_f64() - before.wall_seconds,
        peak_rss_bytes: peak_rss_bytes(pid),
        messages_per_cpu_second,
        ratio_to_bare: 1.0,
    }
}

/// What is not counted.
#[derive(Default)]
struct Before {
    messages: u64,
    cpu_seconds: f64,
    wall_seconds: f64,
}

/// Waits until all messages are done; returns what was before the account begins.
fn until_done(subject: Subject, running: &mut Running, topic: &Topic, start: Instant) -> Before {
    if let Some(output) = running.child.stdout.take() {
        BufReader::new(output).read_line(&mut String::new()).expect("a line");
        return Before::default();
    }
    let progress = topic.progress(&running.group);
    let mut before = (!subject.is_warmed_up()).then(Before::default);
    loop {
        let committed = progress.committed();
        if committed >= topic.messages {
            return before.unwrap_or_default();
        }
        if committed > 0 && before.is_none() {
            before = Some(Before {
                messages: committed,
                cpu_seconds: cpu_seconds(running.child.id()),
                wall_seconds: start.elapsed().as_secs_f64(),
            });
        }
        let ended = running.child.try_wait().expect("a child");
        assert!(ended.is_none(), "{} has ended by itself", subject.name());
        assert!(start.elapsed() < DONE_WITHIN, "{}: {committed} messages done", subject.name());
        std::thread::sleep(ASK_EVERY);
    }
}
