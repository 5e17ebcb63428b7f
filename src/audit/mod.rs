//! The audit: whether a database holds what a range of a connector's topics stands for.
//!
//! ```text
//!  topics ──read──▶ decode, map, encode ──▶ expected values ─┐ sorted by series and time
//!                        └ rejected ─┐                       ▼
//!  dead letters ──read──▶ letters ───┤        groups ──ask──▶ database ──▶ missing, different, extra
//!                                    ▼ sorted by record                         │
//!                                 remarks ◀─────────────────────────────────────┘
//!                                    └──▶ settle: a record with a letter is explained ──▶ report
//! ```
//!
//! Nothing is joined, committed or written, so a running connector is not disturbed. Both sorts
//! [spill](spill) to disk, so the memory needed does not depend on the range.

mod compare;
mod entry;
pub mod read;
mod report;
mod sent;
mod settle;
mod spill;
mod value;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::batch::{OpenBatch, OpenParts, RecordIndex};
use crate::config::{self, Connector, Topics};
use crate::connector;
use crate::decode::Refusal;
use crate::kafka::KafkaError;
use crate::kafka::range::{Bound, TopicReader};
use crate::map::Scratch;
use crate::record::Record;
use crate::route::Destination;
use crate::sink::{BuildError, Sink};

use compare::{CompareError, Findings, Group};
use entry::{Expected, Place, Remark, RemarkKind};
use read::{Database, Dialect, ReadError, Store};
pub use report::{Absent, Counts, Extra, PartitionReport, Rejected, Report, SeriesReport, Totals};
use sent::Sent;
use settle::Ledger;
use spill::{Sorted, Spill};
use value::{Series, Value};

/// What is audited, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of records' own timestamps.
    pub from: Bound,
    pub to: Bound,
    /// Where the database is read; `None`: told from where it is written.
    pub read_url: Option<String>,
    /// For temporary files.
    pub folder: PathBuf,
    /// How many findings of each kind the report shows.
    pub limit: usize,
    /// Also values that no record of the range explains make the audit fail.
    pub strict: bool,
    /// For each answer of Kafka or the database.
    pub timeout: Duration,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(
        "`{0}` in `process` remembers earlier records, so a part of a topic does not say what the database \
         should hold, and there is nothing to compare with"
    )]
    Remembers(&'static str),
    #[error("the sink: {0}")]
    Sink(#[from] BuildError),
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("the database: {0}")]
    Database(#[from] ReadError),
    #[error("a record can't be decoded now: {0}")]
    Decoder(String),
    #[error("temporary files: {0} (--temp-dir says where they go)")]
    Spill(#[from] std::io::Error),
    #[error("{0}")]
    Defect(String),
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Offsets of the range.
    Reading,
    /// Offsets of the dead-letter topic.
    Letters,
    /// Expected values.
    Comparing,
}

/// Told of what is done and what there is to do.
pub type Progress<'a> = &'a mut dyn FnMut(Step, u64, u64);

/// A value written this long ago is shown by `VictoriaMetrics`, which holds rows back for a second
/// or two (its `lib/storage`).
const SHOWN_AFTER: Duration = Duration::from_secs(3);
/// How often progress is told.
const TELL: u64 = 1000;

/// Runs an audit to its end.
///
/// # Errors
/// When Kafka or the database can't be read: what is not seen is neither missing nor there.
pub fn run(
    connector: &Connector,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Report, AuditError> {
    if let Some(processor) = connector.process.iter().find(|processor| processor.remembers()) {
        return Err(AuditError::Remembers(processor.name()));
    }
    // First, because it is the likelier to fail, and reading may take long.
    let mut database = Database::open(connector, options.read_url.as_deref(), options.timeout)?;
    let opened = Instant::now();
    let mut reader = TopicReader::open(
        &connector.kafka,
        &connector.topics,
        options.from,
        options.to,
        options.timeout,
    )?;
    let mut ledger = Ledger::new(&reader, options);
    let mut remarks = Spill::new(&options.folder);
    let mut expected = Spill::new(&options.folder);
    let reading = Reading { expected: &mut expected, remarks: &mut remarks, ledger: &mut ledger };
    reading.read(connector, database.dialect(), &mut reader, progress)?;
    drop(reader);
    if let Some(topic) = &connector.dead_letter {
        letters(connector, topic, options, &ledger, &mut remarks, progress)?;
    }
    if !database.shows_all() {
        std::thread::sleep(SHOWN_AFTER.saturating_sub(opened.elapsed()));
    }
    let total = ledger.expected();
    let expected = expected.sorted()?;
    ledger.spilled(expected.spilled());
    compare(expected, total, &mut database, &mut remarks, &mut ledger, progress)?;
    let mut remarks = remarks.sorted()?;
    ledger.spilled(remarks.spilled());
    while let Some(bytes) = remarks.next()? {
        ledger.settle(Remark::from_bytes(&bytes).ok_or_else(damaged)?);
    }
    Ok(ledger.report(connector, database.dialect()))
}

/// The first step: what each record stands for.
struct Reading<'a> {
    expected: &'a mut Spill,
    remarks: &'a mut Spill,
    ledger: &'a mut Ledger,
}

impl Reading<'_> {
    fn read(
        mut self,
        connector: &Connector,
        dialect: Dialect,
        reader: &mut TopicReader,
        progress: Progress<'_>,
    ) -> Result<(), AuditError> {
        let sink = Sink::new(&connector.sink, connector.delivery.timeout)?;
        let mut transform = connector::transform(connector, &sink);
        let (mut scratch, mut open) = (Scratch::default(), OpenParts::default());
        let total = reader.len();
        let mut told = 0;
        loop {
            let passed = reader.passed();
            if passed >= told + TELL || passed == total {
                progress(Step::Reading, passed, total);
                told = passed;
            }
            let Some(record) = reader.next_record()? else {
                return Ok(());
            };
            let place = self.ledger.record(&record)?;
            open.clear();
            match transform.apply(&record, RecordIndex(0), &mut scratch, &mut open) {
                Ok(None) => self.ledger.excluded(place),
                Ok(Some(_)) => {
                    for (destination, open) in open.iter() {
                        self.expect(&destination, open, place, &connector.sink, dialect)?;
                    }
                }
                Err(Refusal::Unavailable(reason)) => return Err(AuditError::Decoder(reason)),
                Err(Refusal::Rejected(reject)) => {
                    self.ledger.rejected(place);
                    let mut reason = reject.reason;
                    reason.truncate(reason.floor_char_boundary(MAX_REASON));
                    let remark = Remark { place, kind: RemarkKind::Rejected(reason) };
                    self.remarks.push(&remark.to_bytes())?;
                }
            }
        }
    }

    /// Takes in what the encoder has written of a record.
    fn expect(
        &mut self,
        destination: &Destination,
        open: &OpenBatch,
        place: Place,
        sink: &config::Sink,
        dialect: Dialect,
    ) -> Result<(), AuditError> {
        let mut start = 0;
        for item in &open.items {
            let end = item.end as usize;
            let bytes = &open.bytes[start..end];
            start = end;
            let sent = match sink {
                config::Sink::InfluxDb(sink) => sent::line(bytes, sink.precision.nanos()),
                config::Sink::Prometheus(_) => sent::samples(bytes),
                // `Database::open` has refused them.
                config::Sink::File(_) | config::Sink::Stdout(_) | config::Sink::Blackhole => None,
            };
            for Sent { series, time, value } in sent.ok_or_else(unreadable)? {
                let (series, time, value) = dialect.holds(series, time, value);
                let series = series.at(destination);
                let expected = Expected { series, time, place, value };
                self.ledger.expect(place);
                self.expected.push(&expected.to_bytes())?;
            }
        }
        Ok(())
    }
}

/// Of a reason that a record is rejected for, the beginning.
const MAX_REASON: usize = 200;

impl Dialect {
    /// What the database makes of a value that it is sent.
    fn holds(self, series: Series, time: i64, value: Value) -> (Series, i64, Value) {
        match self {
            Self::InfluxDb1 | Self::InfluxDb2 | Self::InfluxDb3 | Self::Prometheus => {
                (series, time, value)
            }
            Self::VictoriaMetrics => {
                let time = time.div_euclid(1_000_000) * 1_000_000;
                (series.into_metric(), time, Value::Float(value.to_float()))
            }
        }
    }
}

/// The second step: which records the dead-letter topic holds. All of the topic is read: a letter
/// stands behind its record by any time, and may carry the record's old timestamp or a new one.
fn letters(
    connector: &Connector,
    topic: &str,
    options: &Options,
    ledger: &Ledger,
    remarks: &mut Spill,
    progress: Progress<'_>,
) -> Result<(), AuditError> {
    // By a pattern, because a topic that nothing was ever produced to need not exist.
    let topics = Topics::Pattern(format!("^{}$", regex::escape(topic)));
    let mut reader = TopicReader::open(
        &connector.kafka,
        &topics,
        Bound::Beginning,
        Bound::End,
        options.timeout,
    )?;
    let total = reader.len();
    loop {
        progress(Step::Letters, reader.passed(), total);
        let Some(letter) = reader.next_record()? else {
            return Ok(());
        };
        let header = |name: &str| Some(std::str::from_utf8(letter.header(name)?).ok()?.to_owned());
        // Another connector's letter says nothing about this one's delivery.
        if header("__connect.errors.connector.name").as_deref() != Some(&connector.name) {
            continue;
        }
        let place = || {
            let topic = header("__connect.errors.topic")?;
            let partition = header("__connect.errors.partition")?.parse().ok()?;
            let offset = header("__connect.errors.offset")?.parse().ok()?;
            ledger.place(&topic, partition, offset)
        };
        if let Some(place) = place() {
            remarks.push(&Remark { place, kind: RemarkKind::Letter }.to_bytes())?;
        }
    }
}

/// The third step.
fn compare(
    mut expected: Sorted,
    total: u64,
    store: &mut impl Store,
    remarks: &mut Spill,
    ledger: &mut Ledger,
    progress: Progress<'_>,
) -> Result<(), AuditError> {
    let (mut group, mut done) = (Group::default(), 0);
    progress(Step::Comparing, 0, total);
    let mut compare = |group: Group| {
        done += group.len();
        group.compare(store, &mut Found { remarks, ledger })?;
        progress(Step::Comparing, done, total);
        Ok::<_, AuditError>(())
    };
    while let Some(bytes) = expected.next()? {
        let next = Expected::from_bytes(&bytes).ok_or_else(damaged)?;
        if let Some(next) = group.take(next) {
            compare(std::mem::take(&mut group))?;
            // An empty group takes anything.
            group.take(next);
        }
    }
    if group.is_empty() { Ok(()) } else { compare(group) }
}

/// Takes what the comparison finds to where it belongs.
struct Found<'a> {
    remarks: &'a mut Spill,
    ledger: &'a mut Ledger,
}

impl Findings for Found<'_> {
    fn absent(
        &mut self,
        place: Place,
        series: &Series,
        time: i64,
        expected: &Value,
        found: Option<&Value>,
    ) -> std::io::Result<()> {
        let (series, expected, found) = (series.clone(), expected.clone(), found.cloned());
        let kind = RemarkKind::Absent { series, time, expected, found };
        self.remarks.push(&Remark { place, kind }.to_bytes())
    }

    fn extra(&mut self, series: &Series, time: i64, value: &Value) {
        self.ledger.extra(series, time, value);
    }

    fn duplicates(&mut self, count: u64) {
        self.ledger.totals.duplicates += count;
    }

    fn collisions(&mut self, count: u64) {
        self.ledger.totals.collisions += count;
    }
}

impl From<CompareError> for AuditError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Read(error) => Self::Database(error),
            CompareError::Spill(error) => Self::Spill(error),
        }
    }
}

fn damaged() -> AuditError {
    AuditError::Defect("a temporary file does not hold what was written to it".into())
}

fn unreadable() -> AuditError {
    AuditError::Defect(
        "what the encoder has written can't be read back: a defect of Tidegate".into(),
    )
}
