use crate::config::raw::FieldKind;
use crate::config::{Environment, Process, load_text};

use super::Shape;

/// What a connector with these processors writes, a word for each tag and field.
fn after(process: &str) -> String {
    let text = format!(
        "topics: [t]\nkafka: {{ bootstrap.servers: localhost:9092 }}\nsink: {{ blackhole: {{}} }}
point:
  measurement: m
  tags: {{ site: site, device: device }}
  fields: {{ t: t, n: {{ path: n, type: integer }}, on: {{ path: on, type: boolean }} }}
process:\n{process}"
    );
    let connector = load_text("c.yaml", &text, &Process::default(), &Environment::process())
        .unwrap_or_else(|errors| panic!("{errors}"));
    let Shape { tags, fields, .. } = Shape::of(&connector.mapping.points[0], &connector.process);
    let kind = |kind| match kind {
        FieldKind::Float => "f",
        FieldKind::Integer => "i",
        FieldKind::Unsigned => "u",
        FieldKind::Boolean => "b",
        FieldKind::String => "s",
    };
    let fields = fields.iter().map(|(name, of)| format!("{name}:{}", kind(*of)));
    format!("{} | {}", tags.join(" "), fields.collect::<Vec<_>>().join(" "))
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
