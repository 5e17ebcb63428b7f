//! Durations and sizes.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{At, Checker};

pub(super) fn duration(
    checker: &mut Checker<'_>,
    at: At<'_>,
    text: &str,
    range: RangeInclusive<Duration>,
) -> Option<Duration> {
    let shown = checker.shown(at);
    let Ok(duration) = humantime::parse_duration(text) else {
        let message = format!(
            "{shown} is not a duration; write a number and its unit, such as `200ms`, `1s` or `5m`"
        );
        checker.wrong(at, message);
        return None;
    };
    if !range.contains(&duration) {
        let (least, most) = (range.start(), range.end());
        let (least, most) = (humantime::format_duration(*least), humantime::format_duration(*most));
        checker.wrong(at, format!("{shown} is out of range: it must be from {least} to {most}"));
        return None;
    }
    Some(duration)
}

/// A batch of fewer bytes would be one point each; one of more would not fit the memory limit.
pub(super) const OF_A_BATCH: RangeInclusive<u64> = 1024..=64 * MIB;
/// A file of less would be one a batch.
pub(super) const OF_A_FILE: RangeInclusive<u64> = MIB..=1024 * 1024 * MIB;
const MIB: u64 = 1024 * 1024;

pub(super) fn bytes(
    checker: &mut Checker<'_>,
    at: At<'_>,
    text: &str,
    range: &RangeInclusive<u64>,
) -> Option<NonZeroU64> {
    let shown = checker.shown(at);
    let Some(bytes) = parse_bytes(text) else {
        let message = format!(
            "{shown} is not a size; write a whole number of bytes, or with a unit such as `500kB` \
             or `1MiB`"
        );
        checker.wrong(at, message);
        return None;
    };
    if !range.contains(&bytes) {
        let (least, most) = (binary(*range.start()), binary(*range.end()));
        checker.wrong(at, format!("{shown} is out of range: it must be from {least} to {most}"));
        return None;
    }
    NonZeroU64::new(bytes)
}

/// In the largest unit that it is a whole number of.
fn binary(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = |(shift, _): &(u32, &str)| bytes.trailing_zeros() >= *shift;
    let unit = units.into_iter().find(fits);
    unit.map_or_else(|| format!("{bytes}B"), |(shift, name)| format!("{}{name}", bytes >> shift))
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match text[digits..].trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000 * 1000,
        "gb" => 1000 * 1000 * 1000,
        "kib" => 1024,
        "mib" => 1024 * 1024,
        "gib" => 1024 * 1024 * 1024,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes_are_decimal_or_binary() {
        for (text, expected) in [
            ("1048576", Some(1_048_576)),
            ("1MiB", Some(1_048_576)),
            ("500kB", Some(500_000)),
            ("2 kib", Some(2048)),
            ("7B", Some(7)),
            ("1M", None),
            ("-1", None),
            ("1.5MiB", None),
            ("", None),
            ("MiB", None),
            ("99999999999999999999", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
