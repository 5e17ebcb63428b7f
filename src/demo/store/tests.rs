//! The store over HTTP, as its clients see it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Counts, Port, Store, serve};

/// A store that listens: on a busy machine its task begins later than the first request would.
async fn start() -> (Arc<Store>, SocketAddr) {
    let store = Store::new();
    let port = Port::take().unwrap();
    let address = port.address();
    tokio::spawn(serve(Arc::clone(&store), port));
    let until = Instant::now() + Duration::from_secs(10);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(Instant::now() < until, "the store does not listen");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (store, address)
}

/// Sends a request; the answer's status and body, or `None` when the connection is refused.
async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Option<(u16, String)> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: store\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(&request).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    });
    let answer = answer.await.unwrap()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

async fn write(address: SocketAddr, body: &str) -> Option<u16> {
    let path = "/api/v2/write?org=o&bucket=b&precision=s";
    Some(ask(address, "POST", path, "", body.as_bytes()).await?.0)
}

async fn get(address: SocketAddr, path: &str) -> (u16, serde_json::Value) {
    let (status, body) = ask(address, "GET", path, "", b"").await.unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_writes_and_answers_queries() {
    let (store, address) = start().await;
    assert_eq!(write(address, "weather,station=july temperature=21.5,wind=3 100").await, Some(204));
    assert_eq!(store.counts(), Counts { stored: 1, rewritten: 0, series: 1 });

    let (status, found) = get(address, "/api/v1/query?query=weather_temperature&time=101.5").await;
    let metric = serde_json::json!({ "__name__": "weather_temperature", "station": "july" });
    let result = serde_json::json!([{ "metric": metric, "value": [101.5, "21.5"] }]);
    let data = serde_json::json!({ "resultType": "vector", "result": result });
    assert_eq!((status, &found), (200, &serde_json::json!({ "status": "success", "data": data })));

    let range = "/api/v1/query_range?query=max+by(station)(weather_wind)&start=99&end=102&step=1s";
    let (_, found) = get(address, range).await;
    assert_eq!(found["data"]["resultType"], "matrix");
    let values = serde_json::json!([[100.0, "3"], [101.0, "3"], [102.0, "3"]]);
    assert_eq!(found["data"]["result"][0]["values"], values);
    assert_eq!(found["data"]["result"][0]["metric"], serde_json::json!({ "station": "july" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_what_grafana_asks_of_a_data_source() {
    let (_store, address) = start().await;
    write(address, "weather,station=july temperature=21.5,wind=3 100").await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let (status, body) =
        ask(address, "POST", "/api/v1/query", form, b"query=1%2B1&time=4").await.unwrap();
    assert_eq!(
        (status, body.as_str()),
        (200, r#"{"data":{"result":[4.0,"2"],"resultType":"scalar"},"status":"success"}"#)
    );
    let data = async |path| get(address, path).await.1["data"].clone();
    assert_eq!(data("/api/v1/labels").await, serde_json::json!(["__name__", "station"]));
    let names = serde_json::json!(["weather_temperature", "weather_wind"]);
    assert_eq!(data("/api/v1/label/__name__/values").await, names);
    assert_eq!(
        data("/api/v1/label/station/values?match[]=weather_wind").await,
        serde_json::json!(["july"])
    );
    let series = serde_json::json!([{ "__name__": "weather_wind", "station": "july" }]);
    assert_eq!(data("/api/v1/series?match%5B%5D=weather_wind").await, series);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_as_its_models_do() {
    let (store, address) = start().await;
    let (status, body) = ask(address, "POST", "/api/v2/write", "", b"m f=1 1\nm f=").await.unwrap();
    assert_eq!(status, 400);
    assert_eq!(body, r#"{"code":"invalid","message":"unable to parse 'm f=': invalid number"}"#);
    assert_eq!(store.counts().stored, 0, "a request is taken whole or not at all");
    write(address, "m f=1 10\nm f=1 10000").await;
    assert_eq!(write(address, "m f=1 10").await, Some(422));

    for (path, part) in [
        ("/api/v1/query?query=rate(m_f[1m])", "rate() is not supported"),
        ("/api/v1/query?query=m_f&time=yesterday", "invalid parameter \"time\""),
        ("/api/v1/query_range?query=m_f&start=1&end=2", "invalid parameter \"step\""),
        ("/api/v1/query_range?query=m_f&end=2&step=1", "invalid parameter \"start\""),
        ("/api/v1/series", "no match[] parameter"),
    ] {
        let (status, error) = get(address, path).await;
        assert_eq!(
            (status, &error["status"], &error["errorType"]),
            (400, &"error".into(), &"bad_data".into())
        );
        assert!(error["error"].as_str().unwrap().contains(part), "{path}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_gzip() {
    let (store, address) = start().await;
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(b"m f=1 1\nm f=2 2").unwrap();
    let body = zip.finish().unwrap();
    let encoding = "Content-Encoding: gzip\r\n";
    assert_eq!(ask(address, "POST", "/api/v2/write", encoding, &body).await.unwrap().0, 204);
    assert_eq!(store.counts().stored, 2);
    assert_eq!(ask(address, "POST", "/api/v2/write", encoding, b"no gzip").await.unwrap().0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_down_at_the_worst_moment_and_comes_up_with_all_it_had() {
    let (store, address) = start().await;
    assert_eq!(write(address, "m f=1 1").await, Some(204));
    store.take_down();
    assert!(store.latest("m_f", 1000).is_err());
    assert_eq!(write(address, "m f=2 2").await, Some(503), "stored, but the reply says otherwise");
    assert_eq!(store.counts().stored, 2);
    let until = Instant::now() + Duration::from_secs(5);
    while write(address, "m f=3 3").await.is_some() {
        assert!(Instant::now() < until, "connections are refused while it is down");
    }
    assert_eq!(store.counts().stored, 2);
    store.bring_up();
    while write(address, "m f=2 2").await != Some(204) {
        assert!(Instant::now() < until, "it comes up again");
    }
    assert_eq!(store.counts(), Counts { stored: 2, rewritten: 1, series: 1 });
    assert_eq!(store.latest("m_f", 3000), Ok(Some(2.0)));
    assert_eq!(store.outages(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_down_even_when_nobody_writes() {
    let (store, address) = start().await;
    store.take_down();
    let until = Instant::now() + Duration::from_secs(10);
    while ask(address, "GET", "/health", "", b"").await.is_some() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!store.is_up());
}
