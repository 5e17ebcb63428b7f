//! The metrics as text, for Prometheus and whoever reads its formats; and their reference page.
//!
//! Names and units follow <https://prometheus.io/docs/practices/naming/>. A connector is the label
//! `connector`; no value that comes out of a message is a label, so the number of series depends on
//! the configuration, on Kafka's partitions and on the names of tags (64 at most) only.

mod connector;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use self::connector::{METRICS, Samples};
use super::Reloads;
use super::process::Process;
use crate::connector::View;

/// The text formats that a scraper may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own, version 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` header asks for. Weights are not looked at: whoever names `OpenMetrics` can
    /// read it.
    pub fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

const BUILD_INFO: &str = "tidegate_build_info";
const BUILD_HELP: &str = "1, with the version of the program";

const RELOADS: (&str, &str) =
    ("tidegate_config_reloads", "Reloads of the configuration, by how they ended");
const RELOADED: (&str, &str) = (
    "tidegate_config_last_reload_successful",
    "1 if the last reload was taken in, 0 if a file was broken and all runs on as before",
);

/// The page of `/metrics`.
pub fn page(format: Format, connectors: Vec<View>, reloads: &Reloads) -> String {
    labelled(format, connectors, reloads, &BTreeMap::new())
}

/// The same, with these labels on every sample.
pub fn labelled(
    format: Format,
    connectors: Vec<View>,
    reloads: &Reloads,
    labels: &BTreeMap<String, String>,
) -> String {
    let (process, reloads) = (Process::now(), reloads.clone());
    let labels = labels.iter().map(|(name, value)| (name.clone().into(), value.clone().into()));
    let mut registry = Registry::with_labels(labels);
    registry.register_collector(Box::new(Scrape { connectors, process, reloads }));
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = text::encode(&mut page, &registry);
    match format {
        Format::OpenMetrics => page,
        Format::Prometheus => as_prometheus(&page),
    }
}

#[derive(Debug)]
struct Scrape {
    connectors: Vec<View>,
    process: Process,
    reloads: Reloads,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in METRICS {
            let mut family =
                encoder.encode_descriptor(metric.name, metric.help, None, metric.kind)?;
            for view in &self.connectors {
                let connector = view.name();
                let labels = metric.labels;
                (metric.samples)(view, &mut Samples { connector, labels, metric: &mut family })?;
            }
        }
        for (name, help, kind, value) in self.process.figures() {
            let metric = encoder.encode_descriptor(name, help, None, kind)?;
            match kind {
                MetricType::Counter => ConstCounter::new(value).encode(metric)?,
                _ => ConstGauge::new(value).encode(metric)?,
            }
        }
        let (name, help) = RELOADS;
        let mut reloads = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (result, count) in
            [("success", &self.reloads.succeeded), ("failure", &self.reloads.failed)]
        {
            count.encode(reloads.encode_family(&[("result", result)])?)?;
        }
        let (name, help) = RELOADED;
        let good = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(1 - self.reloads.last_failed.get()).encode(good)?;
        let mut build =
            encoder.encode_descriptor(BUILD_INFO, BUILD_HELP, None, MetricType::Gauge)?;
        ConstGauge::new(1_i64)
            .encode(build.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

/// `OpenMetrics` names a counter without the `_total` of its sample, and ends with a mark; Prometheus's
/// older format names it as its sample, and knows no mark.
fn as_prometheus(page: &str) -> String {
    let counters: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" counter"))
        })
        .collect();
    let mut text = String::with_capacity(page.len() + 1024);
    for line in page.lines().filter(|line| *line != "# EOF") {
        let described = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        let counter = described
            .and_then(|rest| rest.split_once(' '))
            .filter(|(name, _)| counters.contains(name));
        // Writing to a string does not fail.
        let _ = match counter {
            Some((name, rest)) => writeln!(text, "{}{name}_total {rest}", &line[..7]),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

/// docs/metrics.md, whole.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Made from the source by `tidegate schema --metrics`. Served at `/metrics` where \
         `server.listen` is set in `tidegate.yaml`, in Prometheus's text format and in OpenMetrics: \
         [operations.md](operations.md#metrics-and-health).\n\n\
         Every metric of a connector has the label `connector`. No value of a message is a label.\n\n\
         | Metric | Kind | Further labels | |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        row(&mut page, metric.name, metric.kind, &labels.join(", "), metric.help);
    }
    page.push_str("\nOf the process:\n\n| Metric | Kind | Labels | |\n|---|---|---|---|\n");
    for (name, help, kind, _) in Process::now().figures() {
        row(&mut page, name, kind, "", help);
    }
    row(&mut page, RELOADS.0, MetricType::Counter, "`result`", RELOADS.1);
    row(&mut page, RELOADED.0, MetricType::Gauge, "", RELOADED.1);
    row(&mut page, BUILD_INFO, MetricType::Gauge, "`version`", BUILD_HELP);
    page
}

fn row(page: &mut String, name: &str, kind: MetricType, labels: &str, help: &str) {
    let (ending, kind) = match kind {
        MetricType::Counter => ("_total", "counter"),
        MetricType::Histogram => ("", "histogram"),
        _ => ("", "gauge"),
    };
    // Writing to a string does not fail.
    let _ = writeln!(page, "| `{name}{ending}` | {kind} | {labels} | {help}. |");
}
