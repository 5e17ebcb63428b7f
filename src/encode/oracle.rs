//! Remote write as somebody else's protobuf reads it, for tests and fuzzing. Needs nothing but prost, so
//! that the tests with servers take this very file.

/// From the remote write 1.0 specification.
pub(crate) mod v1 {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(crate) timeseries: Vec<TimeSeries>,
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
