//! What Prometheus says of samples of remote write 2.0: a line for each that it refuses, with the cause
//! and the series (`writeV2` in its `storage/remote/write_handler.go`).

use std::collections::HashMap;

use super::SUPERSEDED;
use crate::batch::Batch;
use crate::sink::Scope;
use crate::sink::http::{Answer, shorten};
use crate::sink::prometheus::samples::{self, Labels};

/// Prometheus 3 goes on with the time, and both values.
const DUPLICATE: &str = "duplicate sample for timestamp";
/// What is said of a series' labels.
const LABELS: [&str; 2] =
    ["invalid metric name or labels, got ", "invalid labels for series, labels "];

/// Why a sample is refused, and so which of its series' samples it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// By what is stored: of samples in the order of time those at the beginning.
    Superseded,
    /// There is another value at this time, in milliseconds.
    Duplicate(Option<i64>),
    /// It is too far in the future: those at the end.
    Future,
    /// Any.
    Labels,
}

/// The refused samples, and whether they are superseded: if there are any such, these alone, and the
/// others when they are refused again. `None` if no line names a sample of the batch.
pub(super) fn told(answer: &Answer, batch: &Batch) -> Option<(Scope, bool)> {
    let mut series: HashMap<Labels, Vec<usize>> = HashMap::new();
    for items in samples::by_series(batch)? {
        series.insert(samples::labels(batch.item(*items.first()?))?, items);
    }
    let mut items = Vec::new();
    for line in answer.body.lines() {
        let Some((cause, labels)) = read(line) else { continue };
        let Some(left) = series.get_mut(&labels) else { continue };
        if let Some(item) = take(left, cause, batch) {
            items.push((
                cause.is_superseded(),
                item,
                format!("{}: {}", answer.status, shorten(line)),
            ));
        }
    }
    let superseded = items.iter().any(|(superseded, ..)| *superseded);
    items.retain(|item| item.0 == superseded);
    let mut items: Vec<_> = items.into_iter().map(|(_, item, reason)| (item, reason)).collect();
    items.sort_unstable();
    (!items.is_empty()).then_some((Scope::Items(items), superseded))
}

/// The one sample of a batch that a 400 to 1.0 can mean, which says at what time there is another
/// value.
pub(super) fn duplicate(body: &str, batch: &Batch) -> Option<usize> {
    let time = time_of_duplicate(body)?;
    let mut items = (0..batch.len()).filter(|item| samples::time(batch.item(*item)) == Some(time));
    items.next().filter(|_| items.next().is_none())
}

/// Of `duplicate sample for timestamp 1700000000000; overrides not allowed: …`.
fn time_of_duplicate(text: &str) -> Option<i64> {
    text.strip_prefix(DUPLICATE)?.trim_start().split(';').next()?.parse().ok()
}

/// The sample that a line is about, of those of its series that no line was about.
fn take(left: &mut Vec<usize>, cause: Cause, batch: &Batch) -> Option<usize> {
    let at = match cause {
        Cause::Duplicate(Some(time)) => {
            left.iter().position(|item| samples::time(batch.item(*item)) == Some(time))?
        }
        // With a window for late samples, those before it may have been taken.
        Cause::Duplicate(None) if left.len() > 1 => return None,
        Cause::Superseded | Cause::Duplicate(None) => 0,
        Cause::Future | Cause::Labels => left.len().checked_sub(1)?,
    };
    (at < left.len()).then(|| left.remove(at))
}

fn read(line: &str) -> Option<(Cause, Labels)> {
    if let Some(series) = LABELS.iter().find_map(|start| line.strip_prefix(start)) {
        return Some((Cause::Labels, samples::parse(series)?));
    }
    let (what, series) = line.split_once(" for series ")?;
    let cause = if what.contains("too far in the future") {
        Cause::Future
    } else if what.starts_with(DUPLICATE) {
        Cause::Duplicate(time_of_duplicate(what))
    } else if SUPERSEDED.iter().any(|start| what.starts_with(start)) {
        Cause::Superseded
    } else {
        return None;
    };
    Some((cause, samples::parse(series)?))
}

impl Cause {
    fn is_superseded(self) -> bool {
        matches!(self, Self::Superseded | Self::Duplicate(_))
    }
}
