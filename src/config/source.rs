//! A configuration file's text: where its lines are, which parts of it must not be shown, and what
//! an error prints of it.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// A range of bytes in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }
}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    /// Literal secrets: in no particular order, and they may overlap.
    masks: Vec<Range<usize>>,
}

/// A source line cut to a screen's width, and what of it to underline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snippet {
    pub(super) line: String,
    /// In characters of `line`.
    pub(super) caret: usize,
    pub(super) width: usize,
}

/// Characters of a source line to show on each side of an error.
const WINDOW: usize = 60;

impl Source {
    pub(super) fn new(file: &Path, text: String) -> Self {
        let lines = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1))
            .collect();
        Self { file: file.to_owned(), text, lines, masks: Vec::new() }
    }

    /// Hides a part of the text from every snippet.
    pub(super) fn mask(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.masks.push(range);
        }
    }

    /// Line and column, both from 1, the column in characters.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines[line - 1];
        let before = self.text.get(start..at.min(self.text.len())).unwrap_or_default();
        // A byte order mark is no column: editors don't show it.
        (line, before.chars().filter(|c| *c != '\u{feff}').count() + 1)
    }

    /// A line without its ending, by its number from 1.
    pub(super) fn line(&self, number: usize) -> (usize, &str) {
        let start = self.lines.get(number - 1).copied().unwrap_or(self.text.len());
        let end = self.lines.get(number).copied().unwrap_or(self.text.len());
        (start, self.text[start..end].trim_end_matches(['\n', '\r']))
    }

    /// The line that a span begins on, or its part around the span, with secrets masked.
    pub(super) fn snippet(&self, span: Span) -> Snippet {
        let (number, _) = self.place(span.start);
        let (start, line) = self.line(number);
        // A line may be as long as the file, so only what may be shown is looked at.
        let at = span.start.saturating_sub(start).min(line.len());
        let from = line.floor_char_boundary(at.saturating_sub(4 * WINDOW));
        let to = line.ceil_char_boundary((at + 4 * WINDOW).min(line.len()));
        let masks: Vec<_> = self
            .masks
            .iter()
            .filter(|mask| mask.start < start + to && mask.end > start + from)
            .collect();
        let mut shown: Vec<char> = Vec::new();
        let (mut caret, mut end) = (None, None);
        let mut masked = false;
        for (offset, character) in line[from..to].char_indices() {
            let at = start + from + offset;
            let mask = masks.iter().any(|mask| mask.contains(&at));
            let drawn = if mask && masked { 3 } else { 0 };
            let left = shown.len().saturating_sub(drawn);
            if at >= span.start && caret.is_none() {
                caret = Some(left);
            }
            if at >= span.end && end.is_none() {
                end = Some(shown.len());
            }
            match (mask, masked) {
                (true, false) => shown.extend(['*'; 3]),
                (true, true) => {}
                (false, _) if character == '\u{feff}' => {}
                (false, _) => shown.push(visible(character)),
            }
            masked = mask;
        }
        let caret = caret.unwrap_or(shown.len());
        let width = end.unwrap_or(shown.len()).saturating_sub(caret).max(1);
        cut(&shown, caret, width, from > 0, to < line.len())
    }
}

/// Control characters could move the cursor or recolour the terminal.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Cuts to the window around the caret; `before` and `after` tell whether there is more already.
fn cut(shown: &[char], caret: usize, width: usize, before: bool, after: bool) -> Snippet {
    let from = caret.saturating_sub(WINDOW);
    let to = shown.len().min(caret + WINDOW);
    let (before, after) = (before || from > 0, after || to < shown.len());
    let mut line: String = before.then_some('…').into_iter().collect();
    line.extend(&shown[from..to]);
    line.extend(after.then_some('…'));
    Snippet {
        line,
        caret: caret - from + usize::from(before),
        width: width.min((to - caret).max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(Path::new("a.yaml"), text.into())
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let source = source("a: 1\né: 'ü' x\n");
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(source.text.find('x').unwrap()), (2, 8));
        assert_eq!(source.place(source.text.len()), (3, 1));
    }

    #[test]
    fn a_masked_part_is_not_shown_and_the_caret_moves_with_it() {
        let mut source = source("{ token: hunter2-and-long, urll: x }\n");
        source.mask(9..25);
        let at = source.text.find("urll").unwrap();
        let snippet = source.snippet(Span::new(at, at + 4));
        assert_eq!(snippet.line, "{ token: ***, urll: x }");
        assert_eq!((snippet.caret, snippet.width), (14, 4));
        let inside = source.snippet(Span::new(12, 20));
        assert_eq!(inside.line, "{ token: ***, urll: x }");
        assert_eq!(inside.caret, 9);
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let snippet = source(&text).snippet(Span::new(500, 504));
        assert!(snippet.line.chars().count() < 130);
        let caret: String = snippet.line.chars().skip(snippet.caret).take(snippet.width).collect();
        assert_eq!(caret, "HERE");
    }
}
