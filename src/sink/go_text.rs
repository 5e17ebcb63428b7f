//! Texts as Go prints them (`strconv.Quote`): databases that are written in Go name points so.

/// The text of a quoted string, and what follows it: `None` when its end is cut off.
pub(super) fn unquote(quoted: &str) -> Option<(Vec<u8>, Option<&str>)> {
    let mut text = Vec::new();
    let mut rest = quoted.strip_prefix('"')?;
    loop {
        let Some(at) = rest.find(['"', '\\']) else {
            text.extend_from_slice(rest.as_bytes());
            return Some((text, None));
        };
        text.extend_from_slice(&rest.as_bytes()[..at]);
        if rest.as_bytes()[at] == b'"' {
            return Some((text, Some(&rest[at + 1..])));
        }
        let Some((bytes, len)) = escape(&rest[at + 1..]) else {
            // An escape that is cut off, or that Go doesn't write.
            return Some((text, None));
        };
        text.extend_from_slice(&bytes);
        rest = &rest[at + 1 + len..];
    }
}

/// What follows a backslash: the bytes that it stands for, and its length.
fn escape(text: &str) -> Option<(Vec<u8>, usize)> {
    let hex = |digits: usize| u32::from_str_radix(text.get(1..=digits)?, 16).ok();
    let char = |digits| {
        let char = char::from_u32(hex(digits)?)?;
        Some((char.to_string().into_bytes(), 1 + digits))
    };
    let byte = match text.bytes().next()? {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        byte @ (b'\\' | b'"' | b'\'') => byte,
        b'x' => return Some((vec![u8::try_from(hex(2)?).ok()?], 3)),
        b'u' => return char(4),
        b'U' => return char(8),
        _ => return None,
    };
    Some((vec![byte], 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(quoted: &str, text: &[u8], rest: Option<&str>) {
        assert_eq!(unquote(quoted), Some((text.to_vec(), rest)), "{quoted}");
    }

    #[test]
    fn a_quoted_text_is_read_with_every_escape_that_go_writes() {
        check(r#""": end"#, b"", Some(": end"));
        check(r#""a \"b\" \\ c" x"#, br#"a "b" \ c"#, Some(" x"));
        check(r#""\a\b\f\n\r\t\v\x7f""#, b"\x07\x08\x0c\n\r\t\x0b\x7f", Some(""));
        check(r#""é\u00ad\U000e0001""#, "é\u{ad}\u{e0001}".as_bytes(), Some(""));
        check(r#""\xff""#, b"\xff", Some(""));
        assert_eq!(unquote("no quote"), None);
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_goes() {
        check(r#""some te"#, b"some te", None);
        for cut in [r#""a\"#, r#""a\u00"#, r#""a\x4"#, r#""a\U0001f60"#, r#""a\uD800""#, r#""a\é"#]
        {
            check(cut, b"a", None);
        }
    }
}
