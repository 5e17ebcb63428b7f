use std::collections::BTreeSet;

use super::exposition::{self, Format};
use super::{LagShare, Lags, Metrics, Reloads, Share, Turns, WorkerTurns, WriteResult};
use crate::connector::View;
use crate::dead_letter::{ReasonKind, Stage};
use crate::record::TopicPartition;

fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: "sensors".into(), partition: number }
}

fn views() -> Vec<View> {
    let sensors = Metrics::default();
    sensors.records_consumed.inc_by(7);
    sensors.records_rejected.at(Stage::Write, ReasonKind::Refused).inc_by(2);
    sensors.writes.with(WriteResult::Unavailable).inc();
    sensors.write_seconds.observe(std::time::Duration::from_millis(30));
    LagShare::of(&sensors.lags).set([(partition(3), 40)].into_iter());
    vec![View::of("sensors", sensors), View::of("payments", Metrics::default())]
}

#[test]
fn both_formats_name_a_counter_by_their_own_rules() {
    let prometheus = exposition::page(Format::Prometheus, views(), &Reloads::default());
    assert!(
        prometheus.contains("# TYPE tidegate_records_consumed_total counter\n"),
        "{prometheus}"
    );
    assert!(prometheus.contains("\ntidegate_records_consumed_total{connector=\"sensors\"} 7\n"));
    assert!(!prometheus.contains("# EOF"));
    let open = exposition::page(Format::OpenMetrics, views(), &Reloads::default());
    assert!(open.contains("# TYPE tidegate_records_consumed counter\n"), "{open}");
    assert!(open.contains("\ntidegate_records_consumed_total{connector=\"sensors\"} 7\n"));
    assert!(open.ends_with("# EOF\n"));
}

/// Two connectors are two series of one family: a repeated description is an error to a scraper.
#[test]
fn a_metric_is_described_once_however_many_connectors_there_are() {
    let page = exposition::page(Format::Prometheus, views(), &Reloads::default());
    let types: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len(), "{page}");
    assert!(page.contains("tidegate_records_consumed_total{connector=\"payments\"} 0"), "{page}");
}

#[test]
fn labelled_metrics_say_which_stage_which_result_and_which_partition() {
    let lags = views();
    // The share that set it is gone, and its partitions with it.
    assert!(
        !exposition::page(Format::Prometheus, lags, &Reloads::default())
            .contains("partition=\"3\"")
    );
    let page = exposition::page(Format::Prometheus, views(), &Reloads::default());
    let rejected = "tidegate_records_rejected_total{connector=\"sensors\",stage=\"write\",reason=\"refused_by_database\"} 2";
    assert!(page.contains(rejected), "{page}");
    let writes = "tidegate_writes_total{connector=\"sensors\",result=\"unavailable\"} 1";
    assert!(page.contains(writes), "{page}");
    let took = "tidegate_write_duration_seconds_bucket{le=\"0.05\",connector=\"sensors\"} 1";
    assert!(page.contains(took), "{page}");
}

/// Nothing written yet is not "written in 1970".
#[test]
fn ages_are_absent_before_there_is_anything_to_be_old() {
    let metrics = Metrics::default();
    let page = |metrics: &Metrics| {
        let views = vec![View::of("sensors", metrics.clone())];
        exposition::page(Format::Prometheus, views, &Reloads::default())
    };
    assert!(!page(&metrics).contains("tidegate_commit_age_seconds{"));
    metrics.committed();
    assert!(page(&metrics).contains("tidegate_commit_age_seconds{connector=\"sensors\"} 0"));
}

#[test]
fn a_workers_partitions_and_part_of_a_gauge_go_with_it() {
    let (lags, metrics) = (Lags::default(), Metrics::default());
    let mut one = LagShare::of(&lags);
    let mut other = LagShare::of(&lags);
    one.set([(partition(0), 5), (partition(1), 6)].into_iter());
    other.set([(partition(2), 7)].into_iter());
    one.set([(partition(1), 4)].into_iter());
    assert_eq!(lags.get(), [(partition(1), 4), (partition(2), 7)]);
    drop(one);
    assert_eq!(lags.get(), [(partition(2), 7)]);
    let mut share = Share::of(&metrics.lag_records);
    share.set(9);
    assert_eq!(metrics.lag_records.get(), 9);
    drop(share);
    assert_eq!(metrics.lag_records.get(), 0);
}

#[test]
fn the_slowest_worker_counts() {
    let turns = Turns::default();
    let (slow, quick) = (WorkerTurns::of(&turns), WorkerTurns::of(&turns));
    let quickly = || {
        quick.turn();
        turns.longest().as_millis() < 20
    };
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!quickly());
    drop(slow);
    // A machine under load may stop this thread between two looks at the clock, but not each time.
    assert!((0..100).any(|_| quickly()));
}

#[test]
fn the_reference_page_is_what_the_code_says() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let page = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        page == exposition::reference_page(),
        "docs/metrics.md is not what the code says; `tidegate schema --metrics > docs/metrics.md` \
         makes it anew"
    );
}
