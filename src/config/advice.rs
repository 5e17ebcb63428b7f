//! What is allowed, and likely not meant.

use super::{Connector, Sink};
use crate::map::{Piece, PointRule, Source};

impl Connector {
    /// A sentence for each thing that is allowed, and likely not meant.
    pub fn advice(&self) -> Vec<&'static str> {
        let mut advice = Vec::new();
        if matches!(self.sink, Sink::Prometheus(_)) && self.mapping.points.iter().any(is_one_series)
        {
            advice.push(
                "no tag comes from the message, the key or the partition, so all records of a topic \
                 are one series; if the topic has several partitions, the samples have no order, and \
                 Prometheus refuses those that are late. Add a tag that tells them apart",
            );
        }
        advice
    }
}

/// Whether nothing but a record's topic tells its series from another record's.
fn is_one_series(mapping: &PointRule) -> bool {
    mapping.all_tags.is_empty()
        && !has_variety(&mapping.measurement.0)
        && !mapping.tags.iter().any(|tag| varies(&tag.source))
}

fn has_variety(template: &[Piece]) -> bool {
    template.iter().any(|piece| matches!(piece, Piece::Source(source) if varies(source)))
}

/// Whether it can differ between two records of a topic.
fn varies(source: &Source) -> bool {
    match source {
        Source::Constant(_) | Source::Topic => false,
        Source::Template(template) => has_variety(&template.0),
        Source::Value(_)
        | Source::Element(_)
        | Source::Header(_)
        | Source::Key
        | Source::Partition
        | Source::Offset
        | Source::Timestamp => true,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, Process, load_text};

    fn advice(measurement: &str, tags: &str, sink: &str) -> usize {
        let file = format!(
            "
topics: [a]
kafka: {{ bootstrap.servers: localhost }}
point: {{ measurement: '{measurement}', tags: {tags}, fields: {{ f: f }} }}
sink: {sink}
"
        );
        let environment = Environment::variables(|_| None);
        let connector = load_text("a.yaml", &file, &Process::default(), &environment).unwrap();
        connector.advice().len()
    }

    #[test]
    fn one_series_for_a_whole_topic_is_advised_against_where_order_matters() {
        let prometheus = "{ prometheus: { url: 'http://localhost:9090/api/v1/write' } }";
        let influxdb = "{ influxdb: { url: 'http://localhost:8086', org: o, bucket: b } }";
        let one = [("m", "{}"), ("{{ topic }}", "{ t: { constant: x }, u: { record: topic } }")];
        for (measurement, tags) in one {
            assert_eq!(advice(measurement, tags, prometheus), 1, "{measurement} {tags}");
            assert_eq!(advice(measurement, tags, influxdb), 0, "{measurement} {tags}");
        }
        let many = [
            ("m", "{ t: t }"),
            ("m", "{ t: { record: partition } }"),
            ("m", "{ t: { record: key } }"),
            ("m", "{ t: { header: h } }"),
            ("m", "{ t: 'x{{ value.k }}' }"),
            ("m_{{ value.kind }}", "{}"),
        ];
        for (measurement, tags) in many {
            assert_eq!(advice(measurement, tags, prometheus), 0, "{measurement} {tags}");
        }
    }
}
