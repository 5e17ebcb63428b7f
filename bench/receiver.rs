//! A database that reads a request, acknowledges it and forgets it; outside the measured process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is done with a request's body before it is acknowledged.
type Look = dyn Fn(&[u8]) + Send + Sync;

#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Receiver {
    pub fn start() -> Self {
        Self::at(free_address(), None)
    }

    /// Shows each body to somebody.
    pub fn looking(look: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self::at(free_address(), Some(Arc::new(look)))
    }

    pub fn at(address: SocketAddr, look: Option<Arc<Look>>) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("its address");
        let receiver = Self { address, requests: Arc::default() };
        let clone = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (receiver, look) = (clone.clone(), look.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::with_capacity(1 << 16, &stream);
                    while receiver.answer(&stream, &mut reader, look.as_deref()).is_some() {}
                });
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Reads one request and answers 204. `None` at the connection's end.
    fn answer(
        &self,
        mut stream: &TcpStream,
        reader: &mut BufReader<&TcpStream>,
        look: Option<&Look>,
    ) -> Option<()> {
        let (mut length, mut chunked) = (0, false);
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
        if chunked {
            skip_chunks(reader)?;
        } else if let Some(look) = look {
            let mut body = Vec::new();
            reader.take(length).read_to_end(&mut body).ok()?;
            look(&body);
        } else {
            std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()
    }
}

/// A body in chunks, as Go's client sends what it compresses on the way.
fn skip_chunks(reader: &mut BufReader<&TcpStream>) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = u64::from_str_radix(line.trim(), 16).ok()?;
        // The line break at its end, too.
        std::io::copy(&mut reader.take(length + 2), &mut std::io::sink()).ok()?;
        if length == 0 {
            return Some(());
        }
    }
}

fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A port of this machine that nobody listens on now.
pub fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind(free_address()).expect("a port");
    listener.local_addr().expect("its address")
}
