//! Templates: text with `{{ … }}` in it.

use super::point::{Within, of_element};
use super::{At, Checker};
use crate::config::error::{nearest, quoted};
use crate::map::{Piece, Source, Template};
use crate::path::Path;

/// What may stand between `{{` and `}}`.
const NAMES: [&str; 7] =
    ["topic", "partition", "offset", "key", "timestamp", "header.NAME", "value.PATH"];

/// What is wrong, and at which byte of the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) message: String,
}

fn wrong(at: usize, message: impl Into<String>) -> Wrong {
    Wrong { at, message: message.into() }
}

/// Reads a template over the record; text without a placeholder is one, too.
pub(super) fn parse(text: &str) -> Result<Template, Vec<Wrong>> {
    parse_within(text, false)
}

/// The same where an array is made points of: `value.` is the element, `value.$.` the message.
pub(super) fn parse_of_element(text: &str) -> Result<Template, Vec<Wrong>> {
    parse_within(text, true)
}

/// The same for a sink's text, which may say `{{ route }}`, too.
pub(super) fn parse_of_sink(text: &str) -> Result<Template, Vec<Wrong>> {
    let placeholder = |written: &str, at| match written {
        "route" => Ok(Piece::Route),
        _ => placeholder(written, at, false).map(Piece::Source),
    };
    pieces(text, |text| Piece::Text(text.into()), placeholder).map(Template)
}

fn parse_within(text: &str, explodes: bool) -> Result<Template, Vec<Wrong>> {
    let placeholder = |written: &str, at| placeholder(written, at, explodes).map(Piece::Source);
    pieces(text, |text| Piece::Text(text.into()), placeholder).map(Template)
}

/// Reads a template with other placeholders; each is given without its braces and the spaces in
/// them, and its place.
pub(super) fn pieces<T>(
    text: &str,
    plain: impl Fn(&str) -> T,
    placeholder: impl Fn(&str, usize) -> Result<T, Wrong>,
) -> Result<Vec<T>, Vec<Wrong>> {
    let (mut pieces, mut errors) = (Vec::new(), Vec::new());
    let between = |from: usize, to: usize, pieces: &mut Vec<T>, errors: &mut Vec<Wrong>| {
        let piece = &text[from..to];
        if let Some(found) = piece.find("}}") {
            errors.push(wrong(from + found, "`}}` without `{{`"));
        }
        if !piece.is_empty() {
            pieces.push(plain(piece));
        }
    };
    let mut at = 0;
    while let Some(found) = text[at..].find("{{").map(|found| at + found) {
        between(at, found, &mut pieces, &mut errors);
        let inner = found + 2;
        let Some(length) = text[inner..].find("}}") else {
            errors.push(wrong(found, "`{{` without `}}`"));
            return Err(errors);
        };
        let written = &text[inner..inner + length];
        let start = inner + written.len() - written.trim_start().len();
        match placeholder(written.trim(), start) {
            Ok(piece) => pieces.push(piece),
            Err(error) => errors.push(error),
        }
        at = inner + length + 2;
    }
    between(at, text.len(), &mut pieces, &mut errors);
    if errors.is_empty() { Ok(pieces) } else { Err(errors) }
}

/// What was read, or nothing once its errors are reported.
pub(super) fn reported<T>(
    read: Result<T, Vec<Wrong>>,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<T> {
    let errors = match read {
        Ok(read) => return Some(read),
        Err(errors) => errors,
    };
    if checker.is_expanded(at) {
        // The messages quote the text.
        checker.wrong(at, "the text is not a template");
        return None;
    }
    for error in errors {
        checker.wrong_within(at, error.at, error.message);
    }
    None
}

pub(super) fn placeholder(written: &str, at: usize, explodes: bool) -> Result<Source, Wrong> {
    if explodes && written == "value" {
        return Ok(Source::Element(Path::default()));
    }
    if let Some(path) = written.strip_prefix("value.") {
        let (path, source): (_, fn(Path) -> Source) = match of_element(path) {
            Within::Message(rest) if explodes => (rest, Source::Value),
            Within::Element(rest) if explodes => (rest, Source::Element),
            _ => (path, Source::Value),
        };
        let parsed: Result<Path, _> = path.parse();
        let path = parsed.map_err(|error| {
            let column = at + "value.".len() + byte_of_column(path, error.column);
            wrong(column, format!("{} is not a path: {}", quoted(path), error.what))
        })?;
        return Ok(source(path));
    }
    if let Some(name) = written.strip_prefix("header.") {
        return if name.is_empty() {
            Err(wrong(at, "`header.` needs a header's name after the dot"))
        } else {
            Ok(Source::Header(name.into()))
        };
    }
    Ok(match written {
        "topic" => Source::Topic,
        "partition" => Source::Partition,
        "offset" => Source::Offset,
        "key" => Source::Key,
        "timestamp" => Source::Timestamp,
        "" => {
            return Err(wrong(at, format!("nothing between `{{{{` and `}}}}`; {}", allowed())));
        }
        _ => return Err(wrong(at, unknown(written))),
    })
}

/// The byte at which a character begins, counted from 1.
pub(super) fn byte_of_column(text: &str, column: usize) -> usize {
    text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at)
}

fn unknown(written: &str) -> String {
    let first = written.split(['.', '[']).next().unwrap_or_default();
    let message = format!("unknown placeholder {}", quoted(written));
    // A path without its prefix is what people forget.
    if let Some(near) = nearest(written, NAMES[..5].iter().copied()) {
        return format!("{message}; did you mean {}?", quoted(near));
    }
    if let Some(near) = nearest(first, ["header", "value"]).filter(|_| written.len() > first.len())
    {
        return format!(
            "{message}; did you mean {}?",
            quoted(&format!("{near}{}", &written[first.len()..]))
        );
    }
    if written.parse::<Path>().is_ok() {
        let path = quoted(&format!("value.{written}"));
        return format!("{message}; for a path into the message write {path}; {}", allowed());
    }
    format!("{message}; {}", allowed())
}

fn allowed() -> String {
    format!("allowed are {}", NAMES.map(quoted).join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<(usize, String)> {
        parse(text).unwrap_err().into_iter().map(|wrong| (wrong.at, wrong.message)).collect()
    }

    #[test]
    fn every_placeholder_is_read() {
        let text = "a {{topic}}-{{ partition }}{{offset}}{{ key }}{{ timestamp }}{{ header.h-1 }}{{ value.a.b[0] }}";
        let Template(pieces) = parse(text).unwrap();
        let source = Piece::Source;
        assert_eq!(
            pieces,
            [
                Piece::Text("a ".into()),
                source(Source::Topic),
                Piece::Text("-".into()),
                source(Source::Partition),
                source(Source::Offset),
                source(Source::Key),
                source(Source::Timestamp),
                source(Source::Header("h-1".into())),
                source(Source::Value("a.b[0]".parse().unwrap())),
            ]
        );
        assert_eq!(parse("plain").unwrap(), Template(vec![Piece::Text("plain".into())]));
        assert_eq!(parse("").unwrap(), Template(vec![]));
    }

    #[test]
    fn every_error_says_where_in_the_text_it_is() {
        assert_eq!(errors("ab {{ topic"), [(3, "`{{` without `}}`".into())]);
        assert_eq!(errors("ab }} c"), [(3, "`}}` without `{{`".into())]);
        let two = errors("{{ tpic }} {{ header. }}");
        assert_eq!(two[0], (3, "unknown placeholder `tpic`; did you mean `topic`?".into()));
        assert_eq!(two[1], (14, "`header.` needs a header's name after the dot".into()));
        assert!(errors("{{ valu.a.b }}")[0].1.contains("did you mean `value.a.b`?"));
        assert!(errors("{{ device.id }}")[0].1.contains("write `value.device.id`"));
        assert!(errors("{{ }}")[0].1.contains("nothing between"));
        assert_eq!(errors("x{{ value.a..b }}")[0].0, 12);
    }
}
