//! The points of a request's body, in the two formats.

use prost::Message;

use super::Point;

/// `measurement,series=17 reading=1.5 1700000000000000000`, not compressed, in nanoseconds.
pub fn line_protocol(body: &[u8]) -> Vec<Point> {
    let text = std::str::from_utf8(body).expect("line protocol is UTF-8");
    text.lines()
        .map(|line| {
            let mut parts = line.split(' ');
            let key = parts.next().expect("a series key");
            let nanoseconds: i64 = parts.nth(1).expect("a timestamp").parse().expect(line);
            let series = key.split(',').find_map(|tag| tag.strip_prefix("series=")).expect(line);
            Point { series: series.parse().expect(line), at: nanoseconds / 1_000_000 }
        })
        .collect()
}

/// Remote write 1.0, of which the test needs these parts.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Snappy's block format around a `WriteRequest`.
pub fn remote_write(body: &[u8]) -> Vec<Point> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
    let request = WriteRequest::decode(plain.as_slice()).expect("a WriteRequest");
    let mut points = Vec::new();
    for entry in request.timeseries {
        let label = entry.labels.iter().find(|label| label.name == "series");
        let series = label.expect("a label `series`").value.parse();
        let series = series.expect("a number in the label `series`");
        let at = entry.samples.iter().map(|sample| sample.timestamp);
        points.extend(at.map(|at| Point { series, at }));
    }
    points
}
