//! What is an anomaly.

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::rules::{memory, remembered};
use crate::config::check::point::{check_name, zone};
use crate::config::check::sink::Kind;
use crate::config::check::{At, Checker};
use crate::config::raw::{self, AnomalyMethod, DayOfWeek};
use crate::process::{Anomaly, Band, Bounds, Hours, Method, Names, Range, Usual};

pub(super) fn anomaly(
    raw: &raw::AnomalyRules,
    checker: &mut Checker<'_>,
    at: At<'_>,
    sink: Option<Kind>,
) -> Option<Anomaly> {
    refuse_keys(raw, checker, at);
    check_numbers(raw, checker, at);
    let names = names(raw, checker, at, sink);
    let method = match raw.method {
        AnomalyMethod::Bounds => return Some(Anomaly::beyond(bounds(raw, checker, at)?, names)),
        AnomalyMethod::Ewma => Method::Ewma { alpha: raw.alpha.unwrap_or(0.1) },
        AnomalyMethod::Robust => Method::Robust,
        AnomalyMethod::Change => Method::Change,
    };
    let (points, warmup) = (raw.points.unwrap_or(500), raw.warmup);
    if warmup.is_some_and(|warmup| warmup > points) {
        let message =
            format!("`warmup` is more than `points`, {points}: there would never be a score");
        checker.wrong(&[at, &["warmup"]].concat(), message);
    }
    let warmup = warmup.unwrap_or(20).min(points) as usize;
    let over = match &raw.over {
        Some(text) => memory("over", text, checker, at),
        None => Some(Duration::from_hours(1)),
    };
    let (points, series) = remembered(points, raw.max_series.unwrap_or(10_000), checker, at)?;
    let usual = Usual {
        method,
        warmup: NonZeroUsize::new(warmup)?,
        threshold: raw.threshold.unwrap_or(3.5),
        min_deviation: raw.min_deviation.unwrap_or(0.0),
    };
    Some(Anomaly::unusual(usual, names, over?, points, series))
}

fn names(
    raw: &raw::AnomalyRules,
    checker: &mut Checker<'_>,
    at: At<'_>,
    sink: Option<Kind>,
) -> Names {
    let (key, name) = raw.name.as_ref().map_or(("field", &raw.field), |name| ("name", name));
    let score = if name.is_empty() { String::new() } else { format!("{name}_score") };
    check_name("field", &score, checker, &[at, &[key]].concat(), sink);
    let bands = || raw.bands.iter();
    let has_low = raw.below.is_some() || bands().any(|band| band.below.is_some());
    let has_high = raw.above.is_some() || bands().any(|band| band.above.is_some());
    let is_bounds = raw.method == AnomalyMethod::Bounds;
    let side = |has: bool, end| (raw.band && (has || !is_bounds)).then(|| format!("{name}_{end}"));
    Names {
        field: raw.field.clone(),
        score,
        anomaly: format!("{name}_anomaly"),
        low: side(has_low, "low"),
        high: side(has_high, "high"),
    }
}

fn check_numbers(raw: &raw::AnomalyRules, checker: &mut Checker<'_>, at: At<'_>) {
    let above_zero = |number: f64| number > 0.0 && number.is_finite();
    let wrong = [
        ("threshold", raw.threshold.is_some_and(|n| !above_zero(n)), "must be more than 0"),
        ("min_deviation", raw.min_deviation.is_some_and(|n| n < 0.0), "can't be less than 0"),
        (
            "alpha",
            raw.alpha.is_some_and(|n| !above_zero(n) || n >= 1.0),
            "must be more than 0 and less than 1",
        ),
    ];
    for (key, _, why) in wrong.into_iter().filter(|(_, is_wrong, _)| *is_wrong) {
        checker.wrong(&[at, &[key]].concat(), format!("`{key}` {why}"));
    }
}

/// Keys that the method has no use for.
fn refuse_keys(raw: &raw::AnomalyRules, checker: &mut Checker<'_>, at: At<'_>) {
    let is_bounds = raw.method == AnomalyMethod::Bounds;
    let of_history = [
        ("over", raw.over.is_some()),
        ("points", raw.points.is_some()),
        ("warmup", raw.warmup.is_some()),
        ("threshold", raw.threshold.is_some()),
        ("min_deviation", raw.min_deviation.is_some()),
        ("max_series", raw.max_series.is_some()),
    ];
    let of_bounds = [
        ("above", raw.above.is_some()),
        ("below", raw.below.is_some()),
        ("bands", !raw.bands.is_empty()),
        ("zone", raw.zone.is_some()),
    ];
    let history = of_history.map(|(key, is_there)| (key, is_there && is_bounds));
    let bounds = of_bounds.map(|(key, is_there)| (key, is_there && !is_bounds));
    let alpha = [("alpha", raw.alpha.is_some() && raw.method != AnomalyMethod::Ewma)];
    for (keys, who) in [
        (&history[..], "`method: bounds` looks at no earlier points; leave this out"),
        (&bounds[..], "only `method: bounds` has this"),
        (&alpha[..], "only `method: ewma` has this"),
    ] {
        for (key, _) in keys.iter().filter(|(_, is_wrong)| *is_wrong) {
            checker.wrong_key(&[at, &[key]].concat(), who);
        }
    }
}

fn bounds(raw: &raw::AnomalyRules, checker: &mut Checker<'_>, at: At<'_>) -> Option<Bounds> {
    let otherwise = Range { above: raw.above, below: raw.below };
    check_range(otherwise, checker, at);
    if raw.above.is_none() && raw.below.is_none() && raw.bands.is_empty() {
        checker.missing(at, "no bounds: say `above`, `below` or `bands`");
    }
    let bands: Vec<_> = raw
        .bands
        .iter()
        .enumerate()
        .map(|(index, band)| {
            let index = index.to_string();
            let at = [at, &["bands", &index]].concat();
            let range = Range { above: band.above, below: band.below };
            check_range(range, checker, &at);
            let weekdays = band.weekdays.iter().map(|day| weekday(*day)).collect();
            let hours = match &band.hours {
                Some(text) => Some(hours(text, checker, &[&at, &["hours"][..]].concat())?),
                None => None,
            };
            Some(Band { hours, weekdays, range })
        })
        .collect();
    let zone = match &raw.zone {
        Some(name) => zone(name, checker, &[at, &["zone"]].concat()),
        None => Some(TimeZone::UTC),
    };
    Some(Bounds { bands: bands.into_iter().collect::<Option<_>>()?, otherwise, zone: zone? })
}

fn check_range(range: Range, checker: &mut Checker<'_>, at: At<'_>) {
    if let (Some(above), Some(below)) = (range.above, range.below)
        && above < below
    {
        let message = format!(
            "every value would be an anomaly: `above` is {above}, which is less than `below`, {below}"
        );
        checker.wrong(&[at, &["above"]].concat(), message);
    }
}

fn weekday(day: DayOfWeek) -> Weekday {
    match day {
        DayOfWeek::Mon => Weekday::Monday,
        DayOfWeek::Tue => Weekday::Tuesday,
        DayOfWeek::Wed => Weekday::Wednesday,
        DayOfWeek::Thu => Weekday::Thursday,
        DayOfWeek::Fri => Weekday::Friday,
        DayOfWeek::Sat => Weekday::Saturday,
        DayOfWeek::Sun => Weekday::Sunday,
    }
}

fn hours(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Hours> {
    let parts = text.split_once('-');
    let hours = parts.and_then(|(from, to)| Some(Hours { from: minute(from)?, to: minute(to)? }));
    if hours.is_none() {
        let message = format!(
            "{} are no hours; write `8-18`, or `06:30-22:00`, from when to before when",
            checker.shown(at)
        );
        checker.wrong(at, message);
    }
    hours
}

/// Of the day; `24` is its end.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
    let number = |text: &str| {
        let is_short = (1..=2).contains(&text.len());
        text.parse().ok().filter(|_| is_short && text.bytes().all(|b| b.is_ascii_digit()))
    };
    let (hour, minute): (u16, u16) = (number(hour)?, number(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= 24 * 60).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::minute;

    #[test]
    fn a_time_of_day_is_an_hour_or_an_hour_with_minutes() {
        for (text, expected) in [
            ("8", Some(480)),
            ("08", Some(480)),
            (" 06:30 ", Some(390)),
            ("24", Some(1440)),
            ("24:00", Some(1440)),
            ("24:01", None),
            ("25", None),
            ("7:60", None),
            ("7:", None),
            ("+7", None),
            ("007", None),
            ("", None),
        ] {
            assert_eq!(minute(text), expected, "{text}");
        }
    }
}
