//! Colours, on a terminal only, and not where `NO_COLOR` is set (<https://no-color.org>).

use std::borrow::Cow;
use std::io::IsTerminal as _;

/// Whether there are colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    /// For what goes to the standard output.
    pub(super) fn stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(!unwanted && std::io::stdout().is_terminal())
    }

    /// No colours.
    pub(super) fn none() -> Self {
        Self(false)
    }

    pub(super) fn good(self, text: &str) -> Cow<'_, str> {
        self.with("32", text)
    }

    pub(super) fn bad(self, text: &str) -> Cow<'_, str> {
        self.with("31", text)
    }

    pub(super) fn faint(self, text: &str) -> Cow<'_, str> {
        self.with("2", text)
    }

    fn with<'t>(self, colour: &str, text: &'t str) -> Cow<'t, str> {
        if self.0 {
            Cow::Owned(format!("\u{1b}[{colour}m{text}\u{1b}[0m"))
        } else {
            Cow::Borrowed(text)
        }
    }
}
