//! What a look at the brokers and the database has found, item by item, for `tidegate check`.

use serde::Serialize;

/// One thing that must be right for a connector to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, such as `topic sensors`.
    pub item: String,
    pub state: State,
    /// What was seen, in one line.
    pub reason: String,
    /// What to do about it.
    pub mend: Option<String>,
}

/// How an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    Failed,
    /// It could not be looked at, mostly because of what has failed before.
    Unknown,
}

impl Finding {
    pub fn ok(item: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { item: item.into(), state: State::Ok, reason: reason.into(), mend: None }
    }

    pub fn failed(
        item: impl Into<String>,
        reason: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let mend = Some(mend.into());
        Self { item: item.into(), state: State::Failed, reason: reason.into(), mend }
    }

    pub fn unknown(item: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { item: item.into(), state: State::Unknown, reason: reason.into(), mend: None }
    }
}
