//! The results as `JUnit` XML, which every CI system reads.

use std::fmt::Write as _;

use super::{CaseResult, Suite};

/// A `testsuite` for each file.
pub(super) fn report(suites: &[Suite]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for Suite { file, results } in suites {
        let file = escaped(&file.display().to_string());
        let failures = results.iter().filter(|result| result.failure.is_some()).count();
        let seconds: f64 = results.iter().map(|result| result.seconds).sum();
        // Writing to a String can't fail.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" \
             skipped=\"0\" time=\"{seconds:.6}\">",
            results.len(),
        );
        for CaseResult { name, line, seconds, failure } in results {
            let name = escaped(name);
            let _ = write!(
                xml,
                "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{line}\" \
                 time=\"{seconds:.6}\"",
            );
            let _ = match failure {
                None => writeln!(xml, "/>"),
                Some(failure) => {
                    let message = escaped(failure.lines().next().unwrap_or_default());
                    let failure = escaped(failure);
                    writeln!(
                        xml,
                        ">\n      <failure message=\"{message}\">{failure}</failure>\n    </testcase>",
                    )
                }
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml + "</testsuites>\n"
}

/// Text for XML 1.0, which can't hold most control characters at all.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
