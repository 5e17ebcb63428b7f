//! What a run has shown: printed for people, and `report/chaos.json` in Cargo's target folder for programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::account::Account;
use crate::audit::Audit;
use crate::stream::Kind;
use crate::support::proxy::Fault;

const PROCESS_FAULTS: [&str; 10] = [
    "broker_frozen",
    "broker_killed",
    "influxdb_frozen",
    "influxdb_killed",
    "prometheus_frozen",
    "prometheus_killed",
    "tidegate_frozen",
    "tidegate_joined",
    "tidegate_killed",
    "tidegate_left",
];

pub struct Report {
    pub seed: u64,
    pub seconds: u64,
    /// In the topic; each connector deals with all of them.
    pub messages: usize,
    pub faults: BTreeMap<&'static str, usize>,
    pub parts: Vec<Part>,
    /// From the last fault to the last commit.
    pub settled_after: Duration,
}

/// Of one connector.
pub struct Part {
    pub name: &'static str,
    pub account: Account,
    /// Of a run that has settled.
    pub audit: Option<Audit>,
    /// Records that were committed and not durable.
    pub ahead: usize,
    pub first_ahead: Option<String>,
    pub commits: usize,
    /// Points that the database has acknowledged again.
    pub repeats: usize,
}

impl Report {
    pub fn new(seed: u64, seconds: u64, messages: usize, settled_after: Duration) -> Self {
        let (faults, parts) = (BTreeMap::new(), Vec::new());
        Self { seed, seconds, messages, faults, parts, settled_after }
    }

    pub fn count(&mut self, fault: &'static str, times: usize) {
        *self.faults.entry(fault).or_default() += times;
    }

    /// Kinds of faults that have not struck.
    pub fn unstruck(&self) -> Vec<&'static str> {
        let kinds = Fault::ALL.iter().map(|fault| fault.name());
        let kinds = kinds.chain(Kind::POISON.iter().map(|kind| kind.name())).chain(PROCESS_FAULTS);
        kinds.filter(|kind| self.faults.get(kind).is_none_or(|times| *times == 0)).collect()
    }

    /// Over both connectors.
    pub fn account(&self) -> Account {
        let mut sum = Account::default();
        for part in &self.parts {
            sum += &part.account;
        }
        sum
    }

    pub fn ahead(&self) -> usize {
        self.parts.iter().map(|part| part.ahead).sum()
    }

    /// Whether the promise was kept, and the audits say the same.
    pub fn is_good(&self) -> bool {
        let audits_agree =
            self.parts.iter().filter_map(|part| part.audit.as_ref()).all(Audit::agrees);
        self.account().is_balanced() && self.ahead() == 0 && audits_agree
    }

    pub fn print(&self) {
        println!("\nfaults");
        for (fault, count) in &self.faults {
            println!("  {count:7}  {fault}");
        }
        println!("did not strike: {:?}", self.unstruck());
        println!("\n                {:>11} {:>11}", self.parts[0].name, self.parts[1].name);
        let row = |name: &str, of: &dyn Fn(&Part) -> usize| {
            println!("{name:15} {:>11} {:>11}", of(&self.parts[0]), of(&self.parts[1]));
        };
        row("produced", &|part| part.account.produced);
        row("stored", &|part| part.account.stored);
        row("dead-lettered", &|part| part.account.dead_lettered);
        row("lost", &|part| part.account.lost);
        row("duplicates", &|part| part.account.duplicates);
        row("good dead", &|part| part.account.good_dead_lettered);
        row("bad stored", &|part| part.account.bad_stored);
        row("ahead", &|part| part.ahead);
        row("commits seen", &|part| part.commits);
        row("written again", &|part| part.repeats);
        println!("letters repeated, by cause: {:?}", self.account().explained_repeats);
        println!("settled {:.1?} after the last fault", self.settled_after);
        for part in &self.parts {
            let examples = part.account.examples.iter().chain(&part.first_ahead);
            for example in examples {
                println!("{}: {example}", part.name);
            }
            if let Some(Audit { complete, differs, .. }) = &part.audit {
                let verdict = if *complete { "complete" } else { "not complete" };
                println!("{}: the audit says {verdict} {}", part.name, differs.join("; "));
            }
        }
    }

    pub fn save(&self) {
        let file = folder().join("chaos.json");
        let text = serde_json::to_string_pretty(&self.json()).expect("JSON");
        std::fs::write(&file, text + "\n")
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        println!("{}", file.display());
    }

    /// `produced` and what follows count each message once for each connector.
    fn json(&self) -> Value {
        let mut whole = figures(&self.account(), self.ahead());
        whole["seed"] = json!(self.seed);
        whole["seconds"] = json!(self.seconds);
        whole["messages"] = json!(self.messages);
        whole["faults"] = json!(self.faults);
        whole["settled_after_seconds"] = json!(self.settled_after.as_secs());
        let parts = self.parts.iter().map(|part| {
            let mut figures = figures(&part.account, part.ahead);
            figures["commits_seen"] = json!(part.commits);
            figures["points_written_again"] = json!(part.repeats);
            figures["audit"] = json!(part.audit.as_ref().map(|audit| &audit.totals));
            (part.name.to_owned(), figures)
        });
        whole["connectors"] = Value::Object(parts.collect());
        whole
    }
}

fn figures(account: &Account, ahead: usize) -> Value {
    json!({
        "produced": account.produced,
        "stored": account.stored,
        "dead_lettered": account.dead_lettered,
        "lost": account.lost,
        "duplicates": account.duplicates,
        "good_dead_lettered": account.good_dead_lettered,
        "bad_stored": account.bad_stored,
        "committed_ahead_of_durable": ahead,
        "letters_repeated_by_cause": account.explained_repeats,
    })
}

pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("report");
    std::fs::create_dir_all(&folder).expect("room for a folder");
    folder
}
