//! Go's layouts of times, such as `2006-01-02 15:04:05`, in strftime's notation.

/// Longer ones first where one begins like another.
const PARTS: [(&str, &str); 26] = [
    ("2006", "%Y"),
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("Z07:00", "%:z"),
    ("-07:00", "%:z"),
    ("Z0700", "%z"),
    ("-0700", "%z"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("15", "%H"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("002", "%j"),
    ("PM", "%p"),
    ("pm", "%p"),
    ("MST", "\0"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// `None` for one that has no counterpart, such as a zone by its abbreviation.
pub(super) fn strftime(layout: &str) -> Option<String> {
    let (mut rest, mut format) = (layout, String::new());
    while let Some(next) = rest.chars().next() {
        let digits =
            rest[1.min(rest.len())..].len() - rest.get(1..)?.trim_start_matches(['0', '9']).len();
        if matches!(next, '.' | ',') && digits > 0 && format.ends_with("%S") {
            // Any number of digits, as Go takes it.
            format.push_str(if next == '.' { "%.f" } else { return None });
            rest = &rest[1 + digits..];
        } else if let Some((part, own)) = PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            if *own == "\0" {
                return None;
            }
            format.push_str(own);
            rest = &rest[part.len()..];
        } else {
            format.push_str(if next == '%' { "%%" } else { &rest[..next.len_utf8()] });
            rest = &rest[next.len_utf8()..];
        }
    }
    // What has no year is no time.
    (format.contains("%Y") || format.contains("%y")).then_some(format)
}

#[cfg(test)]
mod tests {
    use super::strftime;

    #[test]
    fn a_layout_of_go_reads_the_same_text() {
        for (layout, format) in [
            ("2006-01-02 15:04:05", "%Y-%m-%d %H:%M:%S"),
            ("2006-01-02 15:04:05.000", "%Y-%m-%d %H:%M:%S%.f"),
            ("2006-01-02T15:04:05.999999999-07:00", "%Y-%m-%dT%H:%M:%S%.f%:z"),
            ("Mon Jan _2 15:04:05 2006", "%a %b %e %H:%M:%S %Y"),
            ("1/2/06 3:04 PM", "%-m/%-d/%y %-I:%M %p"),
        ] {
            assert_eq!(strftime(layout).as_deref(), Some(format), "{layout}");
        }
        for layout in ["Mon Jan _2 15:04:05 MST 2006", "ansic", "15:04"] {
            assert_eq!(strftime(layout), None, "{layout}");
        }
    }
}
