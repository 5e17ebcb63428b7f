//! What is wrong with a configuration: all of it at once, each with its place and its mend.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::source::{Snippet, Source, Span};

/// More than this in one file is a file of another kind; the rest is counted only.
const MAX_ERRORS_PER_FILE: usize = 100;

/// One thing that is wrong, where, and how to mend it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Line and column from 1, the column in characters. None when it concerns the file as a whole.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and the mend.
    pub message: String,
    /// More to know, such as what is allowed instead.
    pub note: Option<String>,
    snippet: Option<Snippet>,
}

impl Error {
    pub(super) fn of_file(file: &Path, message: impl Into<String>) -> Self {
        let (file, message) = (file.to_owned(), message.into());
        Self { file, place: None, message, note: None, snippet: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.message)?;
        if let (Some((line, _)), Some(snippet)) = (self.place, &self.snippet) {
            write!(f, "\n{line:>5} | {}", snippet.line)?;
            write!(f, "\n      | {}{}", " ".repeat(snippet.caret), "^".repeat(snippet.width))?;
        }
        if let Some(note) = &self.note {
            write!(f, "\n      = {note}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// The errors in the order of files and lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none; never so in an `Err`.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In how many files.
    pub fn files(&self) -> usize {
        self.0.iter().map(|error| &error.file).collect::<BTreeSet<_>>().len()
    }

    pub(super) fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// What the steps of reading one file find. Turned into [`Errors`] at the end, because only then is
/// it known which parts of the text are secrets.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    /// Those past the limit.
    more: usize,
}

#[derive(Debug)]
struct Finding {
    span: Option<Span>,
    message: String,
    note: Option<String>,
}

impl Findings {
    pub(super) fn add(&mut self, span: impl Into<Option<Span>>, message: impl Into<String>) {
        self.add_noted(span, message, None);
    }

    pub(super) fn add_noted(
        &mut self,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
        note: Option<String>,
    ) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        self.list.push(Finding { span: span.into(), message: message.into(), note });
    }

    /// Whether more will only be counted, so that there is no need to find the words for them.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_ERRORS_PER_FILE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn into_errors(mut self, source: &Source) -> Errors {
        self.list.sort_by_key(|finding| finding.span.map(|span| span.start));
        let mut errors: Vec<_> = self
            .list
            .into_iter()
            .map(|finding| Error {
                file: source.file.clone(),
                place: finding.span.map(|span| source.place(span.start)),
                message: finding.message,
                note: finding.note,
                snippet: finding.span.map(|span| source.snippet(span)),
            })
            .collect();
        if self.more > 0 {
            let message = format!("and {} more errors", self.more);
            errors.push(Error::of_file(&source.file, message));
        }
        Errors(errors)
    }
}

/// A text in backticks, as far as it can be shown on a line.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).flat_map(printable).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn printable(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

/// `` `a`, `b` or `c` ``.
pub(super) fn either<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<_> = words.iter().map(|word| quoted(word.as_ref())).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The candidate that was probably meant.
pub(super) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let written = plain(written);
    // Nothing in a configuration is this long, and the distance costs length times length.
    if written.len() > 100 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&written, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (written.len().max(candidate.len()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
