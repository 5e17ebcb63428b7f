//! Requests of 2.0, as prost reads them.

use super::*;
use crate::config::raw::MetricType;
use crate::encode::oracle;
use crate::encode::oracle::v2::{Metadata as WireMetadata, Request, Sample};

fn request(batch: &Batch, metadata: &Metadata) -> Request {
    Request::decode(&*super::super::v2::request(batch, metadata, 7).unwrap()).unwrap()
}

#[test]
fn a_request_is_that_of_the_specification() {
    let points = [
        point("m", &[("a", "m_g"), ("b", "x")], &[("f", 0.5), ("g", -1.0)], 7),
        point("m", &[("a", "y"), ("b", "x")], &[("f", 2.0)], 8),
    ];
    let request = request(&batch(&points), &Metadata::default());
    assert_eq!(request.symbols, ["", "__name__", "m_f", "a", "m_g", "b", "x", "y"]);
    let series = |labels_refs: &[u32], value, timestamp| oracle::v2::TimeSeries {
        labels_refs: labels_refs.to_vec(),
        samples: vec![Sample { value, timestamp, start_timestamp: 0 }],
        metadata: Some(WireMetadata { kind: 2, help_ref: 0, unit_ref: 0 }),
    };
    assert_eq!(
        request.timeseries,
        [
            series(&[1, 2, 3, 4, 5, 6], 0.5, 7),
            series(&[1, 4, 3, 4, 5, 6], -1.0, 7),
            series(&[1, 2, 3, 7, 5, 6], 2.0, 8)
        ]
    );
}

#[test]
fn what_is_known_of_a_metric_goes_with_its_samples() {
    let about = |kind, help: &str, unit: &str| MetricMetadata {
        kind,
        help: help.into(),
        unit: unit.into(),
    };
    let metadata = Metadata(
        [
            ("m_f".into(), about(MetricType::Counter, "Cycles.", "")),
            ("m_g".into(), about(MetricType::Unknown, "", "celsius")),
            ("m_x".into(), about(MetricType::Info, "nobody's", "")),
        ]
        .into(),
    );
    let point = point("m", &[], &[("f", 1.0), ("g", 2.0), ("h", 3.0)], 7);
    let request = request(&batch(&[point]), &metadata);
    let known = |series: &oracle::v2::TimeSeries| {
        let WireMetadata { kind, help_ref, unit_ref } = series.metadata.clone().unwrap();
        let symbol = |number: u32| request.symbols[number as usize].clone();
        (kind, symbol(help_ref), symbol(unit_ref))
    };
    let expected = [(1, "Cycles.", ""), (0, "", "celsius"), (2, "", "")];
    let expected = expected.map(|(kind, help, unit)| (kind, help.to_owned(), unit.to_owned()));
    assert_eq!(request.timeseries.iter().map(known).collect::<Vec<_>>(), expected);
    assert!(!request.symbols.contains(&"nobody's".to_owned()));
}

#[test]
fn what_was_not_encoded_for_it_makes_no_request() {
    let mut open = OpenBatch { bytes: b"m f=1 7\n".to_vec(), items: Vec::new() };
    open.end_item(RecordIndex(0));
    assert_eq!(super::super::v2::request(&open.close(), &Metadata::default(), 7), None);
}

#[test]
fn a_write_of_nothing_is_a_request_too() {
    let request = request(&Batch::empty(), &Metadata::default());
    assert_eq!((request.symbols, request.timeseries), (vec![String::new()], Vec::new()));
}
