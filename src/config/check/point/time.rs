//! Where a point's time comes from.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::Rule;
use crate::config::check::{At, Checker};
use crate::config::error::quoted;
use crate::config::raw;
use crate::map::{Source, Spread, TimeSource};

const FORMATS: &str = "`rfc3339`, or strftime's notation, such as `%Y-%m-%d %H:%M:%S%.f`";

impl Rule<'_, '_> {
    /// How points of one time are kept apart.
    pub(super) fn spread(&mut self, rule: Option<&raw::TimestampRule>) -> Option<Spread> {
        let raw::Disambiguate::Offset = rule.and_then(|rule| rule.disambiguate)?;
        let room = match rule.and_then(|rule| rule.unit) {
            Some(raw::TimeUnit::S) => 1_000_000_000,
            Some(raw::TimeUnit::Us) => 1_000,
            Some(raw::TimeUnit::Ns) => 1,
            // The record's own time has milliseconds, and so has text mostly.
            Some(raw::TimeUnit::Ms) | None => 1_000_000,
        };
        let step = self.precision;
        if step >= room {
            let at = [self.at, &["timestamp", "disambiguate"]].concat();
            let message = "the time leaves no digit unused that the database keeps; a finer \
                           `precision` in `sink.influxdb` may (Prometheus keeps milliseconds)";
            self.checker.wrong_key(&at, message);
            return None;
        }
        Some(Spread { room, step })
    }

    pub(super) fn timestamp(&mut self, rule: &raw::TimestampRule) -> Option<TimeSource> {
        let at = &[self.at, &["timestamp"]].concat();
        let below = |key| [at, &[key][..]].concat();
        let of_record = rule.path.is_none() && rule.header.is_none();
        if of_record && rule.disambiguate.is_some() && rule.unit.is_none() && rule.format.is_none()
        {
            return Some(TimeSource::Record);
        }
        let source = match (&rule.path, &rule.header) {
            (Some(text), None) => self.path(text, &below("path")),
            (None, Some(name)) => Some(Source::Header(name.clone())),
            (None, None) => {
                self.checker.missing(
                    at,
                    "no source: `path` or `header` is needed; for the record's own time leave \
                     `timestamp` out",
                );
                None
            }
            (Some(_), Some(_)) => {
                let message = "`path` is given, too; keep one of them";
                self.checker.wrong_key(&below("header"), message);
                None
            }
        };
        let zone = rule.zone.as_ref().map(|name| zone(name, self.checker, &below("zone")));
        let is_pattern = rule.format.as_ref().is_some_and(|format| format != "rfc3339");
        if rule.zone.is_some() && !is_pattern {
            let message = "only a `format` in strftime's notation has a zone; numbers and RFC 3339 \
                           say theirs";
            self.checker.wrong_key(&below("zone"), message);
        }
        match (rule.unit, &rule.format) {
            (Some(unit), None) => Some(TimeSource::Number { source: source?, unit }),
            (None, Some(format)) if format == "rfc3339" => {
                Some(TimeSource::Rfc3339 { source: source? })
            }
            (None, Some(format)) => {
                self.check_format(format, &below("format"))?;
                let zone = zone.unwrap_or(Some(TimeZone::UTC))?;
                Some(TimeSource::Format { source: source?, format: format.clone(), zone })
            }
            (None, None) => {
                self.checker.missing(
                    at,
                    "say `unit: s`, `ms`, `us` or `ns` for a number, or `format: rfc3339` for text; \
                     it is never guessed, because seconds that are read as milliseconds land in \
                     January 1970, and nobody notices",
                );
                None
            }
            (Some(_), Some(_)) => {
                let message = "`unit` is for numbers and `format` for text; keep one of them";
                self.checker.wrong_key(&below("format"), message);
                None
            }
        }
    }

    /// A pattern is right if it reads what it writes.
    fn check_format(&mut self, format: &str, at: At<'_>) -> Option<()> {
        let moment = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let written = strtime::format(format, &moment);
        let why = if format.contains('%') {
            match written.and_then(|text| strtime::parse(format, text)) {
                Ok(read) if read.to_datetime().is_ok() || read.to_timestamp().is_ok() => {
                    return Some(());
                }
                Ok(_) => "it has no whole date".to_owned(),
                Err(error) => error.to_string(),
            }
        } else {
            "it has no `%`".to_owned()
        };
        let message = format!("{} is no format of a time: {why}; write {FORMATS}", quoted(format));
        self.checker.wrong(at, message);
        None
    }
}

/// A time zone by its name.
pub(in crate::config::check) fn zone(
    name: &str,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<TimeZone> {
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        let message = format!("{} is no time zone; write it like `Europe/Berlin`", quoted(name));
        checker.wrong(at, message);
    }
    zone
}
