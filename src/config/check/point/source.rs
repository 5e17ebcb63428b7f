//! Where a value comes from.

use super::Rule;
use crate::config::check::{At, Checker, canonical, template};
use crate::config::error::quoted;
use crate::config::raw::{RecordProperty, Scalar};
use crate::map::{Piece, Source};
use crate::path::Path;

/// The keys that say where a value comes from.
pub(super) struct Parts<'r> {
    pub path: Option<&'r str>,
    pub template: Option<&'r str>,
    pub constant: Option<&'r Scalar>,
    pub header: Option<&'r str>,
    pub record: Option<RecordProperty>,
}

impl Rule<'_, '_> {
    pub(super) fn source(&mut self, parts: &Parts<'_>, at: At<'_>) -> Option<Source> {
        const ONE: &str =
            "exactly one of `path`, `template`, `constant`, `header` and `record` is needed";
        let given: Vec<_> = [
            ("path", parts.path.is_some()),
            ("template", parts.template.is_some()),
            ("constant", parts.constant.is_some()),
            ("header", parts.header.is_some()),
            ("record", parts.record.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, given)| given.then_some(key))
        .collect();
        let below = |key| [at, &[key]].concat();
        match given.as_slice() {
            [] => {
                self.checker.missing(at, format!("no source: {ONE}"));
                return None;
            }
            [_] => {}
            [first, second, ..] => {
                self.checker
                    .wrong_key(&below(second), format!("{} is given, too; {ONE}", quoted(first)));
                return None;
            }
        }
        if let Some(text) = parts.path {
            return self.path(text, &below("path"));
        }
        if let Some(text) = parts.template {
            let at = below("template");
            let template = self.template(text, &at)?;
            if !template.0.iter().any(|piece| matches!(piece, Piece::Source(_))) {
                self.checker
                    .wrong(&at, "a template without `{{ }}`; for fixed text use `constant`");
            }
            return Some(Source::Template(template));
        }
        if parts.constant.is_some() {
            return self
                .checker
                .scalar(&below("constant"))
                .map(|scalar| Source::Constant(canonical(scalar)));
        }
        if let Some(name) = parts.header {
            if name.is_empty() {
                self.checker.wrong(&below("header"), "the header's name is empty");
            }
            return Some(Source::Header(name.into()));
        }
        parts.record.map(|property| match property {
            RecordProperty::Key => Source::Key,
            RecordProperty::Topic => Source::Topic,
            RecordProperty::Partition => Source::Partition,
            RecordProperty::Offset => Source::Offset,
            RecordProperty::Timestamp => Source::Timestamp,
        })
    }

    /// A path as it is meant here: within the element, where an array is made points of, and from the
    /// message where it begins with `$.`.
    pub(super) fn path(&mut self, text: &str, at: At<'_>) -> Option<Source> {
        if !self.explodes {
            return path(text, self.checker, at).map(Source::Value);
        }
        match of_element(text) {
            Within::Message(rest) => path(rest, self.checker, at).map(Source::Value),
            Within::Element(rest) => path(rest, self.checker, at).map(Source::Element),
        }
    }
}

/// A path where an array is made points of, as [`Path`] reads it.
pub(in crate::config::check) enum Within<'t> {
    Message(&'t str),
    Element(&'t str),
}

/// Takes the path apart: `$.site` is of the message, `.` the element itself, and all else within it.
pub(in crate::config::check) fn of_element(text: &str) -> Within<'_> {
    match text.strip_prefix("$.") {
        Some(rest) => Within::Message(rest),
        None if text == "." => Within::Element("$"),
        None => Within::Element(text),
    }
}

pub(super) fn path(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Path> {
    let error = match text.parse::<Path>() {
        Ok(path) => return Some(path),
        Err(error) => error,
    };
    if checker.is_expanded(at) {
        checker.wrong(at, "the value is not a path into the message");
    } else {
        let offset = template::byte_of_column(text, error.column);
        let message = format!("{} is not a path into the message: {}", quoted(text), error.what);
        checker.wrong_within(at, offset, message);
    }
    None
}
