//! Any bytes as a message of each format of points.

use super::mapping::Bare;
use crate::batch::{OpenBatch, RecordIndex};
use crate::config::Points;
use crate::config::raw::{Precision, TimeUnit};
use crate::decode::points::LineProtocol;
use crate::decode::{Decoder, Decompressed, Message, Refusal};
use crate::point::{Timestamp, Value};
use crate::{config, encode};

/// A message is read into points that are whole, or refused for good, and what is refused is told.
pub fn points(data: &[u8]) {
    let formats = [
        Points::LineProtocol(TimeUnit::Ns),
        Points::Graphite,
        Points::PrometheusText,
        Points::OpenMetrics,
        Points::RemoteWrite,
        Points::Otlp,
        Points::CollectdJson,
        Points::TelegrafJson(TimeUnit::S),
    ];
    let mut room = Decompressed::default();
    let Ok(payload) = room.open(data) else { return };
    let record = Bare(payload);
    let message = Message { payload, record: &record };
    for format in formats {
        let Decoder::Points(mut decoder) = Decoder::new(&config::Decode::Points(format.clone()))
        else {
            panic!("{format:?} has points");
        };
        let taken = decoder.decode(&message, &mut |point| {
            assert!(!point.measurement.is_empty() && !point.fields.is_empty(), "{point:?}");
            assert!(point.tags.is_sorted_by(|a, b| a.0 < b.0), "{point:?}");
            assert!(
                point.tags.iter().all(|tag| !tag.0.is_empty() && !tag.1.is_empty()),
                "{point:?}"
            );
            let is_finite =
                |value: &Value<'_>| !matches!(value, Value::Stale | Value::NotFinite(_));
            assert!(point.fields.iter().all(|(_, value)| is_finite(value)), "{point:?}");
            Ok(())
        });
        match taken {
            Ok(()) => {}
            Err(Refusal::Rejected(reject)) => {
                assert!(!reject.reason.is_empty());
                assert!(reject.offset.is_none_or(|offset| offset <= payload.len()), "{reject:?}");
            }
            Err(Refusal::Unavailable(reason)) => panic!("{format:?}: {reason}"),
        }
    }
    copies(payload);
}

/// A line that may be copied is what the encoder would have written.
fn copies(payload: &[u8]) {
    let mut encoder = encode::LineProtocol::new(Precision::Ns);
    let time = Timestamp::from_millis(0);
    let _ = LineProtocol::new(TimeUnit::Ns).lines(payload, time, &mut |text, line, time| {
        if let Some(copied) = line.as_written(text) {
            let (mut copy, mut open) = (OpenBatch::default(), OpenBatch::default());
            encoder.copy(copied, time, RecordIndex(0), &mut copy);
            encoder.encode(&line.point(text, time)?, RecordIndex(0), &mut open).unwrap();
            assert_eq!(copy.bytes, open.bytes, "{text:?}");
        }
        Ok(())
    });
}
