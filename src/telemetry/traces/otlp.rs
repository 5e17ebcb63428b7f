//! The body of a request: an `ExportTraceServiceRequest` in OTLP's JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>: ids in hexadecimal, 64-bit
//! numbers as texts).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Ended;

/// The conventions that the attributes' names are of.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";
/// `SPAN_KIND_CONSUMER`
const CONSUMER: u8 = 5;
/// `STATUS_CODE_ERROR`
const ERROR: u8 = 2;
/// Of a span's flags: it is known where the parent is, and it is in another process.
const REMOTE: u32 = 0x300;

pub(super) fn request(service_name: &str, spans: &[Ended]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.name", service_name),
            text("service.version", version),
        ]},
        "scopeSpans": [{
            "scope": {"name": "tidegate", "version": version},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
            "schemaUrl": SCHEMA,
        }],
    }]})
}

fn span(ended: &Ended) -> Value {
    let span = &ended.span;
    let topic = &*span.partition.topic;
    let mut attributes = vec![
        text("messaging.system", "kafka"),
        text("messaging.operation.name", "process"),
        text("messaging.operation.type", "process"),
        text("messaging.destination.name", topic),
        text("messaging.destination.partition.id", &span.partition.partition.to_string()),
        json!({"key": "messaging.kafka.offset", "value": {"intValue": span.offset.to_string()}}),
        text("messaging.consumer.group.name", &span.origin.group),
        text("tidegate.connector", &span.origin.connector),
    ];
    let mut status = json!({});
    if let Some((stage, reason)) = &ended.error {
        attributes.push(text("error.type", stage.name()));
        status = json!({"code": ERROR, "message": format!("{}: {reason}", stage.name())});
    }
    json!({
        "traceId": hex(&span.parent.trace),
        "spanId": hex(&span.id),
        "traceState": span.parent.state.as_deref().unwrap_or_default(),
        "parentSpanId": hex(&span.parent.span),
        "flags": u32::from(span.parent.flags) | REMOTE,
        "name": format!("process {topic}"),
        "kind": CONSUMER,
        "startTimeUnixNano": span.begin.as_nanos().to_string(),
        "endTimeUnixNano": (span.begin + ended.took).as_nanos().to_string(),
        "attributes": attributes,
        "status": status,
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
