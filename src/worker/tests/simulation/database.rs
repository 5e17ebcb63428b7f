//! Models of databases: what they take, what they refuse, and how they say it.

use std::collections::{BTreeMap, BTreeSet};

use super::log::{Kind, Log, Place};
use super::schedule::Answers;
use crate::batch::Batch;
use crate::encode::oracle::{self, Sample};
use crate::sink::{Rejected, Scope, SinkError};

/// The partition of a window's place; its offset is the window's value.
pub(super) const WINDOW: i32 = -1;

/// One item of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub place: Place,
    pub series: String,
    pub millis: i64,
}

/// A request's items, read as the database would.
pub(super) fn items(answers: Answers, batch: &Batch) -> Vec<Item> {
    let body = batch.body();
    let sample = |Sample { labels, value, millis }: Sample| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number"
        )]
        let number = value as u64;
        let label =
            |wanted: &str| labels.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
        let is_window = label("__name__").ends_with("_sum");
        item(is_window, label("s"), number, millis)
    };
    if answers.ordered() {
        return oracle::samples(&body).unwrap().into_iter().map(sample).collect();
    }
    let text = std::str::from_utf8(&body).unwrap();
    text.lines().map(line).collect()
}

/// `m,s=SERIES v=NUMBER MILLIS`, or `v_sum` for a window.
fn line(line: &str) -> Item {
    let (series, rest) = line.strip_prefix("m,s=").unwrap().split_once(' ').unwrap();
    let (field, millis) = rest.split_once(' ').unwrap();
    let (name, number) = field.split_once('=').unwrap();
    // What was gathered for windows is a number, and printed with a fraction.
    let number = number.strip_suffix(".0").unwrap_or(number).parse().unwrap();
    item(name == "v_sum", series.to_owned(), number, millis.parse().unwrap())
}

fn item(is_window: bool, series: String, number: u64, millis: i64) -> Item {
    if is_window {
        let place = Place { partition: WINDOW, offset: i64::try_from(number).unwrap() };
        return Item { place, series: format!("{series} sum"), millis };
    }
    Item { place: Place::of_number(number), series, millis }
}

/// What is stored.
#[derive(Debug, Default)]
pub(super) struct Database {
    pub stored: BTreeSet<Place>,
    /// By series and time, in ordered databases; the value is the record's place.
    samples: BTreeMap<(String, i64), Place>,
    newest: BTreeMap<String, i64>,
    /// Series and times that were refused because of what is stored.
    pub superseded: BTreeSet<(String, i64)>,
    /// Samples that a real one would drop without a word: see `encode::remote_write::order`.
    pub dropped_silently: Option<Place>,
    /// The values of windows, by series and start.
    pub windows: BTreeMap<(String, i64), i64>,
}

/// Why an item is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Bad,
    Superseded,
}

impl Database {
    /// One request, taken in at one moment.
    pub(super) fn take(
        &mut self,
        answers: Answers,
        largest: usize,
        body: usize,
        items: &[Item],
        logs: &[Log],
    ) -> Result<(), SinkError> {
        if body > largest {
            return Err(SinkError::TooLarge { reason: "413".into() });
        }
        let refusals: Vec<(usize, Refusal)> = items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| Some((at, self.refusal(answers, item, logs)?)))
            .collect();
        for (at, refusal) in &refusals {
            if *refusal == Refusal::Superseded {
                self.superseded.insert((items[*at].series.clone(), items[*at].millis));
            }
        }
        let writes_rest = matches!(
            answers,
            Answers::Partly | Answers::OrderedPartly | Answers::Named { rest_written: true }
        );
        let Some((_, first)) = refusals.first().copied() else {
            for item in items {
                self.store(answers, item);
            }
            return Ok(());
        };
        if writes_rest {
            for (at, item) in items.iter().enumerate() {
                if !refusals.iter().any(|(refused, _)| *refused == at) {
                    self.store(answers, item);
                }
            }
        }
        let scope = match answers {
            Answers::Named { .. } => {
                Scope::Items(refusals.iter().map(|(at, _)| (*at, "type conflict".into())).collect())
            }
            _ => Scope::Batch,
        };
        Err(SinkError::Rejected(Rejected {
            scope,
            rest_written: writes_rest,
            superseded: first == Refusal::Superseded,
            reason: "400".into(),
        }))
    }

    fn refusal(&self, answers: Answers, item: &Item, logs: &[Log]) -> Option<Refusal> {
        if item.place.partition != WINDOW {
            let log = &logs[usize::try_from(item.place.partition).unwrap()];
            let entry = log.at(item.place.offset).unwrap();
            if entry.kind == Kind::Refused {
                return Some(Refusal::Bad);
            }
        }
        let newest = *self.newest.get(&item.series).filter(|_| answers.ordered())?;
        // The newest sample again is no error.
        let same = || self.samples.get(&(item.series.clone(), newest)) == Some(&item.place);
        (item.millis < newest || (item.millis == newest && !same())).then_some(Refusal::Superseded)
    }

    fn store(&mut self, answers: Answers, item: &Item) {
        if answers.ordered() {
            let newest = self.newest.get(&item.series).copied();
            if newest.is_some_and(|newest| item.millis < newest) {
                self.dropped_silently = Some(item.place);
                return;
            }
            self.newest.insert(item.series.clone(), item.millis);
            let other = self.samples.insert((item.series.clone(), item.millis), item.place);
            if other.is_some_and(|other| other != item.place) {
                self.dropped_silently = other;
            }
        }
        if item.place.partition == WINDOW {
            let series = item.series.strip_suffix(" sum").unwrap().to_owned();
            self.windows.insert((series, item.millis), item.place.offset);
        } else {
            self.stored.insert(item.place);
        }
    }

    /// Whether an ordered database holds a sample of the series at this time, or has refused one
    /// because of what it holds.
    pub(super) fn is_settled(&self, series: &str, millis: i64) -> bool {
        let moment = (series.to_owned(), millis);
        self.samples.contains_key(&moment) || self.superseded.contains(&moment)
    }
}
