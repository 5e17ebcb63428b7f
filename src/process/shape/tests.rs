use crate::config::raw::FieldKind;
use crate::config::{Environment, Process, load_text};

use super::{Shape, Watched};

/// What a connector with these processors writes, a word for each tag and field.
fn after(process: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sites.csv");
    std::fs::write(&file, "device,owner,floor\nd1,north,2\n").unwrap();
    let file = file.display();
    let text = format!(
        "topics: [t]\nkafka: {{ bootstrap.servers: localhost:9092 }}\nsink: {{ blackhole: {{}} }}
point:
  measurement: m
  tags: {{ site: site, device: device }}
  fields: {{ t: t, n: {{ path: n, type: integer }}, on: {{ path: on, type: boolean }} }}
tables: {{ sites: {{ file: '{file}', key: device }} }}
process:\n{process}"
    );
    let connector = load_text("c.yaml", &text, &Process::default(), &Environment::process())
        .unwrap_or_else(|errors| panic!("{errors}"));
    let Shape { tags, fields, watched } =
        Shape::of(&connector.mapping.points[0], &connector.process);
    let kind = |kind| match kind {
        FieldKind::Float => "f",
        FieldKind::Integer => "i",
        FieldKind::Unsigned => "u",
        FieldKind::Boolean => "b",
        FieldKind::String => "s",
    };
    let fields = fields.iter().map(|(name, of)| format!("{name}:{}", kind(*of)));
    let watched = watched.iter().map(|Watched { field, anomaly, low, high }| {
        let between = match (low, high) {
            (None, None) => String::new(),
            (low, high) => {
                let name = |of: &Option<String>| of.clone().unwrap_or("?".into());
                format!(" between {} and {}", name(low), name(high))
            }
        };
        format!(" | {field} by {anomaly}{between}")
    });
    let watched = watched.collect::<Vec<_>>().concat();
    format!("{} | {}{watched}", tags.join(" "), fields.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_filter_changes_no_name() {
    assert_eq!(after("  - filter: t > 1"), "device site | n:i on:b t:f");
}

#[test]
fn a_window_has_its_aggregates_in_place_of_the_fields() {
    let window = "  - window: { size: 1m, fields: { n: [count, max, mean], on: [last] }";
    assert_eq!(
        after(&format!("{window} }}")),
        "device site | n_count:i n_max:i n_mean:f on_last:b"
    );
    assert_eq!(
        after(&format!("{window}, keep: true }}")),
        "device site | n:i on:b t:f n_count:i n_max:i n_mean:f on_last:b"
    );
}

#[test]
fn names_and_types_follow_what_is_done_to_them() {
    assert_eq!(
        after("  - rename: { site: place, t: temperature }\n  - drop: [on, device]"),
        "place | n:i temperature:f"
    );
    assert_eq!(after("  - cast: { t: integer }"), "device site | n:i on:b t:i");
    assert_eq!(
        after(
            "  - enrich: { table: sites, by: device, tags: [owner], fields: { floor: integer } }"
        ),
        "device site owner | n:i on:b t:f floor:i"
    );
    assert_eq!(
        after("  - rate: { fields: [n], per: 1s, within: 10m }"),
        "device site | n:i on:b t:f n_rate:f"
    );
}

#[test]
fn anomalies_are_told_of_their_field_whatever_it_is_called_later() {
    let anomaly = "  - anomaly: { field: t, method: bounds, above: 80 }";
    let (score, told) = ("t_score:f", "t_anomaly:b");
    assert_eq!(
        after(anomaly),
        format!("device site | n:i on:b t:f {score} {told} | t by t_anomaly")
    );
    assert_eq!(
        after(&format!("{anomaly}\n  - rename: {{ t: heat }}")),
        format!("device site | n:i on:b heat:f {score} {told} | heat by t_anomaly")
    );
}

#[test]
fn a_band_has_the_sides_that_there_are() {
    let with = |rules: &str| after(&format!("  - anomaly: {{ field: t, band: true, {rules} }}"));
    let before = "device site | n:i on:b t:f t_score:f t_anomaly:b";
    let both = format!("{before} t_low:f t_high:f | t by t_anomaly between t_low and t_high");
    assert_eq!(with("method: ewma"), both);
    assert_eq!(with("method: bounds, above: 80, bands: [{ hours: 8-18, below: 5 }]"), both);
    assert_eq!(
        with("method: bounds, above: 80"),
        format!("{before} t_high:f | t by t_anomaly between ? and t_high")
    );
    let renamed = "  - anomaly: { field: t, band: true, method: bounds, below: 1, name: x }
  - rename: { x_low: floor }";
    let before = "device site | n:i on:b t:f x_score:f x_anomaly:b floor:f";
    assert_eq!(after(renamed), format!("{before} | t by x_anomaly between floor and ?"));
}
