use super::*;
use crate::decode::points::tests::{read, samples};

fn points_of(payload: &[u8], not_finite: bool) -> Result<Vec<String>, String> {
    read(|each| points(payload, samples(not_finite), each))
}

/// A request with one metric, in JSON.
fn metric(metric: &str) -> String {
    let resource = r#"{"attributes":[{"key":"host","value":{"stringValue":"a"}}]}"#;
    format!(
        r#"{{"resourceMetrics":[{{"resource":{resource},"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#
    )
}

fn points_of_metric(text: &str) -> Result<Vec<String>, String> {
    points_of(metric(text).as_bytes(), false)
}

#[test]
fn a_number_is_the_field_value() {
    let text = r#"{"name":"m","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
        {"timeUnixNano":"5","asInt":"-7","attributes":[{"key":"host","value":{"stringValue":"own"}},
         {"key":"n","value":{"intValue":"3"}},{"key":"d","value":{"doubleValue":0.5}},
         {"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{"stringValue":"x"}]}}},
         {"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"bytesValue":"AQI="}}]}}},
         {"key":"none"},{"key":"empty","value":{}}]},
        {"asDouble":1.5}]}}"#;
    assert_eq!(
        points_of_metric(text).unwrap(),
        [
            r#"m{d="0.5",host="own",l="[true,\"x\"]",m="{\"k\":\"AQI=\"}",n="3"} value=-7 5"#,
            r#"m{host="a"} value=1.5 1795658400000000000"#,
        ]
    );
}

#[test]
fn a_histogram_has_cumulative_buckets() {
    let text = r#"{"name":"h","histogram":{"dataPoints":[{"timeUnixNano":5,"count":"6","sum":9.5,"max":4,
        "bucketCounts":["1","2","3"],"explicitBounds":[0.5,10]}]}}"#;
    assert_eq!(
        points_of_metric(text).unwrap(),
        [
            r#"h{host="a"} count=6,max=4,sum=9.5 5"#,
            r#"h{host="a",le="0.5"} bucket=1 5"#,
            r#"h{host="a",le="10"} bucket=3 5"#,
            r#"h{host="a",le="+Inf"} bucket=6 5"#,
        ]
    );
    let text = r#"{"name":"h","histogram":{"dataPoints":[{"count":1,"bucketCounts":[1],"explicitBounds":[1]}]}}"#;
    let why = "a histogram with other than one bucket more than bounds";
    assert_eq!(points_of_metric(text).unwrap_err(), why);
}

#[test]
fn an_exponential_histogram_has_the_buckets_that_are_not_empty() {
    let text = r#"{"name":"e","exponentialHistogram":{"dataPoints":[{"timeUnixNano":5,"count":7,"scale":0,
        "zeroCount":1,"positive":{"offset":1,"bucketCounts":[2,0,3]},"negative":{"bucketCounts":["1"]}}]}}"#;
    assert_eq!(
        points_of_metric(text).unwrap(),
        [
            r#"e{host="a"} count=7 5"#,
            r#"e{host="a",le="-1"} bucket=1 5"#,
            r#"e{host="a",le="0"} bucket=2 5"#,
            r#"e{host="a",le="4"} bucket=4 5"#,
            r#"e{host="a",le="16"} bucket=7 5"#,
            r#"e{host="a",le="+Inf"} bucket=7 5"#,
        ]
    );
}

#[test]
fn a_summary_has_quantiles() {
    let text = r#"{"name":"s","summary":{"dataPoints":[{"timeUnixNano":5,"count":"2","sum":3,
        "quantileValues":[{"quantile":0.5,"value":1},{"quantile":0.99,"value":"NaN"}]}]}}"#;
    let expected = [r#"s{host="a"} count=2,sum=3 5"#, r#"s{host="a",quantile="0.5"} value=1 5"#];
    assert_eq!(points_of_metric(text).unwrap(), expected);
}

#[test]
fn a_point_without_a_recorded_value_ends_its_series() {
    let text = metric(r#"{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":5,"flags":1}]}}"#);
    assert_eq!(points_of(text.as_bytes(), true).unwrap(), [r#"m{host="a"} value=Stale 5"#]);
    assert_eq!(points_of(text.as_bytes(), false).unwrap(), [""; 0]);
}

#[test]
fn what_is_no_request_is_rejected() {
    for text in [
        r#"{"name":"m"}"#,
        r#"{"name":"m","gauge":{"dataPoints":[{"asInt":"x"}]}}"#,
        r#"{"name":"m","gauge":{"dataPoints":[{}]}}"#,
        r#"{"name":"","gauge":{"dataPoints":[]}}"#,
        r#"{"name":"m","histogram":{"dataPoints":[{"count":"-1"}]}}"#,
    ] {
        assert!(points_of_metric(text).is_err(), "{text}");
    }
    assert!(points_of(b"{", false).is_err() && points_of(b"\xFF\xFF", false).is_err());
}
