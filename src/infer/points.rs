//! Messages that hold points already: their format, and what their points have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config;
use crate::config::raw::TimeUnit;
use crate::decode::{Message, Points};
use crate::point::{Point, Timestamp};

/// Distinct texts that are kept of each kind.
const MOST: usize = 2000;
/// Of the formats that have several, in the order in which they are tried.
const UNITS: [TimeUnit; 4] = [TimeUnit::Ns, TimeUnit::Us, TimeUnit::Ms, TimeUnit::S];

/// A format of points, and what some messages of it hold.
#[derive(Debug)]
pub(super) struct Seen {
    /// As `decode:` has it.
    pub(super) text: String,
    /// Messages that it reads, and that hold a point.
    pub(super) messages: usize,
    pub(super) points: usize,
    pub(super) measurements: BTreeSet<String>,
    pub(super) tags: BTreeMap<String, BTreeSet<String>>,
    /// The index of the first message that is none of this format.
    pub(super) unread: Option<usize>,
    /// How far points are from their messages' own times, on the whole.
    off: Duration,
}

/// Formats of JSON that say so clearly what they are that they come before any other.
pub(super) fn of_json(messages: &[Message<'_>]) -> Vec<Seen> {
    vec![
        in_unit("telegraf_json", TimeUnit::S, config::Points::TelegrafJson, messages),
        Seen::of("collectd_json", &config::Points::CollectdJson, messages),
        Seen::of("otlp", &config::Points::Otlp, messages),
    ]
}

/// The others.
pub(super) fn of_text(messages: &[Message<'_>]) -> Vec<Seen> {
    let mut all = vec![
        Seen::of("remote_write", &config::Points::RemoteWrite, messages),
        in_unit("line_protocol", TimeUnit::Ns, config::Points::LineProtocol, messages),
        Seen::of("openmetrics", &config::Points::OpenMetrics, messages),
    ];
    // A name and a number alone may be anything.
    let is_exposed =
        |text: &str| text.contains("# TYPE ") || text.contains("# HELP ") || text.contains('{');
    if messages.iter().any(|m| std::str::from_utf8(m.payload).is_ok_and(is_exposed)) {
        all.push(Seen::of("prometheus_text", &config::Points::PrometheusText, messages));
    }
    all.push(Seen::of("graphite", &config::Points::Graphite, messages));
    all
}

/// In the unit that brings the points nearest to their messages' own times.
fn in_unit(
    word: &str,
    default: TimeUnit,
    format: fn(TimeUnit) -> config::Points,
    messages: &[Message<'_>],
) -> Seen {
    let of = |unit: TimeUnit| {
        let text = match unit {
            unit if unit == default => word.to_owned(),
            TimeUnit::S => format!("{{ {word}: {{ precision: s }} }}"),
            TimeUnit::Ms => format!("{{ {word}: {{ precision: ms }} }}"),
            TimeUnit::Us => format!("{{ {word}: {{ precision: us }} }}"),
            TimeUnit::Ns => format!("{{ {word}: {{ precision: ns }} }}"),
        };
        Seen::of(&text, &format(unit), messages)
    };
    let all = UNITS.map(of);
    // Of two that are as near, since no point has a time of its own, the default.
    let rank = |seen: &Seen| (std::cmp::Reverse(seen.messages), seen.off, seen.text != word);
    let [first, rest @ ..] = all;
    rest.into_iter().fold(first, |best, seen| if rank(&seen) < rank(&best) { seen } else { best })
}

impl Seen {
    fn of(text: &str, format: &config::Points, messages: &[Message<'_>]) -> Self {
        let mut seen = Self {
            text: text.to_owned(),
            messages: 0,
            points: 0,
            measurements: BTreeSet::new(),
            tags: BTreeMap::new(),
            unread: None,
            off: Duration::ZERO,
        };
        let mut reader = Points::new(format);
        for (index, message) in messages.iter().enumerate() {
            let own = message.record.timestamp_millis().and_then(Timestamp::from_millis);
            let mut points = 0;
            let read = reader.decode(message, &mut |point| {
                points += 1;
                seen.take(&point, own);
                Ok(())
            });
            if read.is_ok() && points > 0 {
                seen.messages += 1;
            } else {
                seen.unread.get_or_insert(index);
            }
        }
        seen
    }

    fn take(&mut self, point: &Point<'_>, own: Option<Timestamp>) {
        self.points += 1;
        let off = own.map_or(0, |own| own.nanos().abs_diff(point.timestamp.nanos()));
        self.off = self.off.saturating_add(Duration::from_nanos(off));
        keep(&mut self.measurements, &point.measurement);
        for (name, value) in &point.tags {
            if self.tags.len() < MOST || self.tags.contains_key(&**name) {
                keep(self.tags.entry(name.to_string()).or_default(), value);
            }
        }
    }
}

fn keep(known: &mut BTreeSet<String>, text: &str) {
    if known.len() < MOST && !known.contains(text) {
        known.insert(text.to_owned());
    }
}
