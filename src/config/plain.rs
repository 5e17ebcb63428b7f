//! What an unquoted scalar is, by the rules of YAML 1.2's core schema.

/// The type of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean(bool),
    Integer(i128),
    /// Finite, infinite or not a number.
    Float(f64),
    Text,
}

impl Type {
    /// The type of an unquoted text.
    pub(super) fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" => Self::Boolean(true),
            "false" | "False" | "FALSE" => Self::Boolean(false),
            ".nan" | ".NaN" | ".NAN" => Self::Float(f64::NAN),
            _ => integer(text).or_else(|| float(text)).unwrap_or(Self::Text),
        }
    }
}

fn integer(text: &str) -> Option<Type> {
    let radix = |digits: &str, radix| {
        let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
        plain.then(|| i128::from_str_radix(digits, radix).ok()).flatten()
    };
    let number = if let Some(digits) = text.strip_prefix("0x") {
        radix(digits, 16)
    } else if let Some(digits) = text.strip_prefix("0o") {
        radix(digits, 8)
    } else {
        text.parse().ok()
    };
    number.map(Type::Integer)
}

fn float(text: &str) -> Option<Type> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
        return Some(Type::Float(sign * f64::INFINITY));
    }
    // Rust also reads `inf` and `nan`, which are words in YAML.
    let begins = unsigned.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.');
    begins.then(|| text.parse().ok()).flatten().map(Type::Float)
}

#[cfg(test)]
mod tests {
    use super::Type;

    #[test]
    fn unquoted_words_are_typed_as_yaml_1_2_says() {
        for (text, expected) in [
            ("12", Type::Integer(12)),
            ("+12", Type::Integer(12)),
            ("-0", Type::Integer(0)),
            ("0x1F", Type::Integer(31)),
            ("0o17", Type::Integer(15)),
            ("1.5", Type::Float(1.5)),
            (".5", Type::Float(0.5)),
            ("1e3", Type::Float(1000.0)),
            ("-.inf", Type::Float(f64::NEG_INFINITY)),
            ("true", Type::Boolean(true)),
            ("~", Type::Null),
        ] {
            assert_eq!(Type::of(text), expected, "{text}");
        }
        for text in
            ["no", "yes", "on", "inf", "nan", "1_000", "0x+1", "1s", ".", "-", "1.2.3", "e3"]
        {
            assert_eq!(Type::of(text), Type::Text, "{text}");
        }
    }
}
