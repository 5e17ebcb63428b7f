//! Refused points among good ones: whole deliveries, with the requests counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate::batch::{Batch, OpenBatch, RecordIndex};
use tidegate::config;
use tidegate::config::raw::InfluxCompression;
use tidegate::deliver::{Delivered, Deliveries, Refused, Settled};
use tidegate::point::Value;
use tidegate::sink::{Sink, SinkError, Write};
use tidegate::telemetry::Metrics;
use tidegate::watermark::{Covers, Watermark};

use super::database::{Database, Stored};
use super::rows::{Late, Row, SameTime};
use super::{Case, float, text};

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
    let (mut deliveries, sink) = deliveries(config);
    deliveries.submit(Watermark::default().push(Covers::default(), ()), vec![batch]);
    match deliveries.wait_settled(Duration::from_mins(1)) {
        Some(Settled::Batch { delivered, .. }) => (delivered, sink.1.load(Ordering::Relaxed)),
        other => panic!("not delivered: {other:?}"),
    }
}

fn deliveries(config: &config::Sink) -> (Deliveries<Counted>, Arc<Counted>) {
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
    (Deliveries::new("test", runtime, Arc::clone(&sink), delivery, metrics), sink)
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
        // QuestDB makes 0 and 1 of booleans where a column has numbers.
        let bad = if row == Row::QuestDb { text("x") } else { Value::Boolean(true) };
        let value = if is_bad(at) { bad } else { float(1.0) };
        case.add(&id, &[], &[("v", value)], at);
    }
    let batch = case.close();
    let config = case.database.config();
    let (delivered, requests) = deliver(&config, batch.clone());
    let bad: Vec<_> = (0..100).filter(|record| is_bad(i64::from(*record) + 1)).collect();
    assert_eq!(refused(&delivered), bad);
    let verdict = match row {
        Row::InfluxDb1 | Row::InfluxDb2 => "field type conflict",
        Row::InfluxDb3 => "invalid column type",
        Row::QuestDb => "cast error",
        _ => "expect type float",
    };
    for refused in &delivered.refused {
        assert!(refused.reason.contains(verdict), "{}", refused.reason);
    }
    assert_eq!(delivered.written, 67);
    assert!(requests <= REQUESTS_FOR_33_OF_100[usize::from(!row.is_influx())], "{requests}");
    case.found("found out one by one");
    if row.is_influx() {
        case.found("found out at once");
    }
    case.note(format!("{requests} requests for 33 bad points of 100"));
    let good = (0..=100).filter(|at| *at == 0 || !is_bad(*at));
    let value = |at| if at == 0 { 0.0 } else { 1.0 };
    case.assert_stored(good.map(|at| case.sample(&[], value(at), at)).collect());
    let all = batch.only(&bad.iter().map(|record| *record as usize).collect::<Vec<_>>());
    let (delivered, _) = deliver(&config, all);
    assert_eq!((delivered.written, refused(&delivered)), (0, bad));
}

/// Of a database that says which, and of one that says so of one or none.
const REQUESTS_FOR_33_OF_100: [usize; 2] = [3, 1 + 2 * 33 * 7];

/// A batch of many times the bytes that the database takes, and, where there are strings, a point that is larger alone.
pub fn too_large(row: Row) {
    let mut case = Case::on("too_large", Database::with_limit(row));
    let id = case.id.clone();
    let mut expected = Vec::new();
    for at in 0..1000 {
        case.add(&id, &[], &[("v", float(1.0))], at);
        expected.push(case.sample(&[], 1.0, at));
    }
    let mut config = case.database.config();
    if let config::Sink::InfluxDb(config) = &mut config {
        // Some count what was sent, and some what it becomes.
        config.compression = InfluxCompression::None;
        case.add(&id, &[], &[("s", text(&"s".repeat(40_000)))], 1000);
    }
    let batch = case.close();
    let large = batch.len() - expected.len();
    let (delivered, requests) = deliver(&config, batch);
    assert_eq!((delivered.written, refused(&delivered).len()), (1000, large), "{delivered:?}");
    assert!(delivered.refused.iter().all(|refused| refused.record.0 == 1000), "{delivered:?}");
    assert!(requests > 2, "{requests}");
    case.note(format!("{requests} requests"));
    for refused in &delivered.refused {
        case.note(refused.reason.clone());
    }
    expected.sort_unstable();
    assert_eq!(case.database.read(&id), expected);
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

/// Lines that no encoder would write: InfluxDB names all of them, VictoriaMetrics and QuestDB one at a time, GreptimeDB
/// none.
pub fn broken_lines(row: Row) {
    let mut case = Case::new("broken_lines", row);
    let id = case.id.clone();
    let mut open = OpenBatch::default();
    let unit = if row.has_fields() { 1_000_000 } else { 1 };
    for record in 0..50 {
        // QuestDB takes no value for NULL.
        let bad = if row == Row::QuestDb { "1x" } else { "" };
        let value = if [7, 8, 30].contains(&record) { bad } else { "1" };
        let time = (super::START + i64::from(record)) * unit;
        let line = format!("{id},case={id},n={record} v={value} {time}\n");
        open.bytes.extend_from_slice(line.as_bytes());
        open.end_item(RecordIndex(record));
    }
    let config = case.database.config();
    let (delivered, requests) = deliver(&config, open.close());
    assert_eq!(refused(&delivered), [7, 8, 30], "{:?}", delivered.refused);
    assert_eq!(delivered.written, 47);
    match row {
        Row::InfluxDb1 | Row::InfluxDb2 | Row::InfluxDb3 => assert_eq!(requests, 2),
        Row::VictoriaMetricsByLines | Row::QuestDb => assert_eq!(requests, 4),
        _ => assert!(requests <= 30, "{requests} requests"),
    }
    assert_eq!(case.database.read(&id).len(), 47);
    for refused in &delivered.refused {
        case.note(refused.reason.clone());
    }
}

/// A batch once more, in a database without a window; then one late sample among new ones.
pub fn superseded_samples(row: Row) {
    let mut case = Case::new("superseded_samples", row);
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
    assert!(delivered.refused.iter().all(Refused::superseded));
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
    // What Mimir writes beside a refused sample, it refuses from then on: stored already, as the worker has it.
    let is_stored = |refused: &&Refused| refused.superseded() && refused.perhaps_stored;
    let stored = delivered.refused.iter().filter(is_stored).count();
    let lost: Vec<_> = delivered.refused.iter().filter(|refused| !is_stored(refused)).collect();
    if row.late() == Late::RestWrittenUnnamed {
        // It is counted, and then looks like those that the same request has written.
        assert_eq!((delivered.written + stored, lost.len()), (all + 1, 0));
        case.found("counted");
    } else {
        assert_eq!((delivered.written + stored, lost.len(), lost[0].record.0), (all, 1, 0));
        case.found("found out one by one");
    }
    case.note(format!("{requests} requests for one late sample among {all} in {series} series"));
    assert_eq!(case.database.read(&id).len(), 2 * all);
}

/// Batch after batch, while the server is killed and started again three times, each time with a write under way.
/// Every point is there once at the end, but for what VictoriaMetrics had in memory only.
pub fn a_restart_in_mid_write(row: Row) {
    let mut case = Case::on("a_restart_in_mid_write", Database::own(row));
    let id = case.id.clone();
    case.database.dedup(&id, &["n"]);
    let config = case.database.config();
    let (mut deliveries, sink) = deliveries(&config);
    let (batches, kills) = (30, [8, 16, 24]);
    for batch in 0..batches {
        for at in 0..20 {
            for tag in 0..10i32 {
                let at = batch * 20 + at;
                case.add(&id, &[("n", &tag.to_string())], &[("v", float(f64::from(tag)))], at);
            }
        }
        let points = case.close();
        deliveries.submit(Watermark::default().push(Covers::default(), ()), vec![points]);
        if kills.contains(&batch) {
            case.database.process().kill();
            case.database.process().restart();
        }
        let settled = deliveries.wait_settled(Duration::from_mins(1));
        let Some(Settled::Batch { delivered, .. }) = settled else { panic!("{settled:?}") };
        // What Prometheus had stored before its answer was lost, it refuses as superseded.
        assert!(delivered.refused.iter().all(Refused::superseded), "{delivered:?}");
        assert_eq!(delivered.written + delivered.refused.len(), 200);
    }
    let stored = case.database.read(&id);
    let mut expected: Vec<_> = (0..batches * 20)
        .flat_map(|at| (0..10i32).map(move |tag| (at, tag)))
        .map(|(at, tag)| case.sample(&[("n", &tag.to_string())], f64::from(tag), at))
        .collect();
    expected.sort_unstable();
    case.note(format!("{} requests for {batches} batches", sink.1.load(Ordering::Relaxed)));
    if row.same_time() == SameTime::Greatest {
        case.note(format!(
            "{} of {} samples lost with its memory",
            expected.len() - stored.len(),
            expected.len()
        ));
        assert!(stored.iter().all(|sample| expected.binary_search(sample).is_ok()));
        // All that was written after the last start.
        let last = (super::START + 25 * 20) * 1_000_000;
        let since = |all: &[Stored]| all.iter().filter(|sample| sample.nanos >= last).count();
        assert_eq!(since(&stored), since(&expected));
        return;
    }
    let differs = stored.iter().zip(&expected).find(|(stored, expected)| stored != expected);
    assert_eq!((stored.len(), differs), (expected.len(), None), "{row:?}");
}
