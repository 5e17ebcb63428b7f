//! Batches of several destinations.

use std::num::NonZeroUsize;

use super::*;
use crate::map::Template;
use crate::route::{Routing, Slot};

/// Takes everything, but at the destinations that are down until they are up again; refuses the
/// item 1 of each part. Tells who asked when.
#[derive(Debug)]
struct Destinations {
    up_at: BTreeMap<&'static str, Duration>,
    start: Instant,
    log: Mutex<Vec<(Duration, String)>>,
    under_way: Mutex<(usize, usize)>,
}

impl Write for Destinations {
    async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let (now, to) = (self.start.elapsed(), batch.destination().to_string());
        self.log.lock().unwrap().push((now, to.clone()));
        {
            let mut under_way = self.under_way.lock().unwrap();
            *under_way = (under_way.0 + 1, under_way.1.max(under_way.0 + 1));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.under_way.lock().unwrap().0 -= 1;
        if self.up_at.get(to.as_str()).is_some_and(|up| now < *up) {
            return Err(SinkError::Misconfigured { reason: format!("no bucket {to}") });
        }
        let refused = (0..batch.len()).filter(|&item| batch.record(item).0 % 10 == 1);
        let items: Vec<_> = refused.map(|item| (item, "no".to_owned())).collect();
        if items.is_empty() {
            return Ok(());
        }
        let (scope, reason) = (Scope::Items(items), "no".into());
        let rejected = Rejected { scope, rest_written: false, superseded: false, reason };
        Err(SinkError::Rejected(rejected))
    }
}

/// Parts of three items each, of the records 0, 1, 2, then 10, 11, 12 and so on.
fn parts(to: &[&str]) -> Vec<Batch> {
    let slots = vec![(Slot::Bucket, Template(Vec::new()))];
    let routing = Routing::new(slots, None, NonZeroUsize::MIN);
    let part = |(number, to): (u32, &&str)| {
        let mut open = OpenBatch::default();
        for item in 0..3 {
            open.bytes.extend_from_slice(b"x\n");
            open.end_item(RecordIndex(number * 10 + item));
        }
        open.close().to(routing.destination(to).unwrap())
    };
    (0..).zip(to).map(part).collect()
}

/// A batch, in its parts.
type Parts = Vec<Batch>;

/// Delivers these sequences of batches at the same time, and says what came of each batch, and when.
fn delivered(
    sequences: Vec<Vec<Parts>>,
    up_at: &[(&'static str, u64)],
) -> (Vec<(Duration, Delivered)>, Destinations) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let start = runtime.block_on(async { Instant::now() });
    let up_at = up_at.iter().map(|(to, at)| (*to, Duration::from_secs(*at))).collect();
    let sink = Destinations { up_at, start, log: Mutex::default(), under_way: Mutex::default() };
    let writer = Arc::new(writer(Arc::new(sink)));
    let done = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for batches in sequences {
            let writer = Arc::clone(&writer);
            tasks.spawn(async move {
                let mut done = Vec::new();
                for parts in batches {
                    let delivered = super::super::deliver(&writer, parts).await;
                    done.push((start.elapsed(), delivered));
                }
                done
            });
        }
        let mut done = Vec::new();
        while let Some(task) = tasks.join_next().await {
            done.extend(task.unwrap());
        }
        done
    });
    assert!(writer.outage.lock().unwrap().is_none(), "an outage goes on");
    let writer = Arc::into_inner(writer).unwrap();
    (done, Arc::into_inner(writer.sink).unwrap())
}

#[test]
fn a_batch_is_done_when_all_its_parts_are_and_no_part_waits_for_another_s_outage() {
    let (done, sink) = delivered(vec![vec![parts(&["a", "down", "b"])]], &[("down", 600)]);
    let [(took, delivered)] = done.as_slice() else { panic!("{done:?}") };
    assert!(*took >= Duration::from_mins(10), "{took:?}");
    assert_eq!(delivered.written, 6);
    let refused: Vec<_> = delivered.refused.iter().map(|refused| refused.record.0).collect();
    assert_eq!(refused, [1, 11, 21]);
    let log = sink.log.into_inner().unwrap();
    let last = |to: &str| log.iter().rfind(|(_, at)| at == to).unwrap().0;
    assert!(last("a") < Duration::from_secs(1) && last("b") < Duration::from_secs(1));
}

#[test]
fn writes_that_go_well_elsewhere_are_no_reason_to_knock_more_often_where_nothing_is_taken() {
    let others = vec![parts(&["a"]); 10_000];
    let (_, sink) = delivered(vec![vec![parts(&["down"])], others], &[("down", 300)]);
    let knocks = sink.log.into_inner().unwrap().iter().filter(|(_, to)| to == "down").count();
    // Pauses of 0.1 s doubling to 30 s, each with a jitter of up to as much again.
    assert!(knocks <= 9 + 300 / 30 + 2, "{knocks}");
}

#[test]
fn many_parts_are_not_sent_all_at_once() {
    let to: Vec<_> = (0..50).map(|number| format!("d{number}")).collect();
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    let (done, sink) = delivered(vec![vec![parts(&to)]], &[]);
    assert_eq!(done[0].1.written, 100);
    assert_eq!(sink.under_way.into_inner().unwrap(), (0, REQUESTS));
}
