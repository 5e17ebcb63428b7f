//! What the conformance suite needs: the databases as rows of a table, and one case on one of them.
#![allow(
    unreachable_pub,
    reason = "`pub` marks what a test may use; `pub(crate)` on each would say no more"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose database fails can only panic"
)]

pub mod answers;
pub mod data;
pub mod database;
mod documentation;
mod fake;
pub mod isolation;
pub mod order;
mod report;
pub mod rows;
pub mod run;
pub mod table;

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use tidegate::batch::{Batch, OpenBatch, RecordIndex};
use tidegate::check::Finding;
use tidegate::config;
use tidegate::encode::{EncodeError, Encoder};
use tidegate::point::{Float, Point, Timestamp, Value};
use tidegate::sink::{Sink, SinkError, Write as _};
use tokio::runtime::Runtime;

use database::{Database, Stored};
use report::Report;
use rows::Row;

/// The time of the first point of every case: in the past, and the same for all of them, because Prometheus refuses
/// what is more than an hour older than the newest sample of any series.
pub const START: i64 = 1_700_000_000_000;
const TIMEOUT: Duration = Duration::from_secs(20);

/// One case on one database. Its points carry the tag `case`, by which they are read back, and its measurements are
/// its own, too: InfluxDB keeps the types of a measurement's fields.
pub struct Case {
    pub row: Row,
    pub database: Database,
    /// Unique; fit for a measurement.
    pub id: String,
    sink: Sink,
    encoder: Encoder,
    open: OpenBatch,
    records: u32,
    runtime: Runtime,
    report: Report,
}

impl Case {
    /// On a server that other tests use, if there is one for the whole run.
    pub fn new(name: &str, row: Row) -> Self {
        Self::on(name, Database::shared(row))
    }

    pub fn on(name: &str, database: Database) -> Self {
        // The id has the time of the case in no form, so that nothing depends on the clock.
        let id = format!("{name}_{:016x}", RandomState::new().hash_one(std::process::id()));
        let row = database.row;
        let report = Report::new(name, row);
        let sink = built(&database.config(), TIMEOUT);
        let encoder = sink.encoder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let open = OpenBatch::default();
        let case = Self { row, database, id, sink, encoder, open, records: 0, runtime, report };
        if row == Row::Thanos {
            case.open_tenant();
        }
        case
    }

    /// Thanos Receive opens a tenant's storage when the first write for it comes, and answers 500 until it has.
    fn open_tenant(&self) {
        let point = Point {
            measurement: "opened".into(),
            tags: Vec::new(),
            fields: vec![("v".into(), float(1.0))],
            timestamp: Timestamp::from_millis(START).unwrap(),
            to: "".into(),
        };
        let (mut encoder, mut open) = (self.sink.encoder(), OpenBatch::default());
        encoder.encode(&point, RecordIndex(0), &mut open).unwrap();
        let batch = encoder.close(&mut open);
        for _ in 0..200 {
            match self.try_write(&batch) {
                Err(SinkError::Unavailable { .. }) => thread::sleep(Duration::from_millis(100)),
                answer => return answer.unwrap(),
            }
        }
        panic!("the tenant's storage does not open");
    }

    /// Writes to another address, or with another login, from now on.
    pub fn use_config(&mut self, config: &config::Sink) {
        self.use_config_within(config, TIMEOUT);
    }

    pub fn use_config_within(&mut self, config: &config::Sink, timeout: Duration) {
        self.sink = built(config, timeout);
        self.encoder = self.sink.encoder();
    }

    /// What the database does, in the words of the table in docs/sinks.md.
    pub fn found(&mut self, found: &str) {
        self.report.notes.insert(0, found.to_owned());
    }

    /// What stands in the report beside the verdict.
    pub fn note(&mut self, note: impl Into<String>) {
        self.report.notes.push(note.into());
    }

    /// Adds a point to the open batch; `at` is in milliseconds after [`START`].
    pub fn try_add(
        &mut self,
        measurement: &str,
        tags: &[(&str, &str)],
        fields: &[(&str, Value<'_>)],
        at: i64,
    ) -> Result<(), EncodeError> {
        self.try_add_nanos(measurement, tags, fields, (START + at) * 1_000_000)
    }

    pub fn try_add_nanos(
        &mut self,
        measurement: &str,
        tags: &[(&str, &str)],
        fields: &[(&str, Value<'_>)],
        nanos: i64,
    ) -> Result<(), EncodeError> {
        let mut tags: Vec<_> =
            tags.iter().map(|&(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect();
        tags.push(("case".into(), Cow::Borrowed(self.id.as_str())));
        tags.sort_unstable();
        let point = Point {
            measurement: Cow::Borrowed(measurement),
            tags,
            fields: fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
            timestamp: Timestamp::from_nanos(i128::from(nanos)).unwrap(),
            to: "".into(),
        };
        self.encoder.encode(&point, RecordIndex(self.records), &mut self.open)?;
        self.records += 1;
        Ok(())
    }

    /// Adds a point that must be writable.
    pub fn add(
        &mut self,
        measurement: &str,
        tags: &[(&str, &str)],
        fields: &[(&str, Value<'_>)],
        at: i64,
    ) {
        if let Err(error) = self.try_add(measurement, tags, fields, at) {
            panic!("{:?}: the encoder refuses {measurement:?}: {error}", self.row);
        }
    }

    /// Closes the open batch.
    pub fn close(&mut self) -> Batch {
        self.records = 0;
        self.encoder.close(&mut self.open)
    }

    /// A batch of one point of the case's own measurement.
    pub fn one(&mut self, tags: &[(&str, &str)], value: f64, at: i64) -> Batch {
        let id = self.id.clone();
        self.add(&id, tags, &[("v", float(value))], at);
        self.close()
    }

    pub fn try_write(&self, batch: &Batch) -> Result<(), SinkError> {
        self.runtime.block_on(self.sink.write(batch))
    }

    /// What `tidegate check` would find.
    pub fn check(&self) -> Vec<Finding> {
        self.runtime.block_on(self.sink.check(None))
    }

    /// Writes a batch that the database must acknowledge.
    pub fn write(&self, batch: &Batch) {
        if let Err(error) = self.try_write(batch) {
            panic!("{:?}: the write was not acknowledged: {error:?}", self.row);
        }
    }

    /// Writes a batch that the database must not acknowledge; the error goes into the report.
    pub fn write_refused(&mut self, batch: &Batch) -> SinkError {
        match self.try_write(batch) {
            Ok(()) => panic!("{:?}: the write was acknowledged", self.row),
            Err(error) => {
                self.note(error.to_string());
                error
            }
        }
    }

    /// Checks all that the database has of this case.
    pub fn assert_stored(&self, mut expected: Vec<Stored>) {
        expected.sort_unstable();
        let stored = self.database.read(&self.id);
        assert_eq!(stored, expected, "{:?}: stored on the left, expected on the right", self.row);
    }

    /// A sample of the measurement [`Case::one`] writes to.
    pub fn sample(&self, tags: &[(&str, &str)], value: f64, at: i64) -> Stored {
        self.row.stored(&self.id, tags, "v", &float(value), START + at)
    }
}

fn built(config: &config::Sink, timeout: Duration) -> Sink {
    Sink::new(config, timeout).unwrap_or_else(|error| panic!("the sink: {error}"))
}

pub fn float(number: f64) -> Value<'static> {
    Value::Float(Float::from_number(number).expect("a finite number"))
}

pub fn text(text: &str) -> Value<'_> {
    Value::String(Cow::Borrowed(text))
}
