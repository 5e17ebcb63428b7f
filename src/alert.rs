//! An alert, checked: what is to be watched of the points that a connector writes, or of Tidegate itself.
//!
//! Nothing here raises an alert. [`crate::grafana`] makes rules of them for those who do.

use std::collections::BTreeMap;
use std::time::Duration;

pub use crate::config::raw::Severity;

/// What is watched, when it fires, and what it tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Letters, digits, spaces, `.`, `_` and `-`; unique in its connector.
    pub name: String,
    /// What is looked at.
    pub subject: Subject,
    /// When it fires.
    pub condition: Condition,
    /// How long the condition must hold. May be zero.
    pub lasting: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// Legal names of labels, none of those that [`crate::grafana`] sets itself.
    pub labels: BTreeMap<String, String>,
    /// Texts for people.
    pub annotations: BTreeMap<String, String>,
}

/// What an alert looks at: a number for each series.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A field that is written and is no text.
    Field(String),
    /// A query in the database's own language.
    Query(String),
}

/// When an alert fires.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Condition {
    /// While the value is greater.
    Above(f64),
    /// While the value is less.
    Below(f64),
}

impl Condition {
    /// As all the languages write it: `>` or `<`.
    pub fn operator(self) -> &'static str {
        match self {
            Self::Above(_) => ">",
            Self::Below(_) => "<",
        }
    }

    /// What the value is compared with.
    pub fn limit(self) -> f64 {
        match self {
            Self::Above(limit) | Self::Below(limit) => limit,
        }
    }
}
