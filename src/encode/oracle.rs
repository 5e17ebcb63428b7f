//! Remote write as somebody else's protobuf reads it, for tests and fuzzing. Needs nothing but prost, so
//! that the tests with servers take this very file.

/// From the remote write 1.0 specification.
pub(crate) mod v1 {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(crate) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) metadata: Vec<MetricMetadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct MetricMetadata {
        #[prost(int32, tag = "1")]
        pub(crate) kind: i32,
        #[prost(string, tag = "2")]
        pub(crate) metric_family_name: String,
        #[prost(string, tag = "4")]
        pub(crate) help: String,
        #[prost(string, tag = "5")]
        pub(crate) unit: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) samples: Vec<Sample>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Label {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(string, tag = "2")]
        pub(crate) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Sample {
        #[prost(double, tag = "1")]
        pub(crate) value: f64,
        #[prost(int64, tag = "2")]
        pub(crate) timestamp: i64,
    }
}

/// From the remote write 2.0 specification.
pub(crate) mod v2 {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(crate) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(crate) timeseries: Vec<TimeSeries>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct TimeSeries {
        #[prost(uint32, repeated, tag = "1")]
        pub(crate) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) samples: Vec<Sample>,
        #[prost(message, optional, tag = "5")]
        pub(crate) metadata: Option<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Sample {
        #[prost(double, tag = "1")]
        pub(crate) value: f64,
        #[prost(int64, tag = "2")]
        pub(crate) timestamp: i64,
        #[prost(int64, tag = "3")]
        pub(crate) start_timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(crate) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(crate) help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub(crate) unit_ref: u32,
    }
}

/// A sample with its series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
    pub(crate) millis: i64,
}

/// The samples of a request, in its order; an error when it is none.
pub(crate) fn samples(body: &[u8]) -> Result<Vec<Sample>, prost::DecodeError> {
    let request: v1::WriteRequest = prost::Message::decode(body)?;
    let series = request.timeseries.into_iter().flat_map(|series| {
        let labels: Vec<_> = series.labels.into_iter().map(|l| (l.name, l.value)).collect();
        series.samples.into_iter().map(move |sample| Sample {
            labels: labels.clone(),
            value: sample.value,
            millis: sample.timestamp,
        })
    });
    Ok(series.collect())
}

/// The same of a request of 2.0, whose references must point to symbols.
#[allow(dead_code, reason = "not every one who takes this file has requests of both")]
pub(crate) fn samples_of_v2(body: &[u8]) -> Result<Vec<Sample>, prost::DecodeError> {
    let request: v2::Request = prost::Message::decode(body)?;
    let symbol = |number: u32| request.symbols[number as usize].clone();
    let series = request.timeseries.iter().flat_map(|series| {
        let pairs = series.labels_refs.chunks(2);
        let labels: Vec<_> = pairs.map(|pair| (symbol(pair[0]), symbol(pair[1]))).collect();
        series.samples.iter().map(move |sample| Sample {
            labels: labels.clone(),
            value: sample.value,
            millis: sample.timestamp,
        })
    });
    Ok(series.collect())
}
