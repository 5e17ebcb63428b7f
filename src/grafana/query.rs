//! Queries, in the database's language.

use std::fmt::Write as _;
use std::time::Duration;

use super::series::{Field, Language, Name, Series, Tag};
use crate::alert::Subject;
use crate::config::raw::FieldKind;
use crate::encode::remote_write::is_legal_name;

/// The span of time that an alert looks for a series' last value in; an older one is no value.
pub(super) const FRESH: Duration = Duration::from_mins(5);

/// A side of what is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Low,
    High,
}

/// The values of a field over the time that a dashboard shows, narrowed by its variables.
pub fn of_panel(series: &Series, field: &Field) -> String {
    match series.language {
        Language::PromQl => selector(field, true),
        Language::Flux => {
            let mut flux = flux_from(series, field, "v.timeRangeStart, stop: v.timeRangeStop");
            flux_field(field, &mut flux);
            flux_narrowed(field, &mut flux);
            match field.kind {
                FieldKind::String => flux.push_str("\n    |> last()"),
                FieldKind::Boolean => flux.push_str(FLUX_OF_BOOLEAN),
                _ => flux.push_str(
                    "\n    |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)",
                ),
            }
            flux
        }
        Language::InfluxQl => {
            let narrowed = narrowed(field);
            let (function, window) = match field.kind {
                FieldKind::String => ("last", ""),
                FieldKind::Boolean => ("last", "time($__interval)"),
                _ => ("mean", "time($__interval)"),
            };
            let fill = if window.is_empty() { "" } else { " fill(none)" };
            format!(
                "SELECT {function}({}) FROM {} WHERE $timeFilter{narrowed}{}{fill}",
                quoted(&field.name),
                from(field),
                group_by(field, window),
            )
        }
    }
}

/// A side of what is usual of the series that are shown: the least `low` of all, or the greatest `high`.
/// It is one line, because Grafana shades between two, and can't tell which of many are a pair.
pub fn of_band(series: &Series, field: &Field, side: Side) -> String {
    let function = match side {
        Side::Low => "min",
        Side::High => "max",
    };
    match series.language {
        Language::PromQl => format!("{function}({})", selector(field, true)),
        Language::Flux => {
            let mut flux = flux_from(series, field, "v.timeRangeStart, stop: v.timeRangeStop");
            flux_field(field, &mut flux);
            flux_narrowed(field, &mut flux);
            let _ = write!(
                flux,
                "\n    |> group()\
                 \n    |> keep(columns: [\"_start\", \"_stop\", \"_time\", \"_value\"])\
                 \n    |> aggregateWindow(every: v.windowPeriod, fn: {function}, createEmpty: false)"
            );
            flux
        }
        Language::InfluxQl => format!(
            "SELECT {function}({}) FROM {} WHERE $timeFilter{} GROUP BY time($__interval) fill(none)",
            quoted(&field.name),
            from(field),
            narrowed(field),
        ),
    }
}

/// The values of a field that are anomalies, as `anomaly` tells, a boolean field of the same points.
pub fn of_anomalies(series: &Series, field: &Field, anomaly: &Field) -> String {
    let (value, told) = (flux_text(&field.name), flux_text(&anomaly.name));
    match series.language {
        Language::PromQl => {
            format!("{} and {} == 1", selector(field, true), selector(anomaly, true))
        }
        Language::Flux => {
            let mut flux = flux_from(series, field, "v.timeRangeStart, stop: v.timeRangeStop");
            let _ = write!(
                flux,
                "\n    |> filter(fn: (r) => r._field == {value} or r._field == {told})"
            );
            flux_narrowed(field, &mut flux);
            let _ = write!(
                flux,
                "\n    |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")\
                 \n    |> filter(fn: (r) => exists r[{told}] and r[{told}])\
                 \n    |> map(fn: (r) => ({{r with _value: r[{value}], _field: {told}}}))\
                 \n    |> drop(columns: [{value}, {told}])"
            );
            flux
        }
        Language::InfluxQl => format!(
            "SELECT {} FROM {} WHERE $timeFilter{} AND {} = true{}",
            quoted(&field.name),
            from(field),
            narrowed(field),
            quoted(&anomaly.name),
            group_by(field, ""),
        ),
    }
}

/// Values that a tag has, for a dashboard's variable.
pub fn of_variable(series: &Series, tag: &Tag) -> String {
    let Some(field) = series.fields.iter().find(|field| field.tags.contains(tag)) else {
        return String::new();
    };
    match series.language {
        Language::PromQl => format!("label_values({}, {})", selector(field, false), tag.name),
        Language::Flux => format!(
            "import \"influxdata/influxdb/schema\"\n\nschema.tagValues(bucket: {}, tag: {}, predicate: (r) => {}, start: -7d)",
            flux_text(series.bucket.as_deref().unwrap_or_default()),
            flux_text(&tag.name),
            flux_measurement(field),
        ),
        Language::InfluxQl => {
            format!("SHOW TAG VALUES FROM {} WITH KEY = {}", from(field), quoted(&tag.name))
        }
    }
}

/// The newest value of each series, for an alert; `lasting` is how long its condition must hold.
pub fn of_alert(series: &Series, subject: &Subject, lasting: Duration) -> String {
    let name = match subject {
        Subject::Query(query) => return query.trim().to_owned(),
        Subject::Field(name) => name,
    };
    let Some(field) = series.field(name) else { return String::new() };
    match series.language {
        Language::PromQl => selector(field, false),
        Language::Flux => {
            let mut flux = flux_from(series, field, "v.timeRangeStart, stop: v.timeRangeStop");
            flux_field(field, &mut flux);
            if field.kind == FieldKind::Boolean {
                flux.push_str(FLUX_OF_BOOLEAN);
            }
            flux.push_str("\n    |> last()");
            flux
        }
        Language::InfluxQl => format!(
            "SELECT last({}) FROM {} WHERE time > now() - {}s{}",
            quoted(name),
            from(field),
            lasting.max(FRESH).as_secs(),
            group_by(field, ""),
        ),
    }
}

const FLUX_OF_BOOLEAN: &str =
    "\n    |> map(fn: (r) => ({r with _value: if r._value then 1.0 else 0.0}))";

/// A bucket and a span; what follows `start:`.
pub(super) fn flux_from(series: &Series, field: &Field, start: &str) -> String {
    let bucket = flux_text(series.bucket.as_deref().unwrap_or_default());
    format!(
        "from(bucket: {bucket})\n    |> range(start: {start})\n    |> filter(fn: (r) => {})",
        flux_measurement(field)
    )
}

/// Narrows to a field, with a boolean left as it is.
pub(super) fn flux_field(field: &Field, flux: &mut String) {
    let _ = write!(flux, "\n    |> filter(fn: (r) => r._field == {})", flux_text(&field.name));
}

/// Narrows by the dashboard's variables.
fn flux_narrowed(field: &Field, flux: &mut String) {
    for tag in &field.tags {
        let column = flux_text(&tag.name);
        let variable = &tag.variable;
        let _ = write!(
            flux,
            "\n    |> filter(fn: (r) => not exists r[{column}] or r[{column}] =~ /^${{{variable}:regex}}$/)"
        );
    }
}

fn flux_measurement(field: &Field) -> String {
    match &field.measurement {
        Name::Is(name) => format!("r._measurement == {}", flux_text(name)),
        Name::Matches(pattern) => {
            format!("r._measurement =~ /^{}$/", pattern.replace('/', "\\/"))
        }
    }
}

/// A text of Flux, in which `${` begins an expression.
pub(super) fn flux_text(text: &str) -> String {
    format!("\"{}\"", flux_escaped(text))
}

/// What stands between the quotes of a text of Flux.
pub(super) fn flux_escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${")
}

/// InfluxQL's conditions by the dashboard's variables. A variable's `All` stands for every text, and a missing
/// tag is an empty one to InfluxQL.
fn narrowed(field: &Field) -> String {
    let tags = field.tags.iter();
    let narrowed = tags.map(|tag| format!(" AND {} =~ /^${}$/", quoted(&tag.name), tag.variable));
    narrowed.collect::<Vec<_>>().concat()
}

/// An InfluxQL identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn from(field: &Field) -> String {
    match &field.measurement {
        Name::Is(name) => quoted(name),
        Name::Matches(pattern) => format!("/^{}$/", pattern.replace('/', "\\/")),
    }
}

fn group_by(field: &Field, window: &str) -> String {
    let window = (!window.is_empty()).then(|| window.to_owned());
    let by: Vec<_> =
        window.into_iter().chain(field.tags.iter().map(|tag| quoted(&tag.name))).collect();
    if by.is_empty() { String::new() } else { format!(" GROUP BY {}", by.join(", ")) }
}

/// The series of a field; `narrowed` by the dashboard's variables.
fn selector(field: &Field, narrowed: bool) -> String {
    let mut matchers = Vec::new();
    let mut metric = "";
    match &field.metric {
        Some(Name::Is(name)) if is_legal_name(name, true) => metric = name,
        Some(Name::Is(name)) => matchers.push(format!("__name__={}", prom_text(name))),
        Some(Name::Matches(pattern)) => {
            matchers.push(format!("__name__=~{}", prom_text(&format!("^{pattern}$"))));
        }
        None => {}
    }
    if narrowed {
        matchers.extend(field.tags.iter().map(|tag| {
            let label = if is_legal_name(&tag.name, false) {
                tag.name.clone()
            } else {
                prom_text(&tag.name)
            };
            format!("{label}=~\"${}\"", tag.variable)
        }));
    }
    if matchers.is_empty() {
        metric.to_owned()
    } else {
        format!("{metric}{{{}}}", matchers.join(","))
    }
}

fn prom_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
