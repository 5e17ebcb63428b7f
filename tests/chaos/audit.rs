//! `tidegate audit`, the users' own way to prove the promise, must come to the same account.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::account::Account;
use crate::run::Settings;
use crate::target::Target;

/// What an audit has said of one connector.
#[derive(Debug, Clone)]
pub struct Audit {
    pub complete: bool,
    /// The counts that differ from the account; empty if all is well.
    pub differs: Vec<String>,
    /// The counts themselves.
    pub totals: Value,
}

impl Audit {
    pub fn agrees(&self) -> bool {
        self.complete && self.differs.is_empty()
    }

    /// Asks the databases themselves, not through the proxies.
    pub fn of(
        target: Target,
        settings: &Settings,
        addresses: &[(&str, String)],
        account: &Account,
    ) -> Self {
        let output = Command::new(&settings.binary)
            .args(["audit", "--config", "tidegate.yaml", "--output", "json"])
            .arg(format!("connectors/{}.yaml", target.name))
            .current_dir(&settings.folder)
            .envs(addresses.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_str(&said).unwrap_or_else(|error| {
            let errors = String::from_utf8_lossy(&output.stderr);
            panic!("the audit of {} has failed: {error}: {}{errors}", target.name, output.status)
        });
        let totals = report["totals"].clone();
        let count = |name: &str| {
            let count = totals[name].as_u64().unwrap_or_else(|| panic!("no {name} in {totals}"));
            usize::try_from(count).expect("a count")
        };
        let mut differs = Vec::new();
        for (what, audit, account) in [
            ("records", count("records"), account.produced),
            ("stored", count("found"), account.stored),
            ("dead-lettered", count("dead_lettered") + count("rejected"), account.dead_lettered),
            ("missing", count("missing") + count("rejected_without_letter"), account.lost),
            ("different", count("different"), 0),
            ("extra", count("extra") + count("duplicates"), account.duplicates),
        ] {
            if audit != account {
                differs.push(format!("{what}: {audit} by the audit, {account} by the account"));
            }
        }
        Self { complete: report["complete"] == Value::Bool(true), differs, totals }
    }
}
