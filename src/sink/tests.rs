//! The golden tables of the dialects: what each answer of each database means.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::http::Answer;
use super::{Rejected, Scope, SinkError};

/// An answer, and what it means. `from` says where it was seen or in which source it stands.
pub(super) struct Row<'a> {
    pub(super) from: &'a str,
    pub(super) status: u16,
    pub(super) headers: &'a [(&'static str, &'static str)],
    pub(super) body: &'a str,
    pub(super) verdict: &'a str,
}

/// A row with no header of interest.
pub(super) const fn row<'a>(
    from: &'a str,
    status: u16,
    body: &'a str,
    verdict: &'a str,
) -> Row<'a> {
    Row { from, status, headers: &[], body, verdict }
}

pub(super) fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
    let header = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let status = StatusCode::from_u16(status).unwrap();
    Answer { status, headers, body: body.into(), tail: String::new() }
}

#[track_caller]
pub(super) fn check(table: &[Row<'_>], classify: impl Fn(&Answer) -> Result<(), SinkError>) {
    for row in table {
        let verdict = verdict_of(&classify(&answer(row.status, row.headers, row.body)));
        assert_eq!(verdict, row.verdict, "{} ({}): {}", row.status, row.from, row.body);
    }
}

/// The verdict in words.
pub(super) fn verdict_of(result: &Result<(), SinkError>) -> String {
    match result {
        Ok(()) => "written".into(),
        Err(SinkError::Unavailable { retry_after: Some(wait), .. }) => {
            format!("unavailable for {wait:?}")
        }
        Err(SinkError::Unavailable { .. }) => "unavailable".into(),
        Err(SinkError::Misconfigured { .. }) => "misconfigured".into(),
        Err(SinkError::TooLarge { .. }) => "too large".into(),
        Err(SinkError::Rejected(Rejected { scope, rest_written, superseded, .. })) => {
            let what = match scope {
                Scope::Batch => "some".into(),
                Scope::Split(items) => format!("some, likely {items:?}"),
                Scope::Items(items) => items
                    .iter()
                    .map(|(item, reason)| format!("{item} ({reason})"))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            let how = if *superseded { "superseded" } else { "rejected" };
            let rest = if *rest_written { "the rest written" } else { "nothing written" };
            format!("{how}: {what}; {rest}")
        }
    }
}
