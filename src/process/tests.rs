//! Any crash point, the same points: chains are cut off after any record and go on from what would have
//! been committed there.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::chain::{Chain, Phase};
use super::testing::line;
use crate::config::{self, Environment};
use crate::decode::Refusal;
use crate::point::{Point, Timestamp};
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::route::OPEN_PLACE;
use crate::trial::WholePoint;

/// What a processor gives another, of every kind.
const CHAINS: [&str; 7] = [
    "window: { size: 20ms, lateness: 5ms, fields: { v: [sum, count, last, p50] } }",
    "filter: v > 1
  - window: { size: 20ms, every: 10ms, fields: { v: [sum] } }
  - window: { size: 50ms, lateness: 10ms, fields: { v_sum: [sum, count] } }",
    "rate: { fields: [v], within: 30ms }
  - window: { size: 40ms, keep: true, fields: { v_rate: [mean], v: [first] } }
  - deduplicate: { within: 30ms }",
    "deduplicate: { within: 15ms }
  - window: { size: 10ms, lateness: 10ms, timestamp: end, fields: { v: [max] } }
  - delta: { fields: [v_max], within: 40ms }
  - window: { size: 30ms, fields: { v_max: [count], v_max_delta: [sum] } }",
    "anomaly: { field: v, method: robust, over: 60ms, warmup: 2 }
  - window: { size: 25ms, fields: { v_score: [last, count] } }
  - sample: { every: 2 }",
    "route: [{ when: v > 2, to: high }, { to: low }]
  - window: { size: 20ms, lateness: 5ms, keep: true, fields: { v: [sum] } }
  - delta: { fields: [v_sum], within: 40ms }",
    "window: { size: 20ms, fields: { v: [sum, count] } }
  - route: [{ when: v_sum > 5, to: high }, { to: low }]
  - rate: { fields: [v_count], within: 60ms }",
];

fn chain(process: &str) -> Chain {
    let bucket = if process.contains("route") { "route" } else { "value.to" };
    let text = format!(
        "
topics: [t]
kafka: {{ bootstrap.servers: k }}
point: {{ measurement: m, fields: {{ v: v }} }}
process:
  - {process}
sink: {{ influxdb: {{ url: 'http://db', org: o, bucket: '{{{{ {bucket} }}}}' }} }}
"
    );
    let environment = Environment::new(|_| None, |_| Ok(String::new()));
    let shared = config::Process::default();
    let config = config::load_text(Path::new("c.yaml"), &text, &shared, &environment);
    Chain::new(&config.unwrap_or_else(|errors| panic!("{errors}")).process)
}

fn partition() -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: 0 }
}

/// The lines that come of a record, each with where it goes. Records of one series go to two places, where no
/// route says it.
fn given(chain: &mut Chain, process: &str, offset: usize, record: &[String]) -> Vec<String> {
    let at = ("t", 0, Offset(i64::try_from(offset).unwrap()));
    let mut lines = Vec::new();
    chain.begin_record();
    for text in record {
        let to = if process.contains("route") {
            OPEN_PLACE.into()
        } else {
            format!("b{}", text.len() % 2)
        };
        chain.gather(at, None, Point { to: to.into(), ..line(text) }).unwrap();
    }
    let ended = chain.end_record(at, &mut |point| {
        lines.push(format!("{} {}", point.to, WholePoint::of(&point)));
        Ok(())
    });
    ended.unwrap();
    lines
}

/// A partition's records: none to three points each, of two series, mostly in order; some late, some of a
/// clock that is far ahead.
fn history() -> impl Strategy<Value = Vec<Vec<String>>> {
    let step = prop_oneof![10 => 0..6_i64, 3 => -40..0_i64, 1 => 20..150_i64];
    let point = (0..2_u8, step, 0..6_i32);
    let record = prop::collection::vec(point, 0..=3);
    prop::collection::vec(record, 1..60).prop_map(|records| {
        let mut now = 1_000_000_i64;
        let mut text = |(series, step, value): (u8, i64, i32)| {
            now += step;
            format!("m,s={series} v={value} {}", now * 1_000_000)
        };
        records.into_iter().map(|record| record.into_iter().map(&mut text).collect()).collect()
    })
}

#[test]
fn one_message_from_the_far_future_is_rejected_and_what_follows_it_is_not_late() {
    let mut chain = chain("window: { size: 10s, fields: { v: [count] } }")
        .ahead_at_most(Duration::from_mins(1));
    let produced = Timestamp::from_millis(1_000_000);
    let mut take = |offset: i64, millis: i64| {
        let at = ("t", 0, Offset(offset));
        chain.begin_record();
        chain.gather(at, produced, line(&format!("m v=1 {}", millis * 1_000_000)))?;
        chain.end_record(at, &mut |_| Ok(()))
    };
    take(0, 1_000_000).unwrap();
    take(1, 1_060_000).unwrap();
    let Err(Refusal::Rejected(reject)) = take(2, 1_060_001) else { panic!("taken") };
    assert!(reject.reason.contains("1m ahead"), "{}", reject.reason);
    take(3, 1_060_000).unwrap();
    assert_eq!(chain.take_late(), 0);
}

proptest! {
    #[test]
    fn any_crash_point_the_same_points(
        process in prop::sample::select(&CHAINS[..]),
        records in history(),
        cut in any::<prop::sample::Index>(),
        is_backfill: bool,
    ) {
        let cut = cut.index(records.len());
        let (mut whole, mut again) = (chain(process), chain(process));
        if is_backfill {
            whole.warm_up();
            again.warm_up();
        }
        let mut expected = Vec::new();
        let mut committed = NextOffset::at(Offset(0));
        for (offset, record) in records.iter().enumerate() {
            if offset == cut {
                let next = NextOffset::at(Offset(i64::try_from(cut).unwrap()));
                committed = next.held(whole.hold("t", 0));
            }
            let lines = given(&mut whole, process, offset, record);
            if offset >= cut {
                expected.push(lines);
            }
        }
        again.begin(&partition(), Some(committed));
        let from = usize::try_from(committed.committed().0.0).unwrap();
        let mut found = Vec::new();
        for (offset, record) in records.iter().enumerate().skip(from) {
            let phase = again.phase(("t", 0, Offset(i64::try_from(offset).unwrap())));
            prop_assert_eq!(phase == Phase::Normal, offset >= cut);
            let lines = given(&mut again, process, offset, record);
            if phase == Phase::Normal {
                found.push(lines);
            }
        }
        prop_assert_eq!(found, expected);
        let (late, rebuilt) = (whole.take_late(), again.take_late());
        prop_assert!(rebuilt <= late, "{} of {} are late", rebuilt, late);
    }
}
