//! `tidegate backfill`: a part of the topics' history through their connector once more.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::dlq::{Trouble, bar, print, stop_on_signal};
use super::{FAILED, one_connector, time};
use crate::backfill::Progress;
use crate::config::raw::LogFormat;
use crate::config::{self, Connector, InfluxApi};
use crate::connector::{self, Backfill};
use crate::deliver;
use crate::kafka;
use crate::kafka::range::{Bound, PartitionRange, TopicReader};
use crate::record::NextOffset;
use crate::telemetry::{self, Metrics};
use crate::watermark::Covers;
use crate::worker::Outcome;

/// How often the bar moves and the workers' end is looked for.
const WATCH: Duration = Duration::from_millis(100);

/// What is read again, and how.
#[derive(Debug, clap::Args)]
pub(super) struct BackfillArguments {
    /// What all connectors share. Default: tidegate.yaml in this folder, or else beside the connector's file.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// The connector's file.
    connector: PathBuf,
    /// Records from this time on: RFC 3339, a date (UTC), or so long ago (`-1h`, `1h ago`).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time::millis)]
    from: i64,
    /// Records before this time; `now` for all that are there.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time::millis)]
    to: i64,
    /// Write into this bucket (or database) of InfluxDB instead of the connector's own.
    #[arg(long, value_name = "BUCKET")]
    into: Option<String>,
    /// How many workers read. Default: as many as the connector has.
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// At most so many records a second, of all workers together, so that live traffic is not hurt.
    #[arg(long, value_name = "RECORDS")]
    rate: Option<NonZeroU32>,
    /// A name for this backfill: one of the same name goes on where it has stopped. Default: made of
    /// the connector, `--from`, `--to` and `--into` as they were given; `-1h` is another time each
    /// time, so give times or a name to what may have to go on.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long Kafka may take for each answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub(super) fn run(arguments: &BackfillArguments) -> ExitCode {
    telemetry::log_to_stderr(LogFormat::Text);
    backfill(arguments).unwrap_or_else(|trouble| trouble.told())
}

fn backfill(arguments: &BackfillArguments) -> Result<ExitCode, Trouble> {
    let connector = one_connector(arguments.config.as_deref(), &arguments.connector);
    let mut connector = connector.map_err(Trouble::Configuration)?;
    if arguments.from >= arguments.to {
        return Err(Trouble::Configuration("--from is not before --to".into()));
    }
    if let Some(bucket) = &arguments.into {
        write_into(&mut connector, bucket).map_err(Trouble::Configuration)?;
    }
    if let Some(workers) = arguments.workers {
        connector.workers = workers;
    }
    connector.group = group(&connector, arguments);
    let topics = topics(&connector, arguments)?;
    let failed = |error: std::io::Error| Trouble::Other(format!("can't start: {error}"));
    let runtime = deliver::runtime(connector.workers.get()).map_err(failed)?;
    let stop = Arc::<AtomicBool>::default();
    let stopped = stop_on_signal(&runtime, &stop).map_err(failed)?;
    let metrics = Metrics::default();
    let mut left = 0;
    for topic in &topics {
        left += if stopped.load(Ordering::Acquire) {
            topic.left()
        } else {
            let rate = arguments.rate;
            run_topic(topic, rate, &metrics, &stop, &runtime)?
        };
    }
    Ok(summary(&connector, &metrics, left))
}

/// Changes where the connector writes to.
fn write_into(connector: &mut Connector, bucket: &str) -> Result<(), String> {
    if connector.routing.is_some() {
        return Err("--into: this connector's records say themselves where they go".into());
    }
    let config::Sink::InfluxDb(sink) = &mut connector.sink else {
        return Err("--into: buckets are InfluxDB's, and this connector has another sink".into());
    };
    match &mut sink.api {
        InfluxApi::V2 { bucket: own, .. } => bucket.clone_into(own),
        InfluxApi::V1 { database, .. } | InfluxApi::V3 { database, .. } => {
            bucket.clone_into(database);
        }
    }
    Ok(())
}

/// The group that remembers what this backfill has done, without the topic: each has its own. The members are static,
/// and Kafka would give those of the next topic what they had of the last one.
fn group(connector: &Connector, arguments: &BackfillArguments) -> String {
    let name = arguments.name.clone().unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        (arguments.from, arguments.to, &arguments.into).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    });
    format!("{}-backfill-{name}", connector.group)
}

/// A topic's part, and what of it is done.
struct Topic {
    name: Arc<str>,
    /// What reads it.
    connector: Connector,
    ranges: Vec<PartitionRange>,
    committed: Covers,
}

impl Topic {
    fn next(&self, range: &PartitionRange) -> NextOffset {
        let start = NextOffset::at(range.from);
        self.committed.get(&range.partition).map_or(start, |next| start.max(*next))
    }

    /// Offsets that are not done.
    fn left(&self) -> u64 {
        let left = |range: &PartitionRange| {
            u64::try_from(range.to.0 - self.next(range).get()).unwrap_or_default()
        };
        self.ranges.iter().map(left).sum()
    }
}

/// The topics with their parts.
fn topics(
    connector: &Connector,
    arguments: &BackfillArguments,
) -> Result<Vec<Topic>, kafka::KafkaError> {
    let (from, to) = (Bound::Time(arguments.from), Bound::Time(arguments.to));
    let (properties, within) = (&connector.kafka, arguments.timeout);
    let reader = TopicReader::open(properties, &connector.topics, from, to, within)?;
    let mut topics: Vec<Topic> = Vec::new();
    for range in reader.partitions() {
        let name = &range.partition.topic;
        match topics.last_mut().filter(|topic| topic.name == *name) {
            Some(topic) => topic.ranges.push(range.clone()),
            None => topics.push(Topic {
                name: Arc::clone(name),
                connector: Connector {
                    group: format!("{}-{name}", connector.group),
                    ..connector.clone()
                },
                ranges: vec![range.clone()],
                committed: Covers::new(),
            }),
        }
    }
    for topic in &mut topics {
        topic.committed = places(topic, within)?;
    }
    Ok(topics)
}

/// Where a topic's group is. Where it has no place yet it is given one: the beginning of the part.
fn places(topic: &Topic, within: Duration) -> Result<Covers, kafka::KafkaError> {
    let Connector { kafka: properties, group, .. } = &topic.connector;
    let partitions = topic.ranges.iter().map(|range| &range.partition);
    let mut committed = kafka::committed(properties, group, partitions, within)?;
    let fresh = topic.ranges.iter().filter(|range| !committed.contains_key(&range.partition));
    let fresh: Covers =
        fresh.map(|range| (range.partition.clone(), NextOffset::at(range.from))).collect();
    if !fresh.is_empty() {
        kafka::set_place(properties, group, &fresh)?;
    }
    committed.extend(fresh);
    Ok(committed)
}

/// Reads a topic's part to its end, or until a stop; says how many offsets are left.
fn run_topic(
    topic: &Topic,
    rate: Option<NonZeroU32>,
    metrics: &Metrics,
    stop: &Arc<AtomicBool>,
    runtime: &Arc<Runtime>,
) -> Result<u64, Trouble> {
    let total = topic.left();
    if total == 0 {
        return Ok(0);
    }
    let ended = Arc::<AtomicBool>::default();
    let partitions =
        topic.ranges.iter().map(|range| (range.partition.partition, topic.next(range), range.to));
    let progress = Arc::new(Progress::new(partitions, Arc::clone(&ended)));
    let backfill = connector::backfill(
        &topic.connector,
        &topic.name,
        &progress,
        rate,
        metrics,
        &ended,
        runtime,
    )?;
    let bar = bar(total, "backfilling");
    while !backfill.has_ended() {
        if stop.load(Ordering::Acquire) {
            ended.store(true, Ordering::Release);
        }
        bar.set_position(total.saturating_sub(progress.left()));
        bar.set_message(format!(" of {}, {} rejected", topic.name, metrics.records_rejected.get()));
        std::thread::sleep(WATCH);
    }
    bar.finish_and_clear();
    join(backfill)?;
    Ok(progress.left())
}

fn join(backfill: Backfill) -> Result<(), Trouble> {
    for worker in backfill.workers {
        match worker.join() {
            Ok(Outcome::Stopped) => {}
            Ok(Outcome::Failed(failure)) => return Err(Trouble::Other(failure.to_string())),
            Err(_) => return Err(Trouble::Other("ended by a defect of Tidegate".to_owned())),
        }
    }
    Ok(())
}

fn summary(connector: &Connector, metrics: &Metrics, left: u64) -> ExitCode {
    let count =
        |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut text = format!(
        "{}: {}: {} written, {} empty, {} rejected\n",
        connector.name,
        count(metrics.records_consumed.get(), "record"),
        count(metrics.points_written.get(), "point"),
        metrics.records_excluded.get(),
        metrics.records_rejected.get(),
    );
    if left > 0 {
        let left = count(left, "offset");
        let _ = writeln!(text, "stopped with {left} left: the same command goes on there");
    }
    print(&text);
    ExitCode::from(if left > 0 { FAILED } else { 0 })
}
