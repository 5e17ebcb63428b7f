//! Refused points among good ones: whole deliveries, with the requests counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate::batch::{Batch, OpenBatch, RecordIndex};
use tidegate::config;
use tidegate::deliver::{Delivered, Deliveries, Settled};
use tidegate::point::Value;
use tidegate::sink::{Sink, SinkError, Write};
use tidegate::telemetry::Metrics;
use tidegate::watermark::{Covers, Watermark};

use super::database::{Database, Row};
use super::{Case, float};

/// A database whose requests are counted.
#[derive(Debug)]
struct Counted(Sink, AtomicUsize);

impl Write for Counted {
    async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.write(batch).await
    }
}

/// What has become of a batch, and in how many requests.
fn deliver(config: &config::Sink, batch: Batch) -> (Delivered, usize) {
    let sink = Sink::new(config, Duration::from_secs(20)).expect("a sink");
    let sink = Arc::new(Counted(sink, AtomicUsize::new(0)));
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let delivery = config::Delivery {
        in_flight: 1.try_into().expect("one"),
        timeout: Duration::from_secs(20),
        min_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        drain: Duration::from_secs(20),
    };
    let metrics = Metrics::default();
    let mut deliveries = Deliveries::new("test", runtime, Arc::clone(&sink), delivery, metrics);
    deliveries.submit(Watermark::default().push(Covers::default(), ()), vec![batch]);
    match deliveries.wait_settled(Duration::from_mins(1)) {
        Some(Settled::Batch { delivered, .. }) => (delivered, sink.1.load(Ordering::Relaxed)),
        other => panic!("not delivered: {other:?}"),
    }
}

fn refused(delivered: &Delivered) -> Vec<u32> {
    delivered.refused.iter().map(|refused| refused.record.0).collect()
}

/// Points whose field has another type than the database has for it; then nothing but such points.
pub fn conflicting_types(row: Row) {
    let mut case = Case::new("conflicting_types", row);
    let id = case.id.clone();
    case.add(&id, &[], &[("v", float(0.0))], 0);
    let batch = case.close();
    case.write(&batch);
    let is_bad = |at: i64| at % 3 == 0;
    for at in 1..=100 {
        let value = if is_bad(at) { Value::Boolean(true) } else { float(1.0) };
        case.add(&id, &[], &[("v", value)], at);
    }
    let batch = case.close();
    let config = case.database.config();
    let (delivered, requests) = deliver(&config, batch.clone());
    let bad: Vec<_> = (0..100).filter(|record| is_bad(i64::from(*record) + 1)).collect();
    assert_eq!(refused(&delivered), bad);
    for refused in &delivered.refused {
        assert!(refused.reason.contains("field type conflict"), "{}", refused.reason);
    }
    assert_eq!((delivered.written, requests), (67, 3));
    let good = (0..=100).filter(|at| *at == 0 || !is_bad(*at));
    let value = |at| if at == 0 { 0.0 } else { 1.0 };
    case.assert_stored(good.map(|at| case.sample(&[], value(at), at)).collect());
    let all = batch.only(&bad.iter().map(|record| *record as usize).collect::<Vec<_>>());
    let (delivered, requests) = deliver(&config, all);
    assert_eq!((delivered.written, refused(&delivered), requests), (0, bad, 1));
}

/// Points that are older than the bucket keeps.
pub fn outside_the_retention(row: Row) {
    let mut case = Case::new("outside_the_retention", row);
    let id = case.id.clone();
    case.database.create_bucket(&id, Some(2));
    let api = case.database.api_of(&id);
    let config = config::Sink::InfluxDb(config::InfluxDb { api, ..case.database.lines() });
    #[expect(clippy::disallowed_methods, reason = "InfluxDB counts the retention from its clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let now = i64::try_from(now).expect("before 2262");
    let is_old = |at: i64| at % 4 == 1;
    for at in 0..40 {
        let nanos = now + at - if is_old(at) { 10 * 3600 * 1_000_000_000 } else { 0 };
        case.try_add_nanos(&id, &[], &[("v", float(1.0))], nanos).expect("a writable point");
    }
    let batch = case.close();
    let (delivered, requests) = deliver(&config, batch);
    let old: Vec<_> = (0..40).filter(|record| is_old(i64::from(*record))).collect();
    assert_eq!(refused(&delivered), old);
    assert_eq!((delivered.written, requests), (30, 3));
    assert_eq!(case.database.read_bucket(&id, &id).len(), 30);
    case.note(delivered.refused[0].reason.clone());
}

/// Lines that no encoder would write: InfluxDB names all of them, VictoriaMetrics one at a time.
pub fn broken_lines(row: Row) {
    let mut case = Case::new("broken_lines", row);
    let id = case.id.clone();
    let mut open = OpenBatch::default();
    let unit = if row.is_influx() { 1_000_000 } else { 1 };
    for record in 0..50 {
        let value = if [7, 8, 30].contains(&record) { "" } else { "1" };
        let time = (super::START + i64::from(record)) * unit;
        let line = format!("{id},case={id},n={record} v={value} {time}\n");
        open.bytes.extend_from_slice(line.as_bytes());
        open.end_item(RecordIndex(record));
    }
    let config = case.database.config();
    let (delivered, requests) = deliver(&config, open.close());
    assert_eq!(refused(&delivered), [7, 8, 30], "{:?}", delivered.refused);
    assert_eq!(delivered.written, 47);
    assert_eq!(requests, if row.is_influx() { 2 } else { 4 });
    assert_eq!(case.database.read(&id).len(), 47);
    for refused in &delivered.refused {
        case.note(refused.reason.clone());
    }
}

/// A batch once more, in a Prometheus without a window; then one late sample among new ones.
pub fn superseded_samples() {
    let mut case = Case::on("superseded_samples", Database::own(Row::Prometheus));
    let id = case.id.clone();
    let config = case.database.config();
    let (series, times) = (10, 20);
    let batch = |case: &mut Case, start: i64| {
        for at in start..start + times {
            for tag in 0..series {
                let tag = tag.to_string();
                case.add(&id, &[("n", &tag)], &[("v", float(1.0))], at * 1000);
            }
        }
        case.close()
    };
    let first = batch(&mut case, 0);
    let all = first.len();
    assert_eq!(deliver(&config, first.clone()).1, 1);
    let (delivered, requests) = deliver(&config, first);
    let newest = usize::try_from(series).expect("a few");
    assert_eq!((delivered.written, delivered.refused.len()), (newest, all - newest));
    assert!(delivered.refused.iter().all(|refused| refused.superseded));
    assert!(requests <= all + 2 * newest, "{requests} requests for {all} samples");
    case.note(format!("{requests} requests for a repeat of {all} samples in {series} series"));

    case.add(&id, &[("n", "3")], &[("v", float(2.0))], 500);
    let late = case.close();
    let second = batch(&mut case, times);
    let mut both = OpenBatch::default();
    for (record, part) in [&late, &second].into_iter().enumerate() {
        for item in 0..part.len() {
            both.bytes.extend_from_slice(part.item(item));
            both.end_item(RecordIndex(u32::try_from(record).expect("0 or 1")));
        }
    }
    let (delivered, requests) = deliver(&config, both.close());
    assert_eq!((delivered.written, refused(&delivered)), (all, vec![0]));
    case.note(format!("{requests} requests for one late sample among {all} in {series} series"));
    assert_eq!(case.database.read(&id).len(), 2 * all);
}
