//! A whole delivery to an InfluxDB 3, of which there is none to be had here: a fake that does what
//! `write_lp` in its `influxdb3_server/src/http.rs` does with `accept_partial=true`. It stores the
//! valid lines and answers 400 with the number (from 1), the text and the error of each other line.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use super::*;
use crate::deliver::{Deliveries, Settled};
use crate::sink::Sink;
use crate::telemetry::Metrics;
use crate::watermark::{Covers, Watermark};

#[derive(Debug, Default)]
struct Fake {
    stored: BTreeSet<String>,
    requests: usize,
}

/// A field of the name `bad` has another type.
fn error(line: &str, number: usize) -> Option<serde_json::Value> {
    line.contains(" bad=").then(|| {
        serde_json::json!({
            "original_line": line,
            "line_number": number,
            "error_message": format!("invalid column type for column 'bad' of line {number}"),
        })
    })
}

fn serve(mut stream: TcpStream, fake: &Mutex<Fake>) {
    loop {
        let (head, body) = crate::sink::http::tests::request(&mut stream);
        assert!(head.starts_with("post /api/v3/write_lp?db=d&accept_partial=true&no_sync=false"));
        let body = String::from_utf8(body).unwrap();
        let numbered = || body.lines().zip(1..);
        let errors: Vec<_> = numbered().filter_map(|(line, number)| error(line, number)).collect();
        let good = numbered().filter(|(line, number)| error(line, *number).is_none());
        let mut fake = fake.lock().unwrap();
        fake.requests += 1;
        fake.stored.extend(good.map(|(line, _)| line.to_owned()));
        let answer = if errors.is_empty() {
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
        } else {
            let error = "partial write of line protocol occurred";
            let body = serde_json::json!({ "error": error, "data": errors }).to_string();
            let len = body.len();
            format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {len}\r\n\r\n{body}")
        };
        stream.write_all(answer.as_bytes()).unwrap();
        if errors.is_empty() {
            return;
        }
    }
}

#[test]
fn a_batch_with_bad_lines_takes_two_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(&format!("http://{}", listener.local_addr().unwrap()));
    config.api = InfluxApi::V3 { database: "d".into(), no_sync: false, accept_partial: true };
    config.compression = InfluxCompression::None;
    let fake = Arc::<Mutex<Fake>>::default();
    let server = {
        let fake = Arc::clone(&fake);
        std::thread::spawn(move || serve(listener.accept().unwrap().0, &fake))
    };
    let lines: Vec<_> =
        (0..300).map(|n| format!("m {}={n} {n}\n", if n % 7 == 3 { "bad" } else { "v" })).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();

    let runtime = Arc::new(tokio::runtime::Runtime::new().unwrap());
    let delivery = config::Delivery {
        in_flight: NonZeroUsize::MIN,
        timeout: Duration::from_secs(30),
        min_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(30),
        drain: Duration::from_secs(20),
    };
    let sink = Sink::InfluxDb(InfluxDb::new(&config, delivery.timeout).unwrap());
    let mut deliveries =
        Deliveries::new("test", runtime, Arc::new(sink), delivery, Metrics::default());
    deliveries.submit(Watermark::default().push(Covers::default(), ()), vec![batch(&lines)]);
    let settled = deliveries.wait_settled(Duration::from_mins(1));
    let Some(Settled::Batch { delivered, .. }) = settled else { panic!("{settled:?}") };
    server.join().unwrap();

    let fake = fake.lock().unwrap();
    let refused: Vec<_> = delivered.refused.iter().map(|refused| refused.record.0).collect();
    assert_eq!(refused, (0..300).filter(|n| n % 7 == 3).collect::<Vec<_>>());
    let reason = "400 Bad Request: invalid column type for column 'bad' of line 11";
    assert_eq!(delivered.refused[1].reason, reason);
    assert_eq!((delivered.written, fake.stored.len()), (300 - refused.len(), 300 - refused.len()));
    assert_eq!(fake.requests, 2);
}
