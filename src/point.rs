//! A point: one measurement's fields, of one set of tags, at one time.

use std::borrow::Cow;

use std::time::Duration;

use crate::words::has_letter;

/// A point on its way from a record to a batch; borrows from both the record and the mapping plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<'a> {
    /// Never empty.
    pub measurement: Cow<'a, str>,
    /// Names are unique and sorted bytewise; values are never empty.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// At least one; names are unique.
    pub fields: Vec<(Cow<'a, str>, Value<'a>)>,
    pub timestamp: Timestamp,
    /// The key of its [destination](crate::route::Destination); empty where all go to one place.
    pub to: Cow<'a, str>,
}

impl Point<'_> {
    /// The same point with memory of its own. A float that was spelled becomes a number.
    pub fn into_owned(self) -> Point<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Point {
            measurement: own(self.measurement),
            tags: self.tags.into_iter().map(|(name, value)| (own(name), own(value))).collect(),
            fields: self
                .fields
                .into_iter()
                .map(|(name, value)| (own(name), value.into_owned()))
                .collect(),
            timestamp: self.timestamp,
            to: own(self.to),
        }
    }
}

impl<'a> Point<'a> {
    /// The value of the tag of this name.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let place = self.tags.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(&self.tags[place].1)
    }

    /// The value of the field of this name.
    pub fn field(&self, name: &str) -> Option<&Value<'a>> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Float(Float<'a>),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    String(Cow<'a, str>),
    /// The end of a series, which the message says expressly. Only where the sink is set so.
    Stale,
    /// Only where the sink takes such.
    NotFinite(NotFinite),
}

impl Value<'_> {
    /// The same value with memory of its own. A float that was spelled becomes a number.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Float(float) => Value::Float(Float::Number(float.to_f64())),
            Self::Integer(number) => Value::Integer(number),
            Self::Unsigned(number) => Value::Unsigned(number),
            Self::Boolean(boolean) => Value::Boolean(boolean),
            Self::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Self::Stale => Value::Stale,
            Self::NotFinite(number) => Value::NotFinite(number),
        }
    }
}

/// A value of a field whose name and type are known already.
#[derive(Debug, Clone, Copy)]
pub enum KnownValue<'a> {
    /// A finite float or an integer, as its digits.
    Spelled(&'a str),
    Value(&'a Value<'a>),
}

impl<'a> KnownValue<'a> {
    #[inline]
    pub fn of(value: &'a Value<'a>) -> Self {
        match value {
            Value::Float(Float::Text(text)) => Self::Spelled(text),
            other => Self::Value(other),
        }
    }
}

impl Value<'_> {
    /// Drops it, for who collects the memory of values for others: the standard library does that in place.
    #[inline]
    pub(crate) fn discarded<'b>(self) -> Option<Value<'b>> {
        // Of the rest there is nothing to drop, which costs no call to find out.
        if matches!(self, Self::String(_)) {
            drop(self);
        } else {
            std::mem::forget(self);
        }
        None
    }
}

/// A floating-point number that is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFinite {
    Nan,
    Infinity,
    NegativeInfinity,
}

impl NotFinite {
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Nan => f64::NAN,
            Self::Infinity => f64::INFINITY,
            Self::NegativeInfinity => f64::NEG_INFINITY,
        }
    }
}

/// A number as the message spells it, in JSON's grammar (never `NaN`, `+1`, `.5`), of any length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number<'a> {
    text: &'a str,
    /// Known without parsing.
    is_finite: bool,
}

impl<'a> Number<'a> {
    /// Of a text in which no exponent was found.
    #[inline]
    pub(crate) fn without_exponent(text: &'a str) -> Self {
        // 300 characters can't reach the largest finite f64 (1.8e308).
        Self { text, is_finite: text.len() < 300 }
    }

    #[inline]
    pub fn text(self) -> &'a str {
        self.text
    }

    /// As a float; `None` if it overflows to infinity.
    #[inline]
    pub fn float(self) -> Option<Float<'a>> {
        (self.is_finite || self.text.parse::<f64>().is_ok_and(f64::is_finite))
            .then_some(Float::Text(self.text))
    }
}

impl<'a> From<&'a str> for Number<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        if has_letter(text.as_bytes(), b'e') {
            return Self { text, is_finite: false };
        }
        Self::without_exponent(text)
    }
}

/// A finite floating-point number, either as the message spelled it or computed.
///
/// The spelled form is kept because copying a number's text into line protocol is several times
/// cheaper than parsing and printing it, and keeps every digit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Float<'a> {
    /// A number in JSON's grammar that is known to be finite as an `f64`.
    Text(&'a str),
    /// Finite.
    Number(f64),
}

impl<'a> Float<'a> {
    /// Takes a number's text, in JSON's grammar. `None` if it overflows to infinity.
    pub fn from_text(text: &'a str) -> Option<Self> {
        Number::from(text).float()
    }

    /// Takes a computed number. `None` if it is not finite: no database stores NaN or infinity.
    pub fn from_number(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Number(number))
    }

    /// The number's value.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Text(text) => {
                short_decimal(text).unwrap_or_else(|| text.parse().unwrap_or(f64::NAN))
            }
            Self::Number(number) => number,
        }
    }
}

/// The number that a short text without an exponent spells: several times faster than to parse any.
///
/// Digits up to 2⁵³ are an `f64` as they are, and so are the powers of ten up to 10²². One division of the two is
/// rounded once, which is what parsing gives (Clinger, "How to read floating point numbers accurately").
fn short_decimal(text: &str) -> Option<f64> {
    static POWERS: [f64; 19] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18,
    ];
    let (is_negative, text) = match text.as_bytes() {
        [b'-', text @ ..] => (true, text),
        text => (false, text),
    };
    // So many digits don't overflow.
    if text.len() > POWERS.len() {
        return None;
    }
    let (mut digits, mut rest) = (0, text);
    take_digits(&mut digits, &mut rest);
    let mut behind_point = 0;
    if let [b'.', fraction @ ..] = rest {
        (rest, behind_point) = (fraction, fraction.len());
        take_digits(&mut digits, &mut rest);
    }
    let has_digits = text.len() > usize::from(text.first() == Some(&b'.'));
    if !rest.is_empty() || !has_digits || digits > 1 << f64::MANTISSA_DIGITS {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "none up to 2⁵³")]
    let number = digits as f64 / POWERS.get(behind_point)?;
    Some(if is_negative { -number } else { number })
}

/// Adds the digits that a text begins with to a number, and leaves what follows.
#[inline]
fn take_digits(number: &mut u64, text: &mut &[u8]) {
    while let [byte, rest @ ..] = *text
        && byte.is_ascii_digit()
    {
        *number = *number * 10 + u64::from(byte - b'0');
        *text = rest;
    }
}

/// Nanoseconds since 1970-01-01T00:00:00Z, within what every database can hold (years 1677–2262).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// InfluxDB reserves the two lowest and the highest value of the range
    /// (`models.MinNanoTime`, `models.MaxNanoTime` of influxdb's main-2.x).
    const MIN: i64 = i64::MIN + 2;
    const MAX: i64 = i64::MAX - 1;

    /// 1970-01-01T00:00:00Z.
    pub(crate) const EPOCH: Self = Self(0);

    /// `None` when out of range.
    pub fn from_nanos(nanos: i128) -> Option<Self> {
        i64::try_from(nanos).ok().filter(|n| (Self::MIN..=Self::MAX).contains(n)).map(Self)
    }

    /// `None` when out of range.
    pub fn from_millis(millis: i64) -> Option<Self> {
        Self::from_nanos(i128::from(millis) * 1_000_000)
    }

    pub fn nanos(self) -> i64 {
        self.0
    }

    /// This much later; the latest time there is where that is out of range.
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos).min(Self::MAX))
    }

    /// This much earlier; the earliest time there is where that is out of range.
    pub fn minus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(nanos).max(Self::MIN))
    }

    /// Rounded towards the past, also before 1970.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

        #[test]
        fn a_short_decimal_is_what_parsing_it_gives(
            text in prop_oneof![
                "-?[0-9]{1,4}\\.[0-9]{1,6}",
                "-?[0-9]{0,12}\\.?[0-9]{0,12}",
                "-?90071992547409[89][0-9]\\.?[0-9]{0,2}",
                "[0-9.eE+-]{0,6}",
            ],
        ) {
            if let Some(number) = short_decimal(&text) {
                prop_assert_eq!(text.parse().map(f64::to_bits), Ok(number.to_bits()));
            }
        }
    }

    #[test]
    fn common_numbers_are_short_decimals() {
        for text in ["0", "-0", "23.75", "-1013.25", "0.0001", "1700000000000", "9007199254740992"]
        {
            assert!(short_decimal(text).is_some(), "{text}");
        }
        for text in ["", "-", ".", "1e3", "1.2.3", "9007199254740993", "0.12345678901234567890"] {
            assert!(short_decimal(text).is_none(), "{text}");
        }
    }
}
