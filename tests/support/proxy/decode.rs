//! The points of a request's body, in the two formats.

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

#[path = "../../../src/encode/oracle.rs"]
mod oracle;

/// Snappy's block format around a `WriteRequest`.
pub fn remote_write(body: &[u8]) -> Vec<Point> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
    let samples = oracle::samples(&plain).expect("a WriteRequest");
    let point = |sample: oracle::Sample| {
        let label = sample.labels.iter().find(|(name, _)| name == "series");
        let series = label.expect("a label `series`").1.parse();
        Point { series: series.expect("a number in the label `series`"), at: sample.millis }
    };
    samples.into_iter().map(point).collect()
}
