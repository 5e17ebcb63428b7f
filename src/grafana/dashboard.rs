//! A dashboard for one connector: a panel for each field, its tags as variables.

use serde_json::{Value, json};

use super::query::Side;
use super::series::{Field, Language, Series};
use super::{OWNED, query, uid};
use crate::config::raw::FieldKind;

/// As of Grafana 11; newer ones migrate it when they load it.
const SCHEMA: u32 = 39;
/// Grafana's grid is 24 wide: two panels a row.
const WIDTH: usize = 12;
const HEIGHT: usize = 8;
/// The query of a panel that finds anomalies, and those that find what is usual.
const ANOMALIES: &str = "Anomalies";
const LOW: &str = "Low";
const HIGH: &str = "High";
/// Of a panel with a band.
const BAND: &str = "Shaded is what was usual; of several series, from the lowest bound to the highest. A tag's variable shows one alone.";

/// The dashboard of a connector.
pub fn dashboard(series: &Series) -> Value {
    let kind = series.language.data_source();
    let variables = series.tags.iter().map(|tag| variable(series, tag));
    let variables: Vec<_> = std::iter::once(data_source(kind)).chain(variables).collect();
    let panels: Vec<_> = series
        .fields
        .iter()
        .filter(|field| !series.is_of_band(field))
        .enumerate()
        .map(|(index, field)| {
            let mut targets = vec![target(series.language, "A", &query::of_panel(series, field))];
            let band = series.band(field);
            for (side, bound) in &band {
                let name = match side {
                    Side::Low => LOW,
                    Side::High => HIGH,
                };
                targets.push(target(series.language, name, &query::of_band(series, bound, *side)));
            }
            if let Some(anomaly) = series.anomaly(field) {
                let text = query::of_anomalies(series, field, anomaly);
                targets.push(target(series.language, ANOMALIES, &text));
            }
            let kind = match field.kind {
                FieldKind::String => Chart::Table,
                FieldKind::Boolean => Chart::Switch,
                _ => Chart::Line { unit: unit(field) },
            };
            let description = if band.is_empty() { "" } else { BAND };
            let source = series.language.data_source();
            panel(index, &field.name, description, &kind, source, &targets)
        })
        .collect();
    let title = format!("Tidegate: {}", series.connector);
    frame(&uid(&["tidegate", &series.connector]), &title, &variables, &panels)
}

/// What a panel looks like.
pub(super) enum Chart {
    Line { unit: &'static str },
    Switch,
    Table,
}

/// A whole dashboard.
pub(super) fn frame(uid: &str, title: &str, variables: &[Value], panels: &[Value]) -> Value {
    json!({
        "uid": uid,
        "title": title,
        "description": "Made by `tidegate grafana` from the connector's configuration; changes by hand are lost at the next run.",
        "tags": [OWNED.1],
        "editable": true,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA,
        "timezone": "browser",
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": variables },
        "panels": panels,
        "annotations": { "list": [] },
        "links": [],
    })
}

/// The variable by which the data source is chosen, so that the dashboard knows no uid.
pub(super) fn data_source(kind: &str) -> Value {
    json!({ "name": "datasource", "label": "Data source", "type": "datasource", "query": kind,
        "current": {}, "hide": 0, "refresh": 1 })
}

fn variable(series: &Series, tag: &super::series::Tag) -> Value {
    let text = query::of_variable(series, tag);
    let kind = series.language.data_source();
    let query = match series.language {
        Language::PromQl => {
            json!({ "qryType": 1, "query": text, "refId": "PrometheusVariableQueryEditor-VariableQuery" })
        }
        Language::Flux | Language::InfluxQl => Value::from(text),
    };
    json!({
        "name": tag.variable, "label": tag.name, "type": "query", "query": query,
        "datasource": { "type": kind, "uid": "${datasource}" },
        // Everything, and series without the tag as well.
        "includeAll": true, "allValue": ".*", "multi": true,
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        "refresh": 2, "sort": 1, "hide": 0,
    })
}

/// A panel's query.
pub(super) fn target(language: Language, name: &str, text: &str) -> Value {
    match language {
        Language::PromQl => json!({ "refId": name, "expr": text, "range": true }),
        Language::Flux => json!({ "refId": name, "query": text }),
        Language::InfluxQl => {
            json!({ "refId": name, "query": text, "rawQuery": true, "resultFormat": "time_series" })
        }
    }
}

/// The panel at a place in the grid, counted row by row.
pub(super) fn panel(
    index: usize,
    title: &str,
    description: &str,
    chart: &Chart,
    data_source: &str,
    targets: &[Value],
) -> Value {
    let (kind, unit) = match chart {
        Chart::Line { unit } => ("timeseries", *unit),
        Chart::Switch => ("timeseries", "bool_on_off"),
        Chart::Table => ("table", ""),
    };
    let custom = match chart {
        Chart::Line { .. } => json!({ "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto" }),
        Chart::Switch => json!({ "lineWidth": 1, "lineInterpolation": "stepAfter" }),
        Chart::Table => json!({}),
    };
    let mut defaults = json!({ "custom": custom });
    if !unit.is_empty() {
        defaults["unit"] = Value::from(unit);
    }
    json!({
        "id": index + 1,
        "type": kind,
        "title": title,
        "description": description,
        "datasource": { "type": data_source, "uid": "${datasource}" },
        "gridPos": { "x": index % 2 * WIDTH, "y": index / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT },
        "fieldConfig": { "defaults": defaults, "overrides": overrides(targets) },
        "options": {},
        "targets": targets,
    })
}

/// How the lines of some queries look: the band behind the values, and red dots on top of them.
fn overrides(targets: &[Value]) -> Vec<Value> {
    let has = |name: &str| targets.iter().any(|target| target["refId"] == name);
    let is_shaded = has(LOW) && has(HIGH);
    let bound = |name: &str, fill_opacity: u8| {
        let line = if is_shaded {
            json!({ "id": "custom.lineWidth", "value": 0 })
        } else {
            json!({ "id": "custom.lineStyle", "value": { "fill": "dash", "dash": [4, 4] } })
        };
        json!([
            // By which the other side finds it.
            { "id": "displayName", "value": name },
            { "id": "color", "value": { "mode": "fixed", "fixedColor": "gray" } },
            { "id": "custom.showPoints", "value": "never" },
            { "id": "custom.hideFrom", "value": { "legend": true, "tooltip": false, "viz": false } },
            { "id": "custom.fillOpacity", "value": fill_opacity },
            line,
        ])
    };
    let low = bound("Lower bound", 0);
    let mut high = bound("Upper bound", if is_shaded { 20 } else { 0 });
    if let (true, Some(high)) = (is_shaded, high.as_array_mut()) {
        high.push(json!({ "id": "custom.fillBelowTo", "value": "Lower bound" }));
    }
    let anomalies = json!([
        { "id": "custom.drawStyle", "value": "points" },
        { "id": "custom.pointSize", "value": 8 },
        { "id": "color", "value": { "mode": "fixed", "fixedColor": "red" } },
    ]);
    let all = [(LOW, low), (HIGH, high), (ANOMALIES, anomalies)].into_iter();
    all.filter(|(name, _)| has(name))
        .map(|(name, properties)| {
            json!({ "matcher": { "id": "byFrameRefID", "options": name }, "properties": properties })
        })
        .collect()
}

/// Grafana's unit of a field: what its metadata says, or how its name ends. None is better than a wrong
/// one.
fn unit(field: &Field) -> &'static str {
    const UNITS: &[(&str, &str)] = &[
        ("nanoseconds", "ns"),
        ("ns", "ns"),
        ("microseconds", "µs"),
        ("us", "µs"),
        ("milliseconds", "ms"),
        ("ms", "ms"),
        ("seconds", "s"),
        ("bytes", "bytes"),
        ("bits", "bits"),
        ("percent", "percent"),
        ("ratio", "percentunit"),
        ("celsius", "celsius"),
        ("fahrenheit", "fahrenheit"),
        ("volts", "volt"),
        ("amperes", "amp"),
        ("watts", "watt"),
        ("hertz", "hertz"),
        ("pascals", "pressurepa"),
        ("hpa", "pressurehpa"),
        ("meters", "lengthm"),
    ];
    let told = field.unit.as_deref().unwrap_or_else(|| field.name.rsplit('_').next().unwrap_or(""));
    let known = UNITS.iter().find(|(name, _)| told.eq_ignore_ascii_case(name));
    known.map_or("short", |(_, unit)| unit)
}
