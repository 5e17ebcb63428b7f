//! The messages of OTLP metrics (opentelemetry/proto/metrics/v1/metrics.proto, 1.3), in protobuf and in
//! JSON, as far as points are made of them.

use serde::{Deserialize, Deserializer};

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    #[serde(default)]
    pub(super) scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
pub(super) struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    #[serde(default)]
    pub(super) metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
pub(super) struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    #[serde(flatten)]
    pub(super) value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::enum_variant_names, reason = "they are the keys in JSON")]
pub(super) enum Any {
    #[prost(string, tag = "1")]
    StringValue(String),
    #[prost(bool, tag = "2")]
    BoolValue(bool),
    #[prost(int64, tag = "3")]
    IntValue(#[serde(deserialize_with = "number")] i64),
    #[prost(double, tag = "4")]
    DoubleValue(#[serde(deserialize_with = "number")] f64),
    #[prost(message, tag = "5")]
    ArrayValue(ArrayValue),
    #[prost(message, tag = "6")]
    KvlistValue(KeyValueList),
    #[prost(bytes, tag = "7")]
    BytesValue(#[serde(deserialize_with = "base64")] Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
pub(super) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) values: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
pub(super) struct Metric {
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub(super) name: String,
    #[prost(oneof = "Data", tags = "5, 7, 9, 10, 11")]
    #[serde(flatten)]
    pub(super) data: Option<Data>,
}

#[derive(Clone, PartialEq, prost::Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Data {
    #[prost(message, tag = "5")]
    Gauge(Numbers),
    #[prost(message, tag = "7")]
    Sum(Numbers),
    #[prost(message, tag = "9")]
    Histogram(Histogram),
    #[prost(message, tag = "10")]
    ExponentialHistogram(ExponentialHistogram),
    #[prost(message, tag = "11")]
    Summary(Summary),
}

/// A gauge or a sum: what else a sum says (monotonic, delta or cumulative) no point has a place for.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Numbers {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) data_points: Vec<NumberPoint>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Histogram {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) data_points: Vec<HistogramPoint>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExponentialHistogram {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) data_points: Vec<ExponentialPoint>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) data_points: Vec<SummaryPoint>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NumberPoint {
    #[prost(message, repeated, tag = "7")]
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "3")]
    #[serde(default, deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[prost(oneof = "Number", tags = "4, 6")]
    #[serde(flatten)]
    pub(super) value: Option<Number>,
    #[prost(uint32, tag = "8")]
    #[serde(default)]
    pub(super) flags: u32,
}

#[derive(Clone, Copy, PartialEq, prost::Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Number {
    #[prost(double, tag = "4")]
    AsDouble(#[serde(deserialize_with = "number")] f64),
    #[prost(sfixed64, tag = "6")]
    AsInt(#[serde(deserialize_with = "number")] i64),
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistogramPoint {
    #[prost(message, repeated, tag = "9")]
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "3")]
    #[serde(default, deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    #[serde(default, deserialize_with = "number")]
    pub(super) count: u64,
    #[prost(double, optional, tag = "5")]
    #[serde(default, deserialize_with = "perhaps")]
    pub(super) sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    #[serde(default, deserialize_with = "numbers")]
    pub(super) bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    #[serde(default, deserialize_with = "numbers")]
    pub(super) explicit_bounds: Vec<f64>,
    #[prost(uint32, tag = "10")]
    #[serde(default)]
    pub(super) flags: u32,
    #[prost(double, optional, tag = "11")]
    #[serde(default, deserialize_with = "perhaps")]
    pub(super) min: Option<f64>,
    #[prost(double, optional, tag = "12")]
    #[serde(default, deserialize_with = "perhaps")]
    pub(super) max: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExponentialPoint {
    #[prost(message, repeated, tag = "1")]
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "3")]
    #[serde(default, deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    #[serde(default, deserialize_with = "number")]
    pub(super) count: u64,
    #[prost(double, optional, tag = "5")]
    #[serde(default, deserialize_with = "perhaps")]
    pub(super) sum: Option<f64>,
    #[prost(sint32, tag = "6")]
    #[serde(default)]
    pub(super) scale: i32,
    #[prost(fixed64, tag = "7")]
    #[serde(default, deserialize_with = "number")]
    pub(super) zero_count: u64,
    #[prost(message, optional, tag = "8")]
    pub(super) positive: Option<Side>,
    #[prost(message, optional, tag = "9")]
    pub(super) negative: Option<Side>,
    #[prost(uint32, tag = "10")]
    #[serde(default)]
    pub(super) flags: u32,
    #[prost(double, optional, tag = "12")]
    #[serde(default, deserialize_with = "perhaps")]
    pub(super) min: Option<f64>,
    #[prost(double, optional, tag = "13")]
    #[serde(default, deserialize_with = "perhaps")]
    pub(super) max: Option<f64>,
    #[prost(double, tag = "14")]
    #[serde(default, deserialize_with = "number")]
    pub(super) zero_threshold: f64,
}

/// The buckets of one sign.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Side {
    #[prost(sint32, tag = "1")]
    #[serde(default)]
    pub(super) offset: i32,
    #[prost(uint64, repeated, tag = "2")]
    #[serde(default, deserialize_with = "numbers")]
    pub(super) bucket_counts: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SummaryPoint {
    #[prost(message, repeated, tag = "7")]
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "3")]
    #[serde(default, deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    #[serde(default, deserialize_with = "number")]
    pub(super) count: u64,
    #[prost(double, tag = "5")]
    #[serde(default, deserialize_with = "number")]
    pub(super) sum: f64,
    #[prost(message, repeated, tag = "6")]
    #[serde(default)]
    pub(super) quantile_values: Vec<Quantile>,
    #[prost(uint32, tag = "8")]
    #[serde(default)]
    pub(super) flags: u32,
}

#[derive(Clone, Copy, PartialEq, prost::Message, Deserialize)]
pub(super) struct Quantile {
    #[prost(double, tag = "1")]
    #[serde(default, deserialize_with = "number")]
    pub(super) quantile: f64,
    #[prost(double, tag = "2")]
    #[serde(default, deserialize_with = "number")]
    pub(super) value: f64,
}

/// A number in protobuf's JSON: 64-bit integers are text, as are `NaN` and the infinities; readers take
/// either for any.
#[derive(Deserialize)]
#[serde(untagged)]
enum Spelled<T> {
    Number(T),
    Text(String),
}

impl<T: std::str::FromStr> Spelled<T> {
    fn read<E: serde::de::Error>(self) -> Result<T, E> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => {
                text.parse().map_err(|_| E::custom(format!("{text:?} is not a number in range")))
            }
        }
    }
}

fn number<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr + Deserialize<'de>,
{
    Spelled::deserialize(from)?.read()
}

fn perhaps<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Option::<Spelled<f64>>::deserialize(from)?.map(Spelled::read).transpose()
}

fn numbers<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr + Deserialize<'de>,
{
    Vec::<Spelled<T>>::deserialize(from)?.into_iter().map(Spelled::read).collect()
}

fn base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    use ::base64::Engine;
    let text = String::deserialize(from)?;
    ::base64::prelude::BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
}
