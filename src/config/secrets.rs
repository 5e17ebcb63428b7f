//! Which parts of a configuration file must never be shown.

use std::ops::Range;

use super::source::{Source, Span};
use super::tree::Node;

/// What the name of a key that holds a secret has in it.
const WORDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "private",
    "pem",
    "api_key",
    "apikey",
    "oauthbearer.config",
    "authorization",
    "basic_auth",
    // Any of them may carry a key.
    "headers",
];

/// Whether a key's value is a secret; slips of the pen count, because an error about `pasword`
/// prints its line.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let near = |part: &str| {
        (4..=20).contains(&part.len())
            && ["password", "secret", "token"]
                .iter()
                .any(|word| strsim::osa_distance(part, word) <= 2)
    };
    WORDS.iter().any(|word| key.contains(word)) || key.split(['.', '_', '-']).any(near)
}

/// The part of the text to mask for an entry: a secret's literal value. `path` leads to the mapping
/// that the entry stands in.
pub(super) fn of_entry(
    path: &[String],
    key: &str,
    key_span: Span,
    value: &Node,
    text: &str,
) -> Option<Range<usize>> {
    // The names below these two are the user's own, and their values are paths.
    let own_names = matches!(path, [point, names] if point == "point" && matches!(names.as_str(), "tags" | "fields"));
    let secret = !own_names
        && is_secret(key)
        && !value.scalar().is_some_and(|scalar| is_reference(&scalar.text));
    secret.then(|| {
        let start = value_start(key_span.end, value.span.end, text);
        // A block's span ends before the next key, that is, behind its indentation.
        let written = text.get(start..value.span.end).unwrap_or_default();
        start..start + written.trim_end().len()
    })
}

/// A value that only names where the secret is.
pub(super) fn is_reference(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(['}', '$']) && !inner.contains(":-"))
}

/// The first sign after the key's colon, so that a YAML tag or anchor is masked too: a secret may
/// begin with `!` or `&` by accident.
fn value_start(key_end: usize, value_end: usize, text: &str) -> usize {
    let rest = text.get(key_end..value_end).unwrap_or_default();
    key_end + rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', ':']).len()
}

/// An address with a user and password in it.
pub(super) fn holds_login(text: &str) -> bool {
    text.match_indices("://").any(|(at, separator)| {
        let rest = &text[at + separator.len()..];
        // Not only up to the next `/`: a password may hold one.
        rest.split(char::is_whitespace).next().is_some_and(|address| address.contains('@'))
    })
}

/// Masks by the look of the text, up to a line that YAML could not make sense of.
///
/// There is no tree to tell where a value ends, so this hides too much rather than too little.
pub(super) fn mask_by_look(source: &mut Source, last: usize) {
    let mut after = After::Nothing;
    for number in 1..=last {
        let (start, text) = source.line(number);
        let (end, blank) = (start + text.len(), text.trim().is_empty());
        let hidden = match after {
            After::Nothing => None,
            After::Quote => Some(start),
            After::Key(_) if !blank => Some(start),
            After::Key(indentation) | After::Value(indentation) => {
                (blank || indent(text) > indentation).then_some(start)
            }
        };
        if let Some(hidden) = hidden {
            source.mask(hidden..end);
            if let (After::Key(indentation), false) = (after, blank) {
                after = After::Value(indentation);
            }
        } else if let Some((from, then)) = secret_by_look(text) {
            after = then;
            source.mask(start + from..end);
        } else {
            after = After::Nothing;
            // A line of a longer text, whose key may be the very one that is misspelt.
            if !has_structure(text) {
                source.mask(start..end);
            }
        }
    }
}

/// What may go on in the lines that follow.
#[derive(Clone, Copy)]
enum After {
    Nothing,
    /// A secret's quoted value is open.
    Quote,
    /// A secret's key stood alone: the next line is its value, however it is indented.
    Key(usize),
    /// Lines that are indented more than this belong to a secret's value.
    Value(usize),
}

/// Where on a line a secret may begin, and how it may go on.
fn secret_by_look(text: &str) -> Option<(usize, After)> {
    let lower = text.to_ascii_lowercase();
    let found = WORDS.iter().filter_map(|word| lower.find(word).map(|at| at + word.len())).min();
    let Some(end) = found else {
        // A misspelt key, also one that a space has got into, or a login in an address.
        let joined: String = text.split_whitespace().collect();
        let suspect = text.split([' ', ':', '{', ',']).any(is_secret)
            || joined.split([':', '{', ',']).any(is_secret)
            || holds_login(text);
        return suspect.then_some((0, After::Value(indent(text))));
    };
    let rest = text[end..].trim_start_matches(['"', '\'']);
    let value = rest.trim_start_matches([':', ' ', '"', '\'']);
    let then = if rest.matches(['"', '\'']).count() % 2 == 1 {
        After::Quote
    } else if value.trim().is_empty() {
        After::Key(indent(text))
    } else {
        After::Value(indent(text))
    };
    Some((text.len() - value.len(), then))
}

/// Whether a line says by its own signs what it is in YAML.
fn has_structure(line: &str) -> bool {
    let line = line.trim();
    line.contains(": ")
        || line.ends_with(':')
        || line.starts_with("- ")
        || line.contains(['[', ']', '{', '}', '#'])
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn misspelt_secret_keys_count_as_secret() {
        for key in
            ["token", "tokn", "tokne", "Password", "sasl.password", "sasl.pasword", "ssl.key.pem"]
        {
            assert!(is_secret(key), "{key}");
        }
        for key in ["topics", "topic", "point", "url", "org", "bucket", "bootstrap.servers", "sink"]
        {
            assert!(!is_secret(key), "{key}");
        }
    }
}
