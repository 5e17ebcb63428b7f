//! The forms in which a batch can be sent, and which of them the receiver has understood.

use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// Compressors that are not in use: as many as there were requests in flight at once.
#[derive(Default)]
pub(super) struct Compressors(Mutex<Vec<Snappy>>);

/// snappy with its tables and room for its output: to make room of a batch's size anew costs a tenth
/// of compressing it.
struct Snappy {
    encoder: snap::raw::Encoder,
    room: Vec<u8>,
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
}

impl Compressors {
    pub(super) fn compress(&self, form: Form, body: &[u8]) -> Result<Bytes, SinkError> {
        match form {
            Form::V1 | Form::V2 => {
                let mut snappy = self.lock().pop().unwrap_or_else(Snappy::new);
                let compressed = snappy.compress(body);
                self.lock().push(snappy);
                compressed.map_err(|error| SinkError::TooLarge { reason: error.to_string() })
            }
            // The only error is a lack of memory, which does not come as one.
            Form::V1Zstd => zstd::bulk::compress(body, ZSTD_LEVEL)
                .map(Bytes::from)
                .map_err(|error| SinkError::TooLarge { reason: error.to_string() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Snappy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snappy {
    fn new() -> Self {
        Self { encoder: snap::raw::Encoder::new(), room: Vec::new() }
    }

    /// The block format, without framing, as the specification demands. The only error is a body beyond
    /// 4 GiB.
    fn compress(&mut self, body: &[u8]) -> Result<Bytes, snap::Error> {
        let most = snap::raw::max_compress_len(body.len());
        if self.room.len() < most {
            self.room.resize(most, 0);
        }
        let len = self.encoder.compress(body, &mut self.room)?;
        Ok(Bytes::copy_from_slice(&self.room[..len]))
    }
}

impl std::fmt::Debug for Compressors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Compressors").field(&self.lock().len()).finish()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The room for the output is as large as the largest body needed.
    #[test]
    fn a_small_body_after_a_large_one_is_sent_alone() {
        let compressors = Compressors::default();
        for len in [0, 100_000, 300, 0, 200_000] {
            let body: Vec<u8> = (0..len).map(|n: u32| n.to_le_bytes()[n as usize % 2]).collect();
            let sent = compressors.compress(Form::V1, &body).unwrap();
            assert_eq!(snap::raw::Decoder::new().decompress_vec(&sent).unwrap(), body);
        }
        assert_eq!(compressors.lock().len(), 1);
    }
}
