//! What is particular to remote write, against the real receivers: 1.0 and 2.0, zstd, names, limits, metadata.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that has no server can only panic")]

mod stack;

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate::batch::{Batch, OpenBatch, RecordIndex};
use tidegate::config::raw::{Compression, MetricType, NameScheme, ProtobufMessage};
use tidegate::config::{self, Secret};
use tidegate::encode::{LabelLimits, Metadata, MetricMetadata};
use tidegate::point::{Float, Point, Timestamp, Value};
use tidegate::sink::{Rejected, Scope, Sink, SinkError, Write as _};

use stack::{Prometheus, Series, VictoriaMetrics, shared_mimir, shared_victoria_metrics};

/// Milliseconds: 2023-11-14T22:13:20Z.
const START: i64 = 1_700_000_000_000;
/// Unix seconds, after all samples.
const END: f64 = 1_700_000_100.0;

/// A receiver, and how it is written to.
struct Receiver {
    sink: Sink,
    runtime: tokio::runtime::Runtime,
}

impl Receiver {
    fn new(url: String, change: impl FnOnce(&mut config::Prometheus)) -> Self {
        let mut config = config::Prometheus::at(url);
        change(&mut config);
        let sink = Sink::new(&config::Sink::Prometheus(config), Duration::from_secs(30)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { sink, runtime }
    }

    fn of(
        victoria_metrics: &VictoriaMetrics,
        change: impl FnOnce(&mut config::Prometheus),
    ) -> Self {
        Self::new(format!("{}/api/v1/write", victoria_metrics.url()), change)
    }

    /// A sample for each tag and second, whose value is the second.
    fn batch(&self, measurement: &str, samples: &[(&str, i32)]) -> Batch {
        let samples = samples.iter();
        let points = samples.map(|&(tag, second)| point(measurement, tag, second, second.into()));
        self.points(&points.collect::<Vec<_>>())
    }

    fn points(&self, points: &[Point<'_>]) -> Batch {
        let (mut encoder, mut open) = (self.sink.encoder(), OpenBatch::default());
        for (record, point) in (0u32..).map(RecordIndex).zip(points) {
            encoder.encode(point, record, &mut open).unwrap();
        }
        encoder.close(&mut open)
    }

    fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        self.runtime.block_on(self.sink.write(batch))
    }
}

fn point<'a>(measurement: &'a str, tag: &'a str, second: i32, value: f64) -> Point<'a> {
    Point {
        measurement: measurement.into(),
        tags: vec![("t".into(), tag.into())],
        fields: vec![("v".into(), Value::Float(Float::Number(value)))],
        timestamp: Timestamp::from_millis(START + i64::from(second) * 1000).unwrap(),
        to: "".into(),
    }
}

fn v2(config: &mut config::Prometheus) {
    config.message = ProtobufMessage::V2;
}

fn auto(config: &mut config::Prometheus) {
    config.message = ProtobufMessage::Auto;
}

fn zstd(config: &mut config::Prometheus) {
    config.compression = Compression::Zstd;
}

fn utf8(config: &mut config::Prometheus) {
    config.series.scheme = NameScheme::Utf8;
}

fn labels(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What [`Receiver::batch`] is in the database.
fn stored(metric: &str, series: &[(&str, &[i32])]) -> Vec<Series> {
    let sample = |second: &i32| (START + i64::from(*second) * 1000, f64::from(*second));
    let stored = series.iter().map(|(tag, seconds)| {
        let labels = labels(&[("__name__", metric), ("t", tag)]);
        (labels, seconds.iter().map(sample).collect())
    });
    stored.collect()
}

fn sorted(mut series: Vec<Series>) -> Vec<Series> {
    series.sort_by(|a, b| a.0.cmp(&b.0));
    series
}

/// All of a metric in a Prometheus.
fn held(server: &Prometheus, metric: &str) -> Vec<Series> {
    sorted(server.series(&format!("{{__name__=\"{metric}\"}}"), "1h", END))
}

fn exported(server: &VictoriaMetrics, metric: &str) -> Vec<Series> {
    server.flush();
    sorted(server.export(&format!("{{__name__=\"{metric}\"}}")))
}

#[test]
fn prometheus_3_takes_2_0_and_counts_what_it_has_written() {
    let server = Prometheus::start_version_3(None);
    let receiver = Receiver::new(server.write_url(), v2);
    let batch = receiver.batch("m", &[("a", 1), ("b", 1), ("a", 2)]);
    assert_eq!(receiver.write(&batch), Ok(()));
    assert_eq!(held(&server, "m_v"), stored("m_v", &[("a", &[1, 2]), ("b", &[1])]));
    // Newest samples again: taken, and counted.
    assert_eq!(receiver.write(&batch.slice(1..3)), Ok(()));
    let auto = Receiver::new(server.write_url(), auto);
    assert_eq!(auto.write(&auto.batch("n", &[("a", 1)])), Ok(()));
    assert_eq!(held(&server, "n_v"), stored("n_v", &[("a", &[1])]));
}

/// Of a request of 1.0 it says one error, rolls all back, and the batch is searched for the others.
#[test]
fn prometheus_3_names_every_bad_sample_of_2_0_and_writes_the_others() {
    let server = Prometheus::start_version_3(None);
    let receiver = Receiver::new(server.write_url(), v2);
    let first = [("a", 10), ("b", 10), ("c", 10)];
    receiver.write(&receiver.batch("m", &first)).unwrap();
    // In the order of time: a@5, a@7, b@8, d@9, a@20, c@20.
    let batch =
        receiver.batch("m", &[("a", 5), ("a", 7), ("b", 8), ("d", 9), ("a", 20), ("c", 20)]);
    let Err(SinkError::Rejected(rejected)) = receiver.write(&batch) else { panic!("taken") };
    let Rejected { scope: Scope::Items(items), rest_written, superseded, .. } = rejected else {
        panic!("{rejected:?}")
    };
    assert_eq!(items.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(rest_written && superseded);
    assert!(items[2].1.contains("out of order sample for series"), "{}", items[2].1);
    let expected: [(&str, &[i32]); 4] =
        [("a", &[10, 20]), ("b", &[10]), ("c", &[10, 20]), ("d", &[9])];
    assert_eq!(held(&server, "m_v"), stored("m_v", &expected));

    // Another value at the newest time.
    let other = receiver.points(&[point("m", "a", 20, 21.0)]);
    let Err(SinkError::Rejected(rejected)) = receiver.write(&other) else { panic!("taken") };
    assert!(rejected.superseded && !rejected.rest_written, "{rejected:?}");
    assert!(rejected.reason.contains("duplicate sample for timestamp"), "{rejected:?}");

    // To 1.0, too, it says at which time, but not of which series.
    let receiver = Receiver::new(server.write_url(), |_| {});
    let batch = receiver.points(&[
        point("m", "c", 20, 1.0),
        point("m", "d", 15, 1.0),
        point("m", "d", 30, 1.0),
    ]);
    let Err(SinkError::Rejected(rejected)) = receiver.write(&batch) else { panic!("taken") };
    assert!(matches!(&rejected.scope, Scope::Items(items) if items[0].0 == 0), "{rejected:?}");
    assert!(rejected.superseded && !rejected.rest_written, "{rejected:?}");
}

#[test]
fn what_knows_1_0_only_gets_1_0_and_says_so_of_2_0() {
    let prometheus = Prometheus::start();
    let victoria_metrics = shared_victoria_metrics();
    let urls = [prometheus.write_url(), format!("{}/api/v1/write", victoria_metrics.url())];
    for url in urls {
        let receiver = Receiver::new(url.clone(), auto);
        let samples = [("a", 1), ("b", 2)];
        assert_eq!(receiver.write(&receiver.batch("rw_old", &samples)), Ok(()), "{url}");
        let receiver = Receiver::new(url.clone(), v2);
        let refused = receiver.write(&receiver.batch("rw_never", &samples));
        assert!(matches!(&refused, Err(SinkError::Misconfigured { .. })), "{url}: {refused:?}");
    }
    let expected = stored("rw_old_v", &[("a", &[1]), ("b", &[2])]);
    assert_eq!(held(&prometheus, "rw_old_v"), expected);
    assert_eq!(exported(&victoria_metrics, "rw_old_v"), expected);
    assert_eq!(held(&prometheus, "rw_never_v"), []);
    assert_eq!(exported(&victoria_metrics, "rw_never_v"), []);
}

#[test]
fn victoria_metrics_takes_zstd_and_what_does_not_gets_snappy() {
    let victoria_metrics = shared_victoria_metrics();
    let (two, three) = (Prometheus::start(), Prometheus::start_version_3(None));
    let mimir = shared_mimir();
    let samples = [("a", 1), ("b", 2)];
    let receiver = Receiver::of(&victoria_metrics, zstd);
    receiver.write(&receiver.batch("rw_zstd", &samples)).unwrap();
    for server in [&two, &three] {
        let receiver = Receiver::new(server.write_url(), zstd);
        assert_eq!(
            receiver.write(&receiver.batch("rw_zstd", &samples)),
            Ok(()),
            "{}",
            server.url()
        );
    }
    let receiver = Receiver::new(format!("{}/api/v1/push", mimir.url()), |config| {
        zstd(config);
        config.http.headers = vec![("X-Scope-OrgID".into(), Secret::new("rw-zstd"))];
    });
    assert_eq!(receiver.write(&receiver.batch("rw_zstd", &samples)), Ok(()));
    let expected = stored("rw_zstd_v", &[("a", &[1]), ("b", &[2])]);
    assert_eq!(exported(&victoria_metrics, "rw_zstd_v"), expected);
    for server in [&two, &three] {
        assert_eq!(held(server, "rw_zstd_v"), expected, "{}", server.url());
    }
    assert_eq!(sorted(mimir.series("rw-zstd", "rw_zstd_v", "1h", END)), expected);
}

#[test]
fn utf8_names_are_kept_by_those_who_know_them() {
    let victoria_metrics = shared_victoria_metrics();
    let three = Prometheus::start_version_3(None);
    let point = || Point {
        measurement: "rw plänt".into(),
        tags: vec![("a.b".into(), "x".into()), ("é".into(), "y".into())],
        fields: vec![("t.°".into(), Value::Float(Float::Number(1.5)))],
        timestamp: Timestamp::from_millis(START).unwrap(),
        to: "".into(),
    };
    let name = "rw plänt_t.°";
    let kept = labels(&[("__name__", name), ("a.b", "x"), ("é", "y")]);
    let expected = vec![(kept, vec![(START, 1.5)])];
    let write = |url: String, change: &dyn Fn(&mut config::Prometheus)| {
        let receiver = Receiver::new(url, |config| {
            utf8(config);
            change(config);
        });
        receiver.write(&receiver.points(&[point()]))
    };
    for change in [&|_: &mut config::Prometheus| {}, &v2 as &dyn Fn(&mut _)] {
        assert_eq!(write(three.write_url(), change), Ok(()));
        assert_eq!(held(&three, name), expected);
    }
    let url = format!("{}/api/v1/write", victoria_metrics.url());
    assert_eq!(write(url, &|_| {}), Ok(()));
    assert_eq!(exported(&victoria_metrics, name), expected);
}

#[test]
fn a_series_that_has_ended_is_not_shown_any_more() {
    let (prometheus, victoria_metrics) =
        (Prometheus::start_version_3(None), shared_victoria_metrics());
    let point = |second: i64, value| Point {
        measurement: "rw_ends".into(),
        tags: vec![("t".into(), "a".into())],
        fields: vec![("v".into(), value)],
        timestamp: Timestamp::from_millis(START + second * 1000).unwrap(),
        to: "".into(),
    };
    let one = Value::Float(Float::Number(1.0));
    let points = [point(0, one.clone()), point(10, Value::Stale), point(30, one)];
    let urls = [prometheus.write_url(), format!("{}/api/v1/write", victoria_metrics.url())];
    for (url, change) in urls.iter().zip([v2, auto]) {
        let receiver = Receiver::new(url.clone(), change);
        assert_eq!(receiver.write(&receiver.points(&points)), Ok(()), "{url}");
    }
    victoria_metrics.flush();
    let seconds = |second: u32| 1_700_000_000.0 + f64::from(second);
    for (second, shown) in [(5, 1), (15, 0), (35, 1)] {
        for found in [
            prometheus.query("rw_ends_v", seconds(second)),
            victoria_metrics.query("rw_ends_v", seconds(second)),
        ] {
            assert_eq!(found.len(), shown, "{second}: {found:?}");
        }
    }
}

/// Without the limits these are acknowledged, and nowhere: so they are limits by default.
#[test]
fn victoria_metrics_drops_in_silence_what_is_over_the_limits() {
    let server = shared_victoria_metrics();
    let receiver = Receiver::of(&server, |config| {
        config.series.limits = LabelLimits { labels: 99, name: 9999, value: 9999 };
    });
    let names: Vec<_> = (0..40).map(|number| format!("t{number:02}")).collect();
    let (name, value) = ("n".repeat(257), "v".repeat(4097));
    let point = |measurement: &'static str, tags: &[(&str, &str)]| -> Result<(), SinkError> {
        let tags = tags
            .iter()
            .map(|&(name, value)| (name.to_owned().into(), value.to_owned().into()))
            .collect();
        receiver.write(&receiver.points(&[Point {
            measurement: measurement.into(),
            tags,
            fields: vec![("v".into(), Value::Integer(1))],
            timestamp: Timestamp::from_millis(START).unwrap(),
            to: "".into(),
        }]))
    };
    let many = |count: usize| names[..count].iter().map(|n| (n.as_str(), "x")).collect::<Vec<_>>();
    for (measurement, tags, kept) in [
        ("rw_labels_40", many(39), 1),
        ("rw_labels_41", many(40), 0),
        ("rw_name_256", vec![(&name[..256], "x")], 1),
        ("rw_name_257", vec![(&name[..], "x")], 0),
        ("rw_value_4096", vec![("t", &value[..4096])], 1),
        ("rw_value_4097", vec![("t", &value[..])], 0),
    ] {
        assert_eq!(point(measurement, &tags), Ok(()), "{measurement}");
        assert_eq!(exported(&server, &format!("{measurement}_v")).len(), kept, "{measurement}");
    }
}

#[test]
fn metadata_is_kept_where_there_is_a_place_for_it() {
    let (mimir, victoria_metrics) = (shared_mimir(), shared_victoria_metrics());
    let about = MetricMetadata {
        kind: MetricType::Counter,
        help: "Turns since it was built.".into(),
        unit: "turns".into(),
    };
    let metadata = Metadata([("rw_about_v".to_owned(), about)].into());
    let known = |url: &str, path: &str, tenant: &str| {
        let tenant = [("X-Scope-OrgID", tenant)];
        let (status, body) = stack::http::request(url, "GET", path, &tenant, "").unwrap();
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        body["data"]["rw_about_v"][0].clone()
    };
    let expected = serde_json::json!({"type": "counter", "help": "Turns since it was built.", "unit": "turns"});
    for (tenant, message) in
        [("rw-about-1", ProtobufMessage::V1), ("rw-about-2", ProtobufMessage::V2)]
    {
        let receiver = Receiver::new(format!("{}/api/v1/push", mimir.url()), |config| {
            config.message = message;
            config.metadata = metadata.clone();
            config.http.headers = vec![("X-Scope-OrgID".into(), Secret::new(tenant))];
        });
        assert_eq!(receiver.write(&receiver.batch("rw_about", &[("a", 1)])), Ok(()), "{tenant}");
        let series = mimir.series(tenant, "rw_about_v", "1h", END);
        assert_eq!(series, stored("rw_about_v", &[("a", &[1])]), "{tenant}");
        let path = "/prometheus/api/v1/metadata";
        assert_eq!(known(mimir.url(), path, tenant), expected, "{tenant}");
    }
    let receiver = Receiver::of(&victoria_metrics, |config| config.metadata = metadata);
    receiver.write(&receiver.batch("rw_about", &[("a", 1)])).unwrap();
    victoria_metrics.flush();
    let found = known(victoria_metrics.url(), "/api/v1/metadata", "");
    assert_eq!(found["help"], expected["help"], "{found}");
    assert_eq!(found["type"], expected["type"], "{found}");
}

/// 2.0 in Mimir: what it refuses it names by its own errors, and writes the others.
#[test]
fn mimir_takes_2_0_and_names_a_bad_sample() {
    let mimir = shared_mimir();
    let receiver = Receiver::new(format!("{}/api/v1/push", mimir.url()), |config| {
        v2(config);
        config.http.headers = vec![("X-Scope-OrgID".into(), Secret::new("rw-v2"))];
    });
    receiver.write(&receiver.batch("m", &[("a", 10), ("b", 10)])).unwrap();
    let refused = receiver.write(&receiver.batch("m", &[("a", 5), ("b", 11)]));
    let Err(SinkError::Rejected(rejected)) = refused else { panic!("{refused:?}") };
    assert!(rejected.superseded, "{rejected:?}");
    assert!(matches!(&rejected.scope, Scope::Items(items) if items[0].0 == 0), "{rejected:?}");
    let expected: [(&str, &[i32]); 2] = [("a", &[10]), ("b", &[10, 11])];
    let series = sorted(mimir.series("rw-v2", "m_v", "1h", END));
    assert_eq!(series, stored("m_v", &expected));
}
