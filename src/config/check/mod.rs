//! Raw → checked: what the schema can't say. Every check reports and goes on, so that all errors
//! come at once.

mod alerts;
mod decode;
mod http;
mod kafka;
mod point;
mod process;
mod prometheus;
mod routing;
mod security;
mod sink;
mod template;
mod testing;
mod units;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use testing::tests;

use super::error::{Findings, quoted};
use super::expand::Expansion;
use super::plain::Type;
use super::source::{Source, Span};
use super::tree::{Node, Scalar, Value};
use super::{
    BatchLimits, Connector, Delivery, Offsets, OwnMetrics, Process, Secret, Sink, Traces,
    fits_name, is_address, raw,
};
use crate::cardinality::Rules;

/// A file that fits its schema, and what is wrong with it all the same.
pub(super) struct Checker<'a> {
    pub(super) source: &'a Source,
    pub(super) root: &'a Node,
    pub(super) findings: &'a mut Findings,
}

/// Keys from the top of the file down to a value.
type At<'a> = &'a [&'a str];

impl<'a> Checker<'a> {
    /// Reports an error at a value, or where it should be.
    fn wrong(&mut self, at: At<'_>, message: impl Into<String>) {
        if self.findings.is_full() {
            // Only to be counted; looking for the place takes time.
            self.findings.add(None, "");
        } else if let Some((span, key, node)) = self.locate(at) {
            let span = if node.scalar().is_some() { span } else { key };
            self.findings.add(span, message);
        }
    }

    /// Reports an error at a key.
    fn wrong_key(&mut self, at: At<'_>, message: impl Into<String>) {
        if self.findings.is_full() {
            self.findings.add(None, "");
        } else if let Some((_, key, _)) = self.locate(at) {
            self.findings.add(key, message);
        }
    }

    /// Reports that something is missing in a mapping, or the mapping itself, unless an unknown key there
    /// has been reported that may have been meant.
    fn missing(&mut self, at: At<'_>, message: impl Into<String>) {
        let node = self.locate(at).map(|(_, _, node)| &node.value);
        if !matches!(node, Some(Value::Table(table)) if table.incomplete) {
            self.wrong(at, message);
        }
    }

    /// Reports an error inside a value's text.
    fn wrong_within(&mut self, at: At<'_>, offset: usize, message: impl Into<String>) {
        if self.findings.is_full() {
            self.findings.add(None, "");
        } else if let Some((span, _, Node { value: Value::Scalar(scalar), .. })) = self.locate(at) {
            self.findings.add(self.span_within(span, scalar, offset), message);
        }
    }

    /// The deepest node there is on the way, with the span of its value and of its key. `None`
    /// where the value is a stand-in: its error is reported already.
    fn locate(&self, at: At<'_>) -> Option<(Span, Span, &'a Node)> {
        let mut node = self.root;
        let mut key = match &node.value {
            Value::Table(table) => table.entries.first().map_or(node.span, |first| first.key_span),
            _ => node.span,
        };
        for step in at {
            if node.standin {
                return None;
            }
            let Some((child, key_span)) = node.child(step) else {
                break;
            };
            key = key_span.unwrap_or(child.span);
            node = child;
        }
        (!node.standin).then_some((node.span, key, node))
    }

    fn node(&self, at: At<'_>) -> Option<&'a Node> {
        at.iter().try_fold(self.root, |node, step| node.child(step).map(|(child, _)| child))
    }

    fn scalar(&self, at: At<'_>) -> Option<&'a Scalar> {
        self.node(at)?.scalar()
    }

    /// A value for a message, masked where it must be.
    fn shown(&self, at: At<'_>) -> String {
        self.scalar(at).map_or_else(String::new, Scalar::shown)
    }

    /// Whether any of a value's text came from an expansion.
    fn is_expanded(&self, at: At<'_>) -> bool {
        self.scalar(at).is_some_and(|scalar| scalar.expansion != Expansion::None)
    }

    /// Part of a value's text, where text and source are the same but for quotes.
    fn span_within(&self, span: Span, scalar: &Scalar, offset: usize) -> Span {
        let written = self.source.text.get(span.start..span.end).unwrap_or_default();
        let quotes = written.find(&scalar.text).filter(|at| *at <= 1);
        match quotes {
            Some(quotes) if scalar.expansion == Expansion::None => {
                let start = span.start + quotes + offset;
                Span::new(start, (start + 1).min(span.end))
            }
            _ => span,
        }
    }
}

/// The text of a value that may be a number or boolean: as it was written, but `0x1F` as `31` and
/// `True` as `true`, which no other program would understand.
fn canonical(scalar: &Scalar) -> String {
    let kind = if scalar.plain { Type::of(&scalar.text) } else { Type::Text };
    match kind {
        Type::Boolean(value) => value.to_string(),
        Type::Integer(value) if !scalar.text.starts_with('-') => value.to_string(),
        _ => scalar.text.clone(),
    }
}

/// Checks a connector's file. `shared` is `None` where `tidegate.yaml` is wrong itself.
///
/// `None` without a finding means that the finding was made before.
pub(super) fn connector(
    raw: &raw::ConnectorFile,
    checker: &mut Checker<'_>,
    shared: Option<&Process>,
) -> Option<Connector> {
    let file = checker.source.file.clone();
    let name = name(raw, checker, &file);
    let topics = kafka::topics(raw, checker);
    let group = kafka::group(raw, checker, name.as_deref());
    let kafka = kafka::properties(checker, shared);
    let sink = sink::sink(&raw.sink, checker);
    let routing = routing::routing(&raw.sink, checker);
    let decode = decode::decode(&raw.decode, checker);
    let tables = point::tables(raw, checker);
    let mapping = point::mapping(raw, checker, sink::kind(&raw.sink), decode.as_ref(), &tables);
    if let Some(sink) = &raw.sink.prometheus {
        for (at, rule) in point::rules(raw) {
            let at: Vec<_> = at.iter().map(String::as_str).collect();
            prometheus::mapping(rule, sink, checker, &at);
        }
    }
    let processors = process::processors(raw, checker, &tables);
    let routing = routing::by_routes(raw, routing, processors.as_deref(), checker);
    if let (Some(mapping), Some(processors)) = (&mapping, &processors) {
        process::known_fields(raw, mapping, processors, checker);
    }
    let years = Duration::ZERO..=Duration::from_hours(24 * 3660);
    let max_ahead = units::duration(checker, &["max_ahead"], &raw.max_ahead, years);
    let dead_letter = kafka::dead_letter(raw, checker);
    let written = alerts::Written::of(mapping.as_ref(), processors.as_deref());
    let alerts = alerts::alerts(raw, written.as_ref(), checker);
    let batch = batch(&raw.batch, checker, sink.as_ref());
    let delivery = delivery(&raw.delivery, checker, sink.as_ref());
    kafka::drain(checker, &raw.delivery.drain, &kafka);
    kafka::membership(checker, &kafka);
    security::oauthbearer(checker, &kafka);
    let start = kafka::start(checker, &kafka);
    if !checker.findings.is_empty() {
        return None;
    }
    Some(Connector {
        written: Secret::new(&*checker.source.text),
        effective: effective(checker, &kafka),
        name: name?,
        file,
        topics: topics?,
        group: group?,
        offsets: Offsets { start: start?, out_of_range: raw.offset_out_of_range },
        workers: NonZeroUsize::new(raw.workers as usize)?,
        kafka,
        decode: decode?,
        decompress: raw.decompress,
        mapping: mapping?,
        process: processors?,
        max_ahead: max_ahead?,
        sink: sink?,
        routing,
        dead_letter,
        cardinality: cardinality(&raw.cardinality),
        alerts: alerts?,
        batch: batch?,
        delivery: delivery?,
    })
}

/// The whole file as it is taken, with the properties that `tidegate.yaml` adds.
fn effective(checker: &Checker<'_>, kafka: &BTreeMap<String, Secret>) -> Secret {
    let mut text = checker.root.to_json().to_string();
    for (key, value) in kafka {
        text.extend(["\n", key, "=", value.expose()]);
    }
    Secret::new(text)
}

/// Checks `tidegate.yaml`.
pub(super) fn process(raw: &raw::ProcessFile, checker: &mut Checker<'_>) -> Process {
    Process {
        log: raw.log,
        listen: listen(raw, checker),
        advertise: advertise(raw, checker),
        token_file: absolute(&["server", "token_file"], raw.server.token_file.as_deref(), checker),
        connectors: absolute(&["server", "connectors"], raw.server.connectors.as_deref(), checker),
        connectors_topic: connectors_topic(raw, checker),
        watch: raw.watch,
        kafka: kafka::own_properties(checker),
        metrics: raw.metrics.as_ref().and_then(|metrics| own_metrics(metrics, checker)),
        traces: raw.traces.as_ref().and_then(|traces| self::traces(traces, checker)),
    }
}

fn traces(raw: &raw::Traces, checker: &mut Checker<'_>) -> Option<Traces> {
    let url = sink::address(&raw.url, checker, &["traces", "url"])?;
    if matches!(url.path(), "" | "/") {
        checker.wrong(
            &["traces", "url"],
            "the whole address is needed, such as `http://localhost:4318/v1/traces`",
        );
    }
    let one_place = "spans go to one place: a template has no record here";
    if raw.http.destinations.is_some() {
        checker.wrong(&["traces", "destinations"], one_place);
    }
    for (name, _) in raw.http.headers.iter().filter(|(_, text)| routing::is_template(text)) {
        checker.wrong(&["traces", "headers", name], one_place);
    }
    let http = http::http(&raw.http, None, checker, &["traces"], Some(&url));
    Some(Traces { url: url.into(), service_name: raw.service_name.clone(), http })
}

fn own_metrics(raw: &raw::OwnMetrics, checker: &mut Checker<'_>) -> Option<OwnMetrics> {
    let (_, _, node) = checker.locate(&["metrics"])?;
    // The checks of a sink name its keys from the top of a connector's file.
    let mut checker = Checker { root: node, source: checker.source, findings: checker.findings };
    let most = Duration::from_hours(1);
    let every =
        units::duration(&mut checker, &["every"], &raw.every, Duration::from_secs(1)..=most);
    let sink = sink::sink(&raw.sink, &mut checker);
    if routing::routing(&raw.sink, &mut checker).is_some() {
        checker.wrong(&["sink"], "own metrics go to one place: a template has no record here");
    }
    for name in raw.labels.keys() {
        let mut bytes = name.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !starts || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            checker.wrong_key(&["labels", name], "a label's name is letters, digits and `_`");
        }
    }
    Some(OwnMetrics { sink: sink?, every: every?, labels: raw.labels.clone() })
}

fn connectors_topic(raw: &raw::ProcessFile, checker: &mut Checker<'_>) -> Option<String> {
    let topic = raw.server.connectors_topic.clone()?;
    let at = &["server", "connectors_topic"];
    if !(1..=249).contains(&topic.len()) || !topic.bytes().all(fits_name) {
        checker.wrong(at, "a topic's name is 1 to 249 letters, digits, `.`, `_` or `-`");
    }
    if raw.server.listen.is_none() {
        checker.wrong(at, "needs `listen`, too: replicas are called by their addresses");
    }
    if raw.server.connectors.is_none() {
        checker.wrong(at, "needs `connectors`, a folder of this process's own, too");
    }
    if !raw.kafka.contains_key("bootstrap.servers") {
        checker.wrong(at, "needs `bootstrap.servers` under `kafka` in this file");
    }
    Some(topic)
}

fn absolute(at: At<'_>, path: Option<&str>, checker: &mut Checker<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(path?);
    if !path.is_absolute() {
        checker.wrong(at, "must be an absolute path, such as `/run/secrets/tidegate`");
    }
    Some(path)
}

fn listen(raw: &raw::ProcessFile, checker: &mut Checker<'_>) -> Option<SocketAddr> {
    let text = raw.server.listen.as_deref()?.trim();
    let port = text.parse().ok().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let address = port.or_else(|| text.replace("localhost", "127.0.0.1").parse().ok());
    if address.is_none() {
        let message = format!(
            "{} is neither a port, such as 8083, nor an IP address and a port, such as 0.0.0.0:8083",
            quoted(text)
        );
        checker.wrong(&["server", "listen"], message);
    }
    address
}

fn advertise(raw: &raw::ProcessFile, checker: &mut Checker<'_>) -> Option<String> {
    let text = raw.server.advertise.as_deref()?.trim();
    if !is_address(text) {
        let message = format!(
            "{} is no host and port, such as tidegate-0.tidegate:8083 or [fd00::1]:8083",
            quoted(text)
        );
        checker.wrong(&["server", "advertise"], message);
    }
    Some(text.to_owned())
}

fn name(raw: &raw::ConnectorFile, checker: &mut Checker<'_>, file: &Path) -> Option<String> {
    const MOST: usize = 100;
    let stem = || file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let name = raw.name.clone().unwrap_or_else(stem);
    if (1..=MOST).contains(&name.len()) && name.bytes().all(fits_name) {
        return Some(name);
    }
    let rule = format!("must be 1 to {MOST} letters, digits, `.`, `_` or `-`");
    if raw.name.is_some() {
        checker.wrong(&["name"], format!("a connector's name {rule}"));
    } else {
        let message = format!(
            "the connector's name is the file's, {}, but {rule}; set `name`",
            quoted(&name)
        );
        checker.findings.add(None, message);
    }
    None
}

fn cardinality(raw: &raw::CardinalityRules) -> Rules {
    let limit = |limit: u32| NonZeroUsize::new(limit as usize);
    let tags =
        raw.max_values_of.iter().filter_map(|(name, most)| Some((name.clone(), limit(*most)?)));
    Rules {
        warn_at: raw.warn_at,
        max_series: raw.max_series.and_then(limit),
        max_tag_values: raw.max_tag_values.and_then(limit),
        tags: tags.collect(),
        over_limit: raw.over_limit,
    }
}

fn batch(
    raw: &raw::BatchRules,
    checker: &mut Checker<'_>,
    sink: Option<&Sink>,
) -> Option<BatchLimits> {
    // One request of remote write is in flight, and is committed before the next: few and large ones
    // cost less.
    let (points, bytes) = match sink {
        Some(Sink::Prometheus(_)) => (20_000, "4MiB"),
        _ => (5000, "1MiB"),
    };
    let at = &["batch", "max_bytes"];
    let bytes = raw.max_bytes.as_deref().unwrap_or(bytes);
    let bytes = units::bytes(checker, at, bytes, &units::OF_A_BATCH);
    let bytes = bytes.and_then(|bytes| NonZeroUsize::try_from(bytes).ok());
    let hour = Duration::from_hours(1);
    let linger = units::duration(checker, &["batch", "linger"], &raw.linger, Duration::ZERO..=hour);
    let points = NonZeroUsize::new(raw.max_points.unwrap_or(points) as usize);
    Some(BatchLimits { points: points?, bytes: bytes?, linger: linger? })
}

fn delivery(
    raw: &raw::DeliveryRules,
    checker: &mut Checker<'_>,
    sink: Option<&Sink>,
) -> Option<Delivery> {
    let range = || Duration::from_millis(1)..=Duration::from_hours(1);
    let timeout = units::duration(checker, &["delivery", "timeout"], &raw.timeout, range());
    let least = units::duration(checker, &["delivery", "min_backoff"], &raw.min_backoff, range());
    let most = units::duration(checker, &["delivery", "max_backoff"], &raw.max_backoff, range());
    let drain = units::duration(checker, &["delivery", "drain"], &raw.drain, range());
    if least > most && most.is_some() {
        let at: At<'_> = if checker.node(&["delivery", "min_backoff"]).is_some() {
            &["delivery", "min_backoff"]
        } else {
            &["delivery", "max_backoff"]
        };
        checker.wrong(at, "`min_backoff` is longer than `max_backoff`");
    }
    let mut in_flight = NonZeroUsize::new(raw.in_flight as usize);
    if matches!(sink, Some(Sink::Prometheus(_))) {
        if checker.node(&["delivery", "in_flight"]).is_some() && raw.in_flight > 1 {
            checker.wrong(
                &["delivery", "in_flight"],
                "remote write takes a series' samples in order only, so that one request at a time \
                 can be in flight; leave this out, or set 1",
            );
        }
        in_flight = Some(NonZeroUsize::MIN);
    }
    Some(Delivery {
        in_flight: in_flight?,
        timeout: timeout?,
        min_backoff: least?,
        max_backoff: most?,
        drain: drain?,
    })
}
