//! Spans on their way to a collector over HTTP.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::*;
use crate::record::OwnedRecord;

fn record(offset: i64) -> OwnedRecord {
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    OwnedRecord {
        topic: "sensors".into(),
        partition: 3,
        offset: Offset(offset),
        key: None,
        value: None,
        timestamp_millis: None,
        headers: vec![
            header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            header("tracestate", "congo=t61rcWkgMzE"),
        ],
    }
}

/// A collector on a free port that answers with this status; its address, and what it gets.
fn collector(runtime: &Runtime, status: StatusCode) -> (String, Arc<Mutex<Vec<Value>>>) {
    let got: Arc<Mutex<Vec<Value>>> = Arc::default();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let keep = Arc::clone(&got);
    let take = async move |headers: HeaderMap, body: String| {
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["x-tenant"], "plant");
        keep.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        status
    };
    let router = axum::Router::new().route("/v1/traces", axum::routing::post(take));
    runtime.spawn(async { axum::serve(listener, router).await });
    (url, got)
}

/// Ends so many spans and closes; what has become of them.
fn export(runtime: &Runtime, url: &str, spans: i64) -> Metrics {
    let headers = [("x-tenant".to_owned(), config::Secret::new("plant"))].into();
    let http = config::Http { headers, ..config::Http::default() };
    let config = config::Traces { url: url.into(), service_name: "plant-1".into(), http };
    let (traces, exporter) = Traces::new(&config).unwrap();
    let metrics = Metrics::default();
    let worker = traces.tracer("sensors", "tidegate-sensors", &metrics);
    let closing = exporter.start(runtime);
    for offset in 0..spans {
        let place = TopicPartition { topic: "sensors".into(), partition: 3 };
        worker.begin(&record(offset), &place).unwrap().end();
    }
    runtime.block_on(closing.close());
    metrics
}

#[test]
fn every_span_comes_to_the_collector_once_with_an_id_of_its_own_also_at_the_end() {
    let runtime = Runtime::new().unwrap();
    let (url, got) = collector(&runtime, StatusCode::OK);
    let metrics = export(&runtime, &url, 1300);
    assert_eq!((metrics.spans_sent.get(), metrics.spans_dropped.get()), (1300, 0));
    let got = got.lock().unwrap();
    let service = &got[0]["resourceSpans"][0]["resource"]["attributes"][0];
    assert_eq!(service["value"]["stringValue"], "plant-1");
    let spans = got.iter().flat_map(|request| {
        request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap()
    });
    let ids: std::collections::BTreeSet<_> = spans
        .inspect(|span| assert_eq!(span["traceState"], "congo=t61rcWkgMzE"))
        .map(|span| span["spanId"].as_str())
        .collect();
    assert_eq!(ids.len(), 1300);
}

#[test]
fn what_a_collector_refuses_or_is_not_there_to_take_is_counted_as_dropped() {
    let runtime = Runtime::new().unwrap();
    let (url, got) = collector(&runtime, StatusCode::SERVICE_UNAVAILABLE);
    let metrics = export(&runtime, &url, 7);
    assert_eq!((metrics.spans_sent.get(), metrics.spans_dropped.get()), (0, 7));
    assert_eq!(got.lock().unwrap().len(), 1);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics = export(&runtime, &format!("http://{nobody}/v1/traces"), 7);
    assert_eq!((metrics.spans_sent.get(), metrics.spans_dropped.get()), (0, 7));
}
