//! Times of the command line.

/// A moment as people write it, in milliseconds since the epoch.
pub(super) fn millis(text: &str) -> Result<i64, String> {
    #[expect(clippy::disallowed_methods, reason = "the user speaks of the time of day")]
    let now = jiff::Timestamp::now();
    time_at(text, now)
}

fn time_at(text: &str, now: jiff::Timestamp) -> Result<i64, String> {
    let text = text.trim();
    let ago = text.strip_prefix('-').or_else(|| text.strip_suffix("ago"));
    if let Some(ago) = ago {
        let ago = humantime::parse_duration(ago.trim())
            .map_err(|error| format!("{error}; write it like `-1h` or `90m ago`"))?;
        let ago = i64::try_from(ago.as_millis()).map_err(|_| "too long ago".to_owned())?;
        return Ok(now.as_millisecond().saturating_sub(ago));
    }
    if text == "now" {
        return Ok(now.as_millisecond());
    }
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let civil: jiff::civil::DateTime = text.parse().map_err(|_| {
        "not a time; write it like `2026-11-24T08:00:00Z`, `2026-11-24`, `-1h` or `now`".to_owned()
    })?;
    let utc = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(utc.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_a_moment_or_so_long_ago() {
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = |text: &str| time_at(text, now).map(|millis| millis / 1000);
        let moment = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        assert_eq!(at("2026-11-24"), Ok(moment("2026-11-24T00:00:00Z")));
        assert_eq!(at("2026-11-24T08:00"), Ok(moment("2026-11-24T08:00:00Z")));
        assert_eq!(at("2026-11-24T08:00:00+02:00"), Ok(moment("2026-11-24T06:00:00Z")));
        assert_eq!(at("-90m"), Ok(moment("2026-11-24T10:30:00Z")));
        assert_eq!(at("2 days ago"), Ok(moment("2026-11-22T12:00:00Z")));
        assert_eq!(at("now"), Ok(moment("2026-11-24T12:00:00Z")));
        for wrong in ["", "yesterday", "-", "12", "-5 parsecs"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
