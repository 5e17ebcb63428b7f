//! HTTP/1.1 by hand, because a server that keeps the protocol can't break off in the middle of it.

use reqwest::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request with a body of known length, which is all that Tidegate sends.
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A sender's connection, with what was read beyond the last request.
pub(super) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// The next request once it has arrived whole. `None` when the sender has gone before.
    pub(super) async fn next(&mut self) -> Option<Request> {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more().await?;
        };
        let mut request = Request::of_head(&self.read[..head - 4]);
        let length = request
            .headers
            .get(CONTENT_LENGTH)
            .map_or(0, |length| length.to_str().expect("digits").parse().expect("a length"));
        while self.read.len() < head + length {
            self.read_more().await?;
        }
        request.body = self.read[head..head + length].to_vec();
        self.read.drain(..head + length);
        Some(request)
    }

    async fn read_more(&mut self) -> Option<()> {
        let count = self.stream.read_buf(&mut self.read).await.ok()?;
        (count > 0).then_some(())
    }

    /// The sender may have gone, which then shows when its next request is read.
    pub(super) async fn send(&mut self, answer: &Answer) {
        let _ = self.stream.write_all(&answer.bytes()).await;
    }

    /// Sends this much of an answer, and then closes the connection.
    pub(super) async fn send_part(mut self, answer: &Answer, length: usize) {
        let bytes = answer.bytes();
        let _ = self.stream.write_all(&bytes[..length.min(bytes.len())]).await;
        let _ = self.stream.shutdown().await;
    }

    /// The sender sees "connection reset by peer".
    pub(super) fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }

    /// Says nothing until the sender has given up.
    pub(super) async fn stall(mut self) {
        while self.read_more().await.is_some() {}
    }
}

impl Request {
    fn of_head(head: &[u8]) -> Self {
        let head = std::str::from_utf8(head).expect("an ASCII head");
        let mut lines = head.split("\r\n");
        let mut first = lines.next().expect("a request line").split(' ');
        let method = first.next().expect("a method").parse().expect("a method");
        let target = first.next().expect("a target").to_owned();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').expect(line);
            let name: HeaderName = name.parse().expect(line);
            headers.append(name, value.trim().parse().expect(line));
        }
        Self { method, target, headers, body: Vec::new() }
    }

    /// The headers that go on to the database: all but those of this one connection.
    pub(super) fn end_to_end_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        for name in [HOST, CONTENT_LENGTH, CONNECTION] {
            headers.remove(name);
        }
        headers
    }

    /// Announces its whole body and has only half of it.
    pub(super) fn cut_in_half(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        append_headers(&mut bytes, &self.headers);
        bytes.extend_from_slice(&self.body[..self.body.len() / 2]);
        bytes
    }
}

impl Answer {
    pub(super) fn of_status(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Vec::new() }
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a header's value"));
        self
    }

    /// Where the head ends, and the body, if there is one, begins.
    pub(super) fn head_length(&self) -> usize {
        self.bytes().len() - self.body.len()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {}\r\n", self.status).into_bytes();
        let mut headers = self.headers.clone();
        headers.remove(reqwest::header::TRANSFER_ENCODING);
        headers.remove(CONTENT_LENGTH);
        if self.status != StatusCode::NO_CONTENT {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        append_headers(&mut bytes, &headers);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn append_headers(bytes: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
}
