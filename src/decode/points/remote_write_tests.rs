use std::sync::Arc;

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::batch::{Batch, OpenBatch, RecordIndex};
use crate::decode::points::tests::{read, samples};
use crate::encode::oracle::{self, v1};
use crate::encode::remote_write::v2;
use crate::encode::{Encoder, Metadata, RemoteWrite};

fn read_points(payload: &[u8]) -> Result<Vec<String>, String> {
    read(|each| points(payload, samples(true), each))
}

/// The same samples, as the encoder of remote write writes them.
fn again(payload: &[u8]) -> Batch {
    let mut encoder = Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()));
    let mut open = OpenBatch::default();
    let taken = points(payload, samples(true), &mut |point| {
        encoder.encode(&point, RecordIndex(0), &mut open)?;
        Ok(())
    });
    taken.unwrap();
    encoder.close(&mut open)
}

fn label(name: &str, value: &str) -> v1::Label {
    v1::Label { name: name.into(), value: value.into() }
}

fn series(labels: Vec<v1::Label>, samples: &[(f64, i64)]) -> v1::WriteRequest {
    let samples =
        samples.iter().map(|&(value, timestamp)| v1::Sample { value, timestamp }).collect();
    v1::WriteRequest { timeseries: vec![v1::TimeSeries { labels, samples }], metadata: Vec::new() }
}

#[test]
fn a_sample_is_a_point_of_the_metrics_name() {
    let labels = vec![label("job", "a b"), label("empty", ""), label("__name__", "up")];
    let stale = f64::from_bits(STALE);
    let request = series(labels, &[(1.0, 5), (stale, 6), (f64::NEG_INFINITY, -1)]).encode_to_vec();
    let expected = [
        "up{job=\"a b\"} value=1 5000000",
        "up{job=\"a b\"} value=Stale 6000000",
        "up{job=\"a b\"} value=-inf -1000000",
    ];
    assert_eq!(read_points(&request).unwrap(), expected);
    let compressed = snap::raw::Encoder::new().compress_vec(&request).unwrap();
    assert_eq!(read_points(&compressed).unwrap(), expected);
    let finite = read(|each| points(&request, samples(false), each));
    assert_eq!(finite.unwrap(), expected[..1]);
}

#[test]
fn what_is_no_request_is_rejected() {
    let nameless = series(vec![label("a", "b")], &[(1.0, 1)]).encode_to_vec();
    assert_eq!(read_points(&nameless).unwrap_err(), "a series without a metric's name");
    let twice = vec![label("__name__", "a"), label("b", "1"), label("b", "2")];
    let twice = series(twice, &[(1.0, 1)]).encode_to_vec();
    assert_eq!(read_points(&twice).unwrap_err(), "tag \"b\" is there twice");
    let late = series(vec![label("__name__", "a")], &[(1.0, i64::MAX)]).encode_to_vec();
    assert_eq!(read_points(&late).unwrap_err(), OUT_OF_RANGE);
    let why = "neither a remote write request of 1.0 nor of 2.0";
    assert_eq!(read_points(&[0x12, 0]).unwrap_err(), why);
    // A series of 2.0 whose label refers to no symbol.
    assert_eq!(read_points(&[0x2A, 4, 0x0A, 2, 1, 2]).unwrap_err(), "a label without its symbol");
    for end in 1..late.len() {
        assert!(read_points(&late[..end]).is_err(), "{end}");
    }
    for text in [&b"{}"[..], b"m f=1", &[0xFF; 20], &[0x0B], &[0x0A]] {
        assert!(read_points(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_native_histogram_is_a_classic_one() {
    // schema 0; buckets 1 (1, 2], 2 (2, 4] and 5 (16, 32] with 2, 3 and 1; a zero bucket with 1.
    let varint = |field: u8, number: u8| vec![field << 3, number];
    let double = |field: u8, number: f64| [&[field << 3 | 1][..], &number.to_le_bytes()].concat();
    let bytes = |field: u8, bytes: &[u8]| {
        [&[field << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let histogram = [
        varint(1, 7),
        double(3, 40.5),
        varint(4, 0),
        double(5, 0.001),
        varint(6, 1),
        bytes(11, &[varint(1, 2), varint(2, 2)].concat()),
        bytes(11, &[varint(1, 4), varint(2, 1)].concat()),
        bytes(12, &[4, 2, 3]),
        varint(15, 5),
    ];
    let histogram = histogram.concat();
    let name = bytes(1, &[bytes(1, b"__name__"), bytes(2, b"h")].concat());
    let request = bytes(1, &[name, bytes(4, &histogram)].concat());
    assert_eq!(
        read_points(&request).unwrap(),
        [
            "h_bucket{le=\"0.001\"} value=1 5000000",
            "h_bucket{le=\"2\"} value=3 5000000",
            "h_bucket{le=\"4\"} value=6 5000000",
            "h_bucket{le=\"32\"} value=7 5000000",
            "h_bucket{le=\"+Inf\"} value=7 5000000",
            "h_sum{} value=40.5 5000000",
            "h_count{} value=7 5000000",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// By way of points, and by 1.0 as well as 2.0, nothing is lost that a receiver would have stored.
    #[test]
    fn samples_pass_through_as_they_are(
        name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,9}",
        labels in prop::collection::btree_map("[A-Za-z][a-z0-9_]{0,5}", "[ -~é]{1,8}", 0..5),
        value in prop::num::f64::ANY.prop_filter("one NaN is as good as another", |number| !number.is_nan()),
        millis in prop::collection::vec(-1_000_000_000_000i64..4_000_000_000_000, 1..4),
    ) {
        let mut labels: Vec<_> = labels.iter().map(|(name, value)| label(name, value)).collect();
        labels.push(label("__name__", &name));
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        let mut millis = millis;
        millis.sort_unstable();
        millis.dedup();
        let taken: Vec<_> = millis.iter().map(|millis| (value, *millis)).collect();
        let request = series(labels, &taken).encode_to_vec();
        let expected = oracle::samples(&request).unwrap();
        let batch = again(&request);
        prop_assert_eq!(&oracle::samples(&batch.body()).unwrap(), &expected);
        let second = v2::request(&batch, &Metadata::default(), 1).unwrap();
        prop_assert_eq!(&oracle::samples(&again(&second).body()).unwrap(), &expected);
    }

    #[test]
    fn any_bytes_are_read_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read_points(&bytes);
    }
}
