//! Isolation against databases that refuse in each of the ways there are, with writes counted.

mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::batch::OpenBatch;
use crate::sink::Scope;

/// What a database says of a batch in which it refuses items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// That it refuses something.
    Nothing,
    /// Which items, up to so many of them.
    Names(usize),
    /// Which items are likely: those of the bad ones' kind.
    Kind,
}

/// What befalls an attempt, in turn.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Answer,
    Down,
    /// The points are taken, and the answer is lost.
    Lost,
    Misconfigured,
    TooLarge,
}

/// A database that stores lines, but never those with a `bad` number.
#[derive(Debug)]
struct Fake {
    bad: BTreeSet<usize>,
    says: Says,
    /// Whether it stores the good points of a request in which it refuses some.
    partial: bool,
    turns: Vec<Turn>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    attempts: usize,
    answered: usize,
    too_large: usize,
    stored: BTreeSet<usize>,
}

fn reason(number: usize) -> String {
    format!("the database will not have {number}")
}

fn numbers(batch: &Batch) -> Vec<usize> {
    let body = batch.body();
    std::str::from_utf8(&body).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

impl Fake {
    fn judge(&self, numbers: &[usize], stored: &mut BTreeSet<usize>) -> Result<(), SinkError> {
        let is_bad = |number: &usize| self.bad.contains(number);
        let bad: Vec<_> = (0..numbers.len()).filter(|&at| is_bad(&numbers[at])).collect();
        if bad.is_empty() || self.partial {
            stored.extend(numbers.iter().filter(|number| !is_bad(number)));
        }
        let Some(&first) = bad.first() else {
            return Ok(());
        };
        let named = |at: &usize| (*at, reason(numbers[*at]));
        let scope = match self.says {
            Says::Nothing => Scope::Batch,
            Says::Names(most) => Scope::Items(bad.iter().take(most).map(named).collect()),
            Says::Kind if bad.len() == numbers.len() => {
                Scope::Items(bad.iter().map(named).collect())
            }
            Says::Kind => Scope::Split(bad),
        };
        let reason = reason(numbers[first]);
        let rest_written = self.partial;
        Err(SinkError::Rejected(Rejected { scope, rest_written, superseded: true, reason }))
    }
}

impl Write for Fake {
    async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let numbers = numbers(batch);
        let mut state = self.state.lock().unwrap();
        state.attempts += 1;
        let unavailable = |perhaps_stored| {
            let (reason, retry_after) = ("down".to_owned(), Some(Duration::from_secs(1)));
            Err(SinkError::Unavailable { reason, retry_after, perhaps_stored })
        };
        match self.turns[state.attempts % self.turns.len()] {
            Turn::Down => return unavailable(false),
            Turn::Lost => {
                _ = self.judge(&numbers, &mut state.stored);
                return unavailable(true);
            }
            Turn::Misconfigured => {
                return Err(SinkError::Misconfigured { reason: "a wrong token".into() });
            }
            Turn::TooLarge if numbers.len() > 1 => {
                state.too_large += 1;
                return Err(SinkError::TooLarge { reason: "413".into() });
            }
            Turn::TooLarge | Turn::Answer => {}
        }
        state.answered += 1;
        self.judge(&numbers, &mut state.stored)
    }
}

fn batch(items: usize) -> Batch {
    let mut open = OpenBatch::default();
    for number in 0..items {
        open.bytes.extend_from_slice(format!("{number}\n").as_bytes());
        open.end_item(RecordIndex(u32::try_from(number).unwrap()));
    }
    open.close()
}

fn writer<W>(sink: Arc<W>) -> Writer<W> {
    Writer {
        connector: "test".into(),
        sink,
        config: config::Delivery {
            in_flight: NonZeroUsize::MIN,
            timeout: Duration::from_secs(30),
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        },
        metrics: Metrics::default(),
        requests: Semaphore::new(REQUESTS),
        outage: Mutex::new(None),
        recovered: Notify::new(),
    }
}

fn deliver(fake: Fake, batch: Batch) -> (Delivered, State) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let sink = Arc::new(fake);
    let writer = writer(Arc::clone(&sink));
    let delivered = runtime.block_on(writer.deliver(batch));
    drop(writer);
    (delivered, Arc::into_inner(sink).unwrap().state.into_inner().unwrap())
}

/// What the documentation of [`isolate`] promises.
fn bound(says: Says, items: usize, bad: usize) -> usize {
    let halvings = items.next_power_of_two().ilog2() as usize;
    match says {
        _ if bad == 0 => 1,
        Says::Nothing => 1 + 2 * bad * halvings,
        Says::Names(most) if most >= bad => 2,
        Says::Names(1) if bad < 4 => bad + 1,
        Says::Names(_) => 2 * bad + 1,
        Says::Kind => 3,
    }
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        Just(Says::Nothing),
        Just(Says::Names(usize::MAX)),
        Just(Says::Names(1)),
        (2..9usize).prop_map(Says::Names),
        Just(Says::Kind),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => Just(Turn::Answer),
        1 => Just(Turn::Down),
        1 => Just(Turn::Lost),
        1 => Just(Turn::Misconfigured),
        1 => Just(Turn::TooLarge),
    ]
}

/// Few, many, or all.
fn bad(items: usize) -> impl Strategy<Value = BTreeSet<usize>> {
    prop_oneof![
        prop::collection::btree_set(0..items, 0..4),
        prop::collection::btree_set(0..items, 0..=items),
        Just((0..items).collect()),
    ]
}

fn case() -> impl Strategy<Value = (usize, BTreeSet<usize>)> {
    (1..200usize).prop_flat_map(|items| (Just(items), bad(items)))
}

fn assert_isolated(
    bad: &BTreeSet<usize>,
    items: usize,
    delivered: &Delivered,
    state: &State,
) -> Result<(), TestCaseError> {
    let refused: BTreeMap<_, _> =
        delivered.refused.iter().map(|r| (r.record.0 as usize, r.reason.clone())).collect();
    let expected: BTreeMap<_, _> = bad.iter().map(|&number| (number, reason(number))).collect();
    prop_assert_eq!(refused, expected, "each bad item once, with its own reason");
    prop_assert_eq!(delivered.refused.len(), bad.len());
    prop_assert!(delivered.refused.is_sorted_by_key(|refused| refused.record));
    let good: BTreeSet<_> = (0..items).filter(|number| !bad.contains(number)).collect();
    prop_assert_eq!(delivered.written, good.len());
    prop_assert_eq!(&state.stored, &good);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn just_the_bad_items_are_refused_with_few_writes(
        (items, bad) in case(), says in says(), partial: bool,
    ) {
        let fake = Fake {
            bad: bad.clone(), says, partial, turns: vec![Turn::Answer], state: Mutex::default(),
        };
        let (delivered, state) = deliver(fake, batch(items));
        assert_isolated(&bad, items, &delivered, &state)?;
        let most = bound(says, items, bad.len());
        prop_assert!(state.answered <= most, "{} writes, at most {most}", state.answered);
    }

    /// And costs no writes but those that it spoilt.
    #[test]
    fn an_outage_in_the_midst_of_isolation_refuses_no_good_item(
        (items, bad) in case(), says in says(), partial: bool,
        turns in prop::collection::vec(turn(), 1..8),
    ) {
        // An outage ends.
        let turns = turns.into_iter().chain([Turn::Answer]).collect();
        let fake = Fake { bad: bad.clone(), says, partial, turns, state: Mutex::default() };
        let (delivered, state) = deliver(fake, batch(items));
        assert_isolated(&bad, items, &delivered, &state)?;
        // Each split makes two batches out of one, with what is unknown of both.
        let most = (state.too_large + 1) * bound(says, items, bad.len().max(1));
        prop_assert!(state.answered <= most, "{} writes, at most {most}", state.answered);
    }
}

/// Of a batch whose writes failed before they reached the database nothing can have been stored; nor
/// of the part that was never sent.
#[test]
fn only_what_an_unclear_attempt_held_counts_as_perhaps_stored() {
    // The whole is too large; the first half's answer is lost; the second half is answered at once.
    let turns = vec![Turn::Answer, Turn::TooLarge, Turn::Lost, Turn::Answer, Turn::Answer];
    let bad = (0..8).collect();
    let says = Says::Names(usize::MAX);
    let fake = Fake { bad, says, partial: false, turns, state: Mutex::default() };
    let (delivered, state) = deliver(fake, batch(8));
    assert_eq!(state.attempts, 4);
    let perhaps: Vec<_> = delivered.refused.iter().map(|r| r.perhaps_stored).collect();
    assert_eq!(perhaps, [[true; 4], [false; 4]].concat());
}

/// A database that stores the others makes repeats of them, except of what it has named before.
#[test]
fn what_a_partial_write_may_have_stored_counts_as_perhaps_stored() {
    for (partial, expected) in [(false, [false, false]), (true, [false, true])] {
        let (bad, turns) = ([2, 5].into(), vec![Turn::Answer]);
        let fake = Fake { bad, says: Says::Names(1), partial, turns, state: Mutex::default() };
        let (delivered, _) = deliver(fake, batch(8));
        let perhaps: Vec<_> = delivered.refused.iter().map(|r| r.perhaps_stored).collect();
        assert_eq!(perhaps, expected, "partial: {partial}");
    }
}
