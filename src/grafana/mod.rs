//! What Grafana needs to chart and alert on what a connector writes, made from its configuration: a
//! dashboard, and the alerts' rules in three forms.
//!
//! ```text
//!  Connector ──series──▶ what it writes, as the database names it ──query──▶ text in the database's language
//!      │                                                                        │
//!      └─ alerts ──▶ rules/{prometheus,grafana,flux}.rs      dashboard.rs ◀─────┘
//! ```
//!
//! Names follow what the sinks write, never what they should: the remote-write naming rule is that of
//! [`crate::encode::SeriesRules`] itself.

pub mod apply;
pub mod dashboard;
pub mod operations;
pub mod pipeline;
pub mod query;
pub mod rules;
mod series;
#[cfg(test)]
mod tests;
mod uid;
mod yaml;

pub use self::series::{Language, Series, Unchartable};
pub use self::uid::uid;

/// The folder in Grafana, and the namespace of a Mimir ruler, that is all Tidegate's.
pub const FOLDER: &str = "Tidegate";
/// The folder's uid.
pub const FOLDER_UID: &str = "tidegate";
/// The label of every rule, and the tag of every dashboard, that Tidegate has made and may replace.
pub const OWNED: (&str, &str) = ("managed_by", "tidegate");
