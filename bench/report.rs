//! What a run has measured: a table of medians and ranges, the figures as JSON, a plot.

use std::fmt::Write as _;
use std::path::Path;

use crate::compare::Measurement;
use crate::plot::{Bar, bars};

/// Where a run leaves its results.
const FOLDER: &str = "target/report";

pub fn write(all: &[Measurement]) {
    let table = table(all);
    println!("{table}");
    file("bench.json", &serde_json::to_string_pretty(all).expect("plain numbers"));
    file("bench.md", &table);
    file("bench.svg", &plot(all));
}

/// Writes one of a run's results.
pub fn file(name: &str, text: &str) {
    std::fs::create_dir_all(FOLDER).expect("a folder");
    std::fs::write(Path::new(FOLDER).join(name), text).expect("a file");
}

/// All repeats of one work by one subject, in the order in which they first came.
fn groups(all: &[Measurement]) -> Vec<Vec<&Measurement>> {
    let mut groups: Vec<Vec<&Measurement>> = Vec::new();
    for one in all {
        let same = |group: &&mut Vec<&Measurement>| {
            group[0].subject == one.subject && group[0].work == one.work
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

fn table(all: &[Measurement]) -> String {
    let mut text = String::from(
        "| Subject | Work | Messages | Messages per CPU-second | Ratio to bare | Wall s | Peak MiB |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for group in groups(all) {
        let of = |value: fn(&Measurement) -> f64| {
            Spread::of(group.iter().map(|measurement| value(measurement)).collect())
        };
        let rate = of(|m| m.messages_per_cpu_second / 1000.0);
        let ratio = of(|m| m.ratio_to_bare);
        let wall = of(|m| m.wall_seconds);
        #[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
        let peak = of(|m| m.peak_rss_bytes as f64 / f64::from(1 << 20));
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} k | {} | {} | {} |",
            group[0].subject,
            group[0].work,
            group[0].messages,
            rate.shown(0),
            ratio.shown(if ratio.median < 0.1 { 3 } else { 2 }),
            wall.shown(1),
            peak.shown(0),
        );
    }
    text
}

/// The middle and the ends of some repeats.
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (least, most) = (values[0], values[values.len() - 1]);
        Self { least, median: values[values.len() / 2], most }
    }

    pub fn shown(&self, decimals: usize) -> String {
        let Self { least, median, most } = self;
        format!("{median:.decimals$} ({least:.decimals$}–{most:.decimals$})")
    }
}

fn plot(all: &[Measurement]) -> String {
    let bar = |group: &Vec<&Measurement>| {
        let rates = group.iter().map(|m| m.messages_per_cpu_second / 1000.0);
        let spread = Spread::of(rates.collect());
        Bar { label: format!("{}: {}", group[0].subject, group[0].work), spread }
    };
    bars(
        "Thousand messages per CPU-second (median, least and most)",
        &groups(all).iter().map(bar).collect::<Vec<_>>(),
    )
}
