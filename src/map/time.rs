//! A message's value as a point in time.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::convert::{Input, excerpt};
use crate::config::raw::TimeUnit;
use crate::point::Timestamp;
use crate::words::eight_digits;

/// Reads a number, or text that spells one, in the unit.
pub(super) fn from_number(input: &Input<'_>, unit: TimeUnit) -> Result<Timestamp, String> {
    let nanos = match input {
        Input::Number(text) => nanos_of(text, unit),
        Input::Integer(number) => Some(i128::from(*number) * i128::from(scale(unit))),
        Input::Unsigned(number) => Some(i128::from(*number) * i128::from(scale(unit))),
        Input::Float(number) => nanos_of(&number.to_string(), unit),
        Input::Text(text) | Input::Untyped(text) => nanos_of(text.trim(), unit),
        Input::Nothing => return Err("there is no value".into()),
        Input::Boolean(_) => return Err("found a boolean, not a number".into()),
    };
    let number = nanos.ok_or_else(|| format!("{} is not a number in range", shown(input)))?;
    in_range(number, input)
}

/// Reads what most numbers are: digits alone, of a time in range.
#[inline]
pub(super) fn from_digits(text: &str, unit: TimeUnit) -> Option<Timestamp> {
    Timestamp::from_nanos(i128::from(whole_nanos(text, unit)?))
}

/// Reads RFC 3339 text.
pub(super) fn from_rfc3339(input: &Input<'_>) -> Result<Timestamp, String> {
    match input {
        Input::Text(text) | Input::Untyped(text) => {
            let parsed: jiff::Timestamp = text.trim().parse().map_err(|_| {
                format!(
                    "{} is not an RFC 3339 time with a zone, such as 2026-11-22T10:00:00Z",
                    shown(input)
                )
            })?;
            in_range(parsed.as_nanosecond(), input)
        }
        Input::Nothing => Err("there is no value".into()),
        _ => Err(format!("found {}, not text; for a number, declare its unit", shown(input))),
    }
}

/// Reads text in strftime's notation; without an offset in it, it is of this zone. A local time that a
/// change of the clocks repeats is the first of the two; one that it skips counts from before the change.
pub(super) fn from_format(
    input: &Input<'_>,
    format: &str,
    zone: &TimeZone,
) -> Result<Timestamp, String> {
    let Some(text) = input.text() else {
        return Err("there is no value".into());
    };
    let read = strtime::parse(format, text.trim()).and_then(|parsed| {
        if parsed.offset().is_some() || parsed.timestamp().is_some() {
            return parsed.to_timestamp();
        }
        Ok(parsed.to_datetime()?.to_zoned(zone.clone())?.timestamp())
    });
    let read = read.map_err(|error| format!("{}: {error}", shown(input)))?;
    in_range(read.as_nanosecond(), input)
}

fn in_range(nanos: i128, input: &Input<'_>) -> Result<Timestamp, String> {
    Timestamp::from_nanos(nanos)
        .ok_or_else(|| format!("{} is outside the years 1677 to 2262", shown(input)))
}

fn shown(input: &Input<'_>) -> String {
    match input {
        Input::Number(text) => excerpt(text),
        Input::Text(text) | Input::Untyped(text) => format!("{:?}", excerpt(text)),
        Input::Integer(number) => number.to_string(),
        Input::Unsigned(number) => number.to_string(),
        Input::Float(number) => number.to_string(),
        Input::Boolean(boolean) => boolean.to_string(),
        Input::Nothing => "nothing".into(),
    }
}

/// The nanoseconds of a decimal number in the unit, exactly: through an `f64`, seconds of today with
/// nine decimals would lose their last three. What is finer than a nanosecond is cut off towards
/// the past.
pub(crate) fn nanos_of(text: &str, unit: TimeUnit) -> Option<i128> {
    whole_nanos(text, unit).map(i128::from).or_else(|| decimal_nanos(text, unit))
}

/// The same of what most messages have: digits alone, of a time in range.
#[inline]
fn whole_nanos(text: &str, unit: TimeUnit) -> Option<i64> {
    whole_number(text.as_bytes())?.checked_mul(scale(unit))
}

/// How many nanoseconds the unit is.
#[inline]
fn scale(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::S => 1_000_000_000,
        TimeUnit::Ms => 1_000_000,
        TimeUnit::Us => 1_000,
        TimeUnit::Ns => 1,
    }
}

/// What digits alone spell. `None` of so many that the number might not fit.
#[inline]
fn whole_number(digits: &[u8]) -> Option<i64> {
    const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
    const POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
    const MOST: usize = 18;
    if digits.is_empty() || digits.len() > MOST {
        return None;
    }
    let (mut number, mut rest) = (0, digits);
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        number = number * 100_000_000 + eight_digits(*eight)?;
        rest = behind;
    }
    if rest.is_empty() {
        return Some(number.cast_signed());
    }
    // The last eight bytes, with zeros in the place of those that are read already, or that are not there.
    let known = 8 * (8 - rest.len());
    let last = match digits.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last) >> known << known,
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)) << known,
    };
    let zeros = ZEROS & !(u64::MAX << known);
    let last = eight_digits((last | zeros).to_le_bytes())?;
    Some((number * POWERS[rest.len()] + last).cast_signed())
}

/// How many decimals of the unit are a nanosecond.
fn power_of(unit: TimeUnit) -> u32 {
    match unit {
        TimeUnit::S => 9,
        TimeUnit::Ms => 6,
        TimeUnit::Us => 3,
        TimeUnit::Ns => 0,
    }
}

fn decimal_nanos(text: &str, unit: TimeUnit) -> Option<i128> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() {
        return None;
    }
    let mut digits: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = char::from(byte).to_digit(10)?;
        digits = digits.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    if negative {
        digits = -digits;
    }
    let fraction_digits = i32::try_from(fraction.len()).ok()?;
    let power = power_of(unit).cast_signed() + exponent.checked_sub(fraction_digits)?;
    let scale = 10i128.checked_pow(power.unsigned_abs());
    match (power >= 0, scale) {
        (true, Some(scale)) => digits.checked_mul(scale),
        (false, Some(scale)) => Some(digits.div_euclid(scale)),
        (true, None) => (digits == 0).then_some(0),
        (false, None) => Some(if digits < 0 { -1 } else { 0 }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_whole_number_is_the_time_that_its_digits_are(number in any::<i64>(), shift in 0..63_u32) {
            let (number, large) = (number >> shift, number.cast_unsigned());
            for unit in [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns] {
                let text = number.to_string();
                let spelled = from_number(&Input::Number(&text), unit);
                prop_assert_eq!(from_number(&Input::Integer(number), unit), spelled);
                let text = large.to_string();
                let spelled = from_number(&Input::Number(&text), unit);
                prop_assert_eq!(from_number(&Input::Unsigned(large), unit), spelled);
            }
        }

        #[test]
        fn the_short_way_for_whole_numbers_is_the_long_way(text in "[-+]?[0-9]{0,20}[.e]?[0-9]{0,2}") {
            for unit in [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns] {
                if let Some(nanos) = whole_nanos(&text, unit) {
                    prop_assert_eq!(Some(i128::from(nanos)), decimal_nanos(&text, unit));
                }
                if let Some(time) = from_digits(&text, unit) {
                    prop_assert_eq!(from_number(&Input::Number(&text), unit), Ok(time));
                }
            }
        }
    }

    #[test]
    fn decimals_keep_every_nanosecond() {
        assert_eq!(nanos_of("1718000000.123456789", TimeUnit::S), Some(1_718_000_000_123_456_789));
        assert_eq!(nanos_of("1718000000123.456789", TimeUnit::Ms), Some(1_718_000_000_123_456_789));
        assert_eq!(nanos_of("1718000000", TimeUnit::S), Some(1_718_000_000_000_000_000));
        assert_eq!(nanos_of("1.718e9", TimeUnit::S), Some(1_718_000_000_000_000_000));
        assert_eq!(nanos_of("17180000000E-1", TimeUnit::S), Some(1_718_000_000_000_000_000));
    }

    #[test]
    fn what_is_finer_than_a_nanosecond_is_cut_off_towards_the_past() {
        assert_eq!(nanos_of("1.9", TimeUnit::Ns), Some(1));
        assert_eq!(nanos_of("-1.1", TimeUnit::Ns), Some(-2));
    }

    #[test]
    fn what_is_not_a_number_is_none() {
        for text in ["", "-", ".5", "1_000", "0x10", "1e", "1e99999999999", "abc", "١٢"] {
            assert_eq!(nanos_of(text, TimeUnit::Ms), None, "{text}");
        }
    }

    #[test]
    fn numbers_without_end_overflow_to_none_and_not_to_a_panic() {
        assert_eq!(nanos_of(&"9".repeat(400), TimeUnit::S), None);
        assert_eq!(nanos_of("1e400", TimeUnit::S), None);
        assert_eq!(nanos_of("1e-400", TimeUnit::S), Some(0));
        assert_eq!(nanos_of("0e400", TimeUnit::S), Some(0));
    }
}
