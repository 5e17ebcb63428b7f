//! What becomes of a batch in a Prometheus without an out-of-order window, with its answers as they
//! are classified, and with its requests counted.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::*;
use crate::config::Delivery;
use crate::deliver::{Delivered, Deliveries, Settled};
use crate::encode::remote_write::read;
use crate::sink::http::Answer;
use crate::sink::{Write, prometheus::answers};
use crate::telemetry::Metrics;
use crate::watermark::{Covers, Watermark};

/// The tag of a series and a time.
type Place = (String, i64);

/// Takes what is newer than a series' newest sample, and the newest once more; all of a request or
/// nothing (`write_handler.go`). Every third answer is lost if `flaky`.
#[derive(Debug)]
struct Fake {
    flaky: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    newest: BTreeMap<String, i64>,
    stored: Vec<Place>,
    requests: usize,
}

fn places(batch: &Batch) -> Vec<Place> {
    let place = |item| {
        let (labels, time) = read::sample(batch.item(item)).unwrap();
        let tag = read::labels(labels).find(|(name, _)| *name == b"t").unwrap().1;
        (String::from_utf8(tag.to_vec()).unwrap(), time)
    };
    (0..batch.len()).map(place).collect()
}

impl Write for Fake {
    async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        let is_old =
            |(tag, time): &Place| state.newest.get(tag).is_some_and(|newest| time < newest);
        let (status, body) = if places(batch).iter().any(is_old) {
            (StatusCode::BAD_REQUEST, "out of order sample\n")
        } else {
            for (tag, time) in places(batch) {
                if state.newest.insert(tag.clone(), time) != Some(time) {
                    state.stored.push((tag, time));
                }
            }
            (StatusCode::NO_CONTENT, "")
        };
        if self.flaky && state.requests.is_multiple_of(3) {
            let (reason, retry_after) = ("reset".into(), None);
            return Err(SinkError::Unavailable { reason, retry_after, perhaps_stored: true });
        }
        let (body, tail) = (body.to_owned(), String::new());
        let answer = Answer { status, headers: HeaderMap::new(), body, tail };
        answers::classify(Form::V1, &answer, batch)
    }
}

/// What became of the batch, in a database in which these series have these newest samples.
fn delivered(batch: &Batch, newest: BTreeMap<String, i64>, flaky: bool) -> (Delivered, State) {
    let state = Mutex::new(State { newest, ..State::default() });
    let sink = Arc::new(Fake { flaky, state });
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    let delivery = Delivery {
        in_flight: NonZeroUsize::MIN,
        timeout: Duration::from_secs(30),
        min_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(30),
        drain: Duration::from_secs(20),
    };
    let runtime = Arc::new(runtime);
    let mut deliveries =
        Deliveries::new("test", runtime, Arc::clone(&sink), delivery, Metrics::default());
    let id = Watermark::default().push(Covers::default(), ());
    deliveries.submit(id, vec![batch.clone()]);
    let Some(Settled::Batch { delivered, .. }) = deliveries.wait_settled(Duration::from_hours(99))
    else {
        panic!("the batch was not delivered");
    };
    let state = std::mem::take(&mut *sink.state.lock().unwrap());
    (delivered, state)
}

/// Series `0`, `1`, … with samples at 1, 2, … each.
fn series(series: usize, samples: i64) -> Batch {
    let tags: Vec<_> = (0..series).map(|number| number.to_string()).collect();
    let places: Vec<_> =
        (1..=samples).flat_map(|time| tags.iter().map(move |tag| (tag.as_str(), time))).collect();
    batch(&places)
}

#[test]
fn a_repeat_takes_a_request_for_each_superseded_sample_and_two_for_each_series() {
    let newest = (0..20).map(|tag| (tag.to_string(), 30)).collect();
    let (delivered, state) = delivered(&series(20, 30), newest, false);
    assert_eq!((delivered.written, delivered.refused.len()), (20, 20 * 29));
    assert!(
        delivered.refused.iter().all(|refused| refused.superseded() && !refused.perhaps_stored)
    );
    assert!(state.requests <= 20 * 29 + 2 * 20, "{} requests", state.requests);
}

#[test]
fn one_late_sample_among_many_series_takes_a_few_requests() {
    let newest = [("7".to_owned(), 5)].into();
    let (delivered, state) = delivered(&series(1024, 1), newest, false);
    assert_eq!((delivered.written, delivered.refused.len()), (1023, 1));
    assert!(state.requests <= 1 + 2 * 10, "{} requests", state.requests);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the search, it ends as if every sample had been written alone and in order; so none
    /// was made unwritable by a later one that went before it.
    #[test]
    fn every_sample_that_was_writable_is_written_and_no_other(
        samples in prop::collection::btree_set((0..6usize, 1..40i64), 1..80),
        newest in prop::collection::btree_map(0..6usize, 0..45i64, 0..6),
        flaky: bool,
    ) {
        let tags: Vec<_> = (0..6).map(|number: usize| number.to_string()).collect();
        let mut in_time: Vec<_> = samples.iter().map(|&(tag, time)| (time, tag)).collect();
        in_time.sort_unstable();
        let places: Vec<_> =
            in_time.iter().map(|&(time, tag)| (tags[tag].as_str(), time)).collect();
        let batch = batch(&places);
        let before = |tag: &usize| newest.get(tag).copied().unwrap_or_default();
        let named = newest.iter().map(|(tag, time)| (tags[*tag].clone(), *time)).collect();
        let (delivered, mut state) = delivered(&batch, named, flaky);
        let mut expected: Vec<_> = samples
            .iter()
            .filter(|(tag, time)| *time > before(tag))
            .map(|&(tag, time)| (tags[tag].clone(), time))
            .collect();
        expected.sort_unstable();
        state.stored.sort_unstable();
        prop_assert_eq!(state.stored, expected, "stored");
        prop_assert_eq!(delivered.written + delivered.refused.len(), samples.len());
        if !flaky {
            let late = samples.iter().filter(|(tag, time)| *time < before(tag)).count();
            prop_assert_eq!(delivered.refused.len(), late);
            let halvings = 3;
            prop_assert!(state.requests <= 1 + 2 * 6 * halvings + 2 * late, "{}", state.requests);
        }
        // What the flaky one refuses as its own repeat is known to be perhaps stored.
        let unclear = delivered.refused.iter().filter(|refused| !refused.perhaps_stored);
        for refused in unclear {
            let (tag, time) = &places[refused.record.0 as usize];
            prop_assert!(*time < before(&tag.parse().unwrap()), "{tag} {time}");
        }
    }
}
