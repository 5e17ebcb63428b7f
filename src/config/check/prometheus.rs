//! Remote write: its address, and how a mapping's fields and tags become series.

use super::sink::address;
use super::template::{self, Wrong};
use super::{At, Checker, http};
use crate::config::error::{nearest, quoted};
use crate::config::raw::{Compression, FieldKind, FieldRule, ProtobufMessage, Strings};
use crate::config::{Prometheus, raw};
use crate::encode::{LabelLimits, Metadata, MetricMetadata, NamePiece, SeriesRules};

pub(super) fn prometheus(raw: &raw::Prometheus, checker: &mut Checker<'_>) -> Option<Prometheus> {
    let at = &["sink", "prometheus", "url"];
    let at_name = &["sink", "prometheus", "metric_name"];
    let metric_name = match raw.metric_name.as_deref().map(metric_name) {
        Some(read) => template::reported(read, checker, at_name).map(Some),
        None => Some(None),
    };
    let url = address(&raw.url, checker, at)?;
    if matches!(url.path(), "" | "/") {
        checker.wrong(
            at,
            "the whole address of the receiver is needed, such as \
             `http://localhost:9090/api/v1/write`",
        );
    }
    let http = http::http(&raw.http, None, checker, &["sink", "prometheus"], Some(&url));
    if raw.compression == Compression::Zstd && raw.protobuf_message != ProtobufMessage::V1 {
        checker.wrong(
            &["sink", "prometheus", "compression"],
            "zstd is VictoriaMetrics' variant of `prometheus.WriteRequest`; the other messages are \
             sent with snappy only",
        );
    }
    Some(Prometheus {
        url: url.into(),
        series: rules(raw, metric_name?),
        nulls: raw.nulls,
        message: raw.protobuf_message,
        compression: raw.compression,
        metadata: metadata(raw),
        http,
    })
}

fn metadata(raw: &raw::Prometheus) -> Metadata {
    let known = |raw: &raw::MetricMetadata| MetricMetadata {
        kind: raw.kind,
        help: raw.help.clone(),
        unit: raw.unit.clone(),
    };
    Metadata(raw.metadata.iter().map(|(metric, raw)| (metric.clone(), known(raw))).collect())
}

fn rules(raw: &raw::Prometheus, metric_name: Option<Vec<NamePiece>>) -> SeriesRules {
    let limit = |limit: u32| match limit {
        0 => usize::MAX,
        limit => limit as usize,
    };
    SeriesRules {
        metric_name,
        scheme: raw.metric_name_validation_scheme,
        strings: raw.strings,
        limits: LabelLimits {
            labels: limit(raw.label_limit),
            name: limit(raw.label_name_length_limit),
            value: limit(raw.label_value_length_limit),
        },
    }
}

fn metric_name(text: &str) -> Result<Vec<NamePiece>, Vec<Wrong>> {
    let placeholder = |written: &str, at| match written {
        "measurement" => Ok(NamePiece::Measurement),
        "field" => Ok(NamePiece::Field),
        _ => {
            let allowed = "allowed are `measurement` and `field`";
            let message = format!("unknown placeholder {}; {allowed}", quoted(written));
            Err(Wrong { at, message })
        }
    };
    let pieces = template::pieces(text, |text| NamePiece::Text(text.into()), placeholder)?;
    if pieces.iter().all(|piece| matches!(piece, NamePiece::Text(_))) {
        let message = "a metric's name needs `{{ measurement }}` or `{{ field }}` in it".into();
        return Err(vec![Wrong { at: 0, message }]);
    }
    Ok(pieces)
}

/// What of a mapping can't be written as series, or would be one series.
pub(super) fn mapping(
    point: &raw::PointRules,
    sink: &raw::Prometheus,
    checker: &mut Checker<'_>,
    at: At<'_>,
) {
    // What is wrong with it has been reported.
    let Ok(metric_name) = sink.metric_name.as_deref().map(metric_name).transpose() else { return };
    let rules = rules(sink, metric_name);
    let is_string =
        |rule: &FieldRule| matches!(rule, FieldRule::Long(rule) if rule.kind == FieldKind::String);
    let (strings, numbers): (Vec<_>, Vec<_>) =
        point.fields.iter().partition(|(_, rule)| is_string(rule));
    if rules.strings == Strings::Reject {
        for (name, _) in &strings {
            checker.wrong(
                &[at, &["fields", name, "type"]].concat(),
                "remote write holds numbers only; make this text a tag, leave it out, or set \
                 `strings: label` or `strings: drop` in `sink.prometheus`",
            );
        }
    } else if numbers.is_empty() && !strings.is_empty() {
        let message = "no field is a number, so nothing would be written";
        checker.wrong(&[at, &["fields"]].concat(), message);
    }
    metrics(&names(&numbers), &rules, checker, at);
    // Of several rules, or names that messages have, it isn't known which metrics there are.
    if at == ["point"] && point.fields.keys().all(|name| !name.contains('*')) {
        unknown_metrics(point, &names(&numbers), sink, &rules, checker);
    }
    let labels = point.tags.keys().map(|name| ("tags", name.as_str()));
    let strings = names(&strings).into_iter().map(|name| ("fields", name));
    let strings = strings.filter(|_| rules.strings == Strings::Label);
    labels_of(&labels.chain(strings).collect::<Vec<_>>(), &rules, checker, at);
}

fn names<'a>(fields: &[(&'a String, &FieldRule)]) -> Vec<&'a str> {
    fields.iter().map(|(name, _)| name.as_str()).collect()
}

fn metrics(fields: &[&str], rules: &SeriesRules, checker: &mut Checker<'_>, at: At<'_>) {
    if !rules.tells_fields_apart() && fields.len() > 1 {
        checker.wrong(
            &["sink", "prometheus", "metric_name"],
            "without `{{ field }}` all fields of a point are one metric; add it, or keep one field",
        );
        return;
    }
    for (index, name) in fields.iter().enumerate() {
        if let Some(first) = fields[..index].iter().find(|first| rules.are_one_metric(first, name))
        {
            let metric = quoted(&rules.metric("MEASUREMENT", name));
            let (first, second) = (quoted(first), quoted(name));
            let message = format!("{first} and {second} both become the metric {metric}");
            checker.wrong_key(&[at, &["fields", name]].concat(), message);
        }
    }
}

/// Metadata of metrics that don't come of this mapping, as far as that is known: a slip of the pen.
fn unknown_metrics(
    point: &raw::PointRules,
    fields: &[&str],
    sink: &raw::Prometheus,
    rules: &SeriesRules,
    checker: &mut Checker<'_>,
) {
    let Some(measurement) = point.measurement.as_ref().filter(|text| !text.contains("{{")) else {
        return;
    };
    let metrics: Vec<_> = fields.iter().map(|field| rules.metric(measurement, field)).collect();
    for name in sink.metadata.keys().filter(|name| !metrics.contains(name)) {
        let near = nearest(name, metrics.iter().map(String::as_str));
        let near = near.map_or_else(
            || format!("its metrics are {}", metrics.join(", ")),
            |near| format!("did you mean {}?", quoted(near)),
        );
        let message = format!("the mapping makes no metric {}; {near}", quoted(name));
        checker.wrong_key(&["sink", "prometheus", "metadata", name], message);
    }
}

fn labels_of(names: &[(&str, &str)], rules: &SeriesRules, checker: &mut Checker<'_>, at: At<'_>) {
    for (index, (section, name)) in names.iter().enumerate() {
        let label = rules.label(name);
        let place: At<'_> = &[at, &[section, name]].concat();
        let shown = quoted(&label);
        if label == "__name__" {
            let message = format!(
                "{} becomes the label {shown}, which Prometheus keeps for the metric's name",
                quoted(name)
            );
            checker.wrong_key(place, message);
        } else if label.len() > rules.limits.name {
            let message = format!(
                "the label's name has {} bytes, and `label_name_length_limit` is {}",
                label.len(),
                rules.limits.name
            );
            checker.wrong_key(place, message);
        } else if let Some((_, first)) =
            names[..index].iter().find(|(_, n)| rules.label(n) == label)
        {
            let message =
                format!("{} and {} both become the label {shown}", quoted(first), quoted(name));
            checker.wrong_key(place, message);
        }
    }
}
