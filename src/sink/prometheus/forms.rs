//! The forms in which a batch can be sent, and which of them the receiver has understood.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::config;
use crate::config::raw::{Compression, ProtobufMessage};
use crate::sink::SinkError;

/// How long what the receiver has not understood isn't sent again. By then it may be another version.
const TRY_AGAIN: Duration = Duration::from_hours(1);
/// The fastest, which is smaller than snappy by far.
const ZSTD_LEVEL: i32 = 1;

/// A message and its compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) enum Form {
    /// Remote write 1.0.
    V1,
    /// The same with zstd, as vmagent sends it to VictoriaMetrics (its `remotewrite/client.go`).
    V1Zstd,
    /// Remote write 2.0.
    V2,
}

/// The form that is wished for, and what is done when the receiver does not understand it.
#[derive(Debug)]
pub(super) struct Forms {
    wanted: Form,
    instead: Option<Form>,
    /// When the wanted form was last not understood, while another was.
    not_understood: Mutex<Option<Instant>>,
}

impl Form {
    pub(super) fn headers(self) -> HeaderMap {
        let (content_type, encoding, version, number) = match self {
            Self::V1 => {
                let version = "x-prometheus-remote-write-version";
                ("application/x-protobuf", "snappy", version, "0.1.0")
            }
            Self::V1Zstd => {
                let version = "x-victoriametrics-remote-write-version";
                ("application/x-protobuf", "zstd", version, "1")
            }
            Self::V2 => (
                "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "snappy",
                "x-prometheus-remote-write-version",
                "2.0.0",
            ),
        };
        [
            (CONTENT_TYPE, content_type),
            (CONTENT_ENCODING, encoding),
            (HeaderName::from_static(version), number),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .into_iter()
        .collect()
    }

    pub(super) fn compress(self, body: &[u8]) -> Result<Bytes, SinkError> {
        match self {
            // The block format, without framing, as the specification demands. The only error is a
            // body beyond 4 GiB.
            Self::V1 | Self::V2 => snap::raw::Encoder::new()
                .compress_vec(body)
                .map(Bytes::from)
                .map_err(|error| SinkError::TooLarge { reason: error.to_string() }),
            // The only error is a lack of memory, which does not come as one.
            Self::V1Zstd => zstd::bulk::compress(body, ZSTD_LEVEL)
                .map(Bytes::from)
                .map_err(|error| SinkError::TooLarge { reason: error.to_string() }),
        }
    }
}

impl Forms {
    pub(super) fn new(config: &config::Prometheus) -> Self {
        let (wanted, instead) = match (config.message, config.compression) {
            (ProtobufMessage::V1, Compression::Snappy) => (Form::V1, None),
            (ProtobufMessage::V1, Compression::Zstd) => (Form::V1Zstd, Some(Form::V1)),
            (ProtobufMessage::V2, _) => (Form::V2, None),
            (ProtobufMessage::Auto, _) => (Form::V2, Some(Form::V1)),
        };
        Self { wanted, instead, not_understood: Mutex::new(None) }
    }

    /// What to send now.
    pub(super) fn now(&self) -> Form {
        let at = *self.not_understood.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.instead, at) {
            (Some(instead), Some(at)) if at.elapsed() < TRY_AGAIN => instead,
            _ => self.wanted,
        }
    }

    /// What to send when the receiver has not understood this form.
    pub(super) fn instead_of(&self, form: Form) -> Option<Form> {
        self.instead.filter(|instead| *instead != form)
    }

    /// The receiver has understood the other form.
    pub(super) fn keep_instead(&self) {
        let now = Some(Instant::now());
        *self.not_understood.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}
