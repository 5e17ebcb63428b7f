//! Bounds that are known beforehand, perhaps others at other hours.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::Judgement;
use crate::point::Timestamp;

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// The first that fits the time counts; none of them, and `otherwise` does.
    pub bands: Vec<Band>,
    pub otherwise: Range,
    /// In which the hours and weekdays are.
    pub zone: TimeZone,
}

/// Bounds of some hours on some weekdays.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// All day, if unset.
    pub hours: Option<Hours>,
    /// Every day, if empty.
    pub weekdays: Vec<Weekday>,
    pub range: Range,
}

/// Values that are no anomaly. Unset: there is no bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// A greater one is.
    pub above: Option<f64>,
    /// A smaller one is.
    pub below: Option<f64>,
}

/// A part of the day, in minutes since midnight: with `from`, without `to`; over midnight where `to` is
/// not after `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub from: u16,
    pub to: u16,
}

impl Bounds {
    /// The score is how far the value is beyond its bound, in its own unit.
    pub(super) fn judge(&self, time: Timestamp, value: f64) -> Judgement {
        let usual = *self.range(time);
        let score = usual.beyond(value);
        Judgement { score, is_anomaly: score != 0.0, usual }
    }

    fn range(&self, time: Timestamp) -> &Range {
        let Some(time) = self.local(time) else { return &self.otherwise };
        let minute = u16::try_from(time.hour()).unwrap_or(0) * 60
            + u16::try_from(time.minute()).unwrap_or(0);
        let fits = |band: &&Band| {
            band.hours.is_none_or(|hours| hours.have(minute))
                && (band.weekdays.is_empty() || band.weekdays.contains(&time.weekday()))
        };
        self.bands.iter().find(fits).map_or(&self.otherwise, |band| &band.range)
    }

    /// `None` without bands, of which it would be found.
    fn local(&self, time: Timestamp) -> Option<jiff::Zoned> {
        if self.bands.is_empty() {
            return None;
        }
        let time = jiff::Timestamp::from_nanosecond(i128::from(time.nanos())).ok()?;
        Some(time.to_zoned(self.zone.clone()))
    }
}

impl Range {
    fn beyond(&self, value: f64) -> f64 {
        match (self.above, self.below) {
            (Some(above), _) if value > above => value - above,
            (_, Some(below)) if value < below => value - below,
            _ => 0.0,
        }
    }
}

impl Hours {
    fn have(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_nanos(time.as_nanosecond()).unwrap()
    }

    fn bounds() -> Bounds {
        let range = |below, above| Range { above, below };
        let weekend = vec![Weekday::Saturday, Weekday::Sunday];
        let work = Some(Hours { from: 8 * 60, to: 18 * 60 });
        Bounds {
            bands: vec![
                Band { hours: None, weekdays: weekend, range: range(None, Some(10.0)) },
                Band { hours: work, weekdays: Vec::new(), range: range(Some(50.0), None) },
            ],
            otherwise: range(Some(0.0), Some(20.0)),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        }
    }

    #[test]
    fn the_first_band_that_fits_says_the_bounds_and_the_score_is_how_far_beyond() {
        let cases = [
            // A Thursday; in Berlin two hours more.
            ("2026-07-02T05:59:00Z", 30.0, 10.0),
            ("2026-07-02T06:00:00Z", 30.0, -20.0),
            ("2026-07-02T15:59:59Z", 30.0, -20.0),
            ("2026-07-02T16:00:00Z", 30.0, 10.0),
            ("2026-07-02T16:00:00Z", -1.0, -1.0),
            ("2026-07-02T16:00:00Z", 20.0, 0.0),
            // In winter one hour more.
            ("2026-01-08T06:59:00Z", 30.0, 10.0),
            ("2026-01-08T07:00:00Z", 30.0, -20.0),
            // A Saturday, of which the first band is.
            ("2026-07-04T10:00:00Z", 30.0, 20.0),
            ("2026-07-04T10:00:00Z", -99.0, 0.0),
            // Already Saturday in Berlin.
            ("2026-07-03T22:30:00Z", 30.0, 20.0),
        ];
        for (time, value, score) in cases {
            let Judgement { score: found, is_anomaly, usual } = bounds().judge(at(time), value);
            assert_eq!((found, is_anomaly), (score, score != 0.0), "{time} {value}");
            let above = usual.above.is_some_and(|above| value > above);
            let below = usual.below.is_some_and(|below| value < below);
            assert_eq!(above || below, is_anomaly, "{time} {value}: {usual:?}");
        }
    }

    #[test]
    fn hours_go_over_midnight() {
        let night = Hours { from: 22 * 60, to: 6 * 60 };
        assert!([22 * 60, 23 * 60, 0, 359].into_iter().all(|minute| night.have(minute)));
        assert!([360, 720, 22 * 60 - 1].into_iter().all(|minute| !night.have(minute)));
        assert!(Hours { from: 0, to: 24 * 60 }.have(24 * 60 - 1));
        assert!((0..24 * 60).all(|minute| Hours { from: 60, to: 60 }.have(minute)), "all day");
    }
}
