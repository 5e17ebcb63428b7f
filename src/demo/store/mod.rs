//! The demo's database: in memory and bounded; takes what InfluxDB 2 takes, answers as Prometheus
//! does, and can be taken down.

mod evaluate;
mod http;
mod line;
mod points;
mod query;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use evaluate::{Answer, Instants};
pub(crate) use http::query_routes;
use points::Points;

/// How long a store that goes down waits for the write whose reply it will drop.
const FALL: Duration = Duration::from_millis(1500);
/// How long connections may take to close before they are left to themselves.
const CLOSE: Duration = Duration::from_secs(2);

/// The store: its points, and whether it is up.
#[derive(Debug)]
pub(crate) struct Store {
    points: Mutex<Points>,
    power: watch::Sender<Power>,
    outages: AtomicU64,
}

/// Whether the store serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Up,
    /// Going down at the worst moment: the next write is stored, but its reply is an error.
    Falling,
    Down,
}

/// The counts that the demo shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Distinct points.
    pub(crate) stored: u64,
    /// Writes of a point that was there already.
    pub(crate) rewritten: u64,
    pub(crate) series: usize,
}

impl Store {
    /// An empty store, up.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            points: Mutex::default(),
            power: watch::Sender::new(Power::Up),
            outages: AtomicU64::new(0),
        })
    }

    /// Takes the store down at the worst moment: the next batch is stored, but the reply is lost,
    /// as in a crash; after that, and at the latest after a moment, connections are refused.
    pub(crate) fn take_down(&self) {
        let went_down = self.power.send_if_modified(|power| {
            let was_up = *power == Power::Up;
            if was_up {
                *power = Power::Falling;
            }
            was_up
        });
        self.outages.fetch_add(u64::from(went_down), Ordering::Relaxed);
    }

    /// Brings the store up again, with all that it had.
    pub(crate) fn bring_up(&self) {
        self.power.send_if_modified(|power| std::mem::replace(power, Power::Up) != Power::Up);
    }

    pub(crate) fn is_up(&self) -> bool {
        *self.power.borrow() == Power::Up
    }

    /// What is stored; known also while the store is down.
    pub(crate) fn counts(&self) -> Counts {
        let points = self.points();
        Counts {
            stored: points.stored(),
            rewritten: points.rewritten(),
            series: points.series_count(),
        }
    }

    /// What `/api/v1/query` would answer for an expression that yields one series at most.
    pub(crate) fn latest(&self, expression: &str, now: i64) -> Result<Option<f64>, String> {
        if !self.is_up() {
            return Err("the store is down".into());
        }
        let query = query::parse(expression)?;
        match evaluate::evaluate(&self.points(), &query, Instants::one(now)) {
            Answer::Number(number) => Ok(Some(number)),
            Answer::Series(series) => {
                Ok(series.first().and_then(|(_, samples)| samples.last()).map(|&(_, value)| value))
            }
        }
    }

    /// How often it was taken down.
    pub(crate) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Relaxed)
    }

    fn points(&self) -> MutexGuard<'_, Points> {
        // A panic while writing leaves at worst a point without a field.
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_falling(&self) -> bool {
        *self.power.borrow() == Power::Falling
    }

    fn fall(&self) {
        self.power.send_if_modified(|power| {
            let falls = *power == Power::Falling;
            if falls {
                *power = Power::Down;
            }
            falls
        });
    }
}

/// Where the store listens: bound at once, so that the address is known and stays its own.
#[derive(Debug)]
pub(crate) struct Port {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Port {
    /// Takes a free port of this machine.
    pub(crate) fn take() -> std::io::Result<Self> {
        let socket = Self::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A socket that is bound but does not listen refuses connections, and keeps the port: a free
    /// port could be given to another program, or to a client's own end of a connection.
    fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    }
}

/// Serves the store at its port whenever it is up, and refuses connections while it is down. Ends
/// only with an error.
pub(crate) async fn serve(store: Arc<Store>, port: Port) -> std::io::Result<()> {
    let Port { mut socket, address } = port;
    let mut power = store.power.subscribe();
    loop {
        if power.wait_for(|power| *power == Power::Up).await.is_err() {
            return Ok(());
        }
        let listener = socket.listen(1024)?;
        serve_until_down(&store, listener).await?;
        socket = Port::bind(address)?;
    }
}

async fn serve_until_down(store: &Arc<Store>, listener: TcpListener) -> std::io::Result<()> {
    let down = {
        let store = Arc::clone(store);
        let mut power = store.power.subscribe();
        async move {
            let _ = power.wait_for(|power| *power != Power::Up).await;
            let _ =
                tokio::time::timeout(FALL, power.wait_for(|power| *power != Power::Falling)).await;
            store.fall();
        }
    };
    let (closing, closed) = tokio::sync::oneshot::channel();
    let server =
        axum::serve(listener, http::routes(Arc::clone(store))).with_graceful_shutdown(async move {
            down.await;
            let _ = closing.send(());
        });
    let overdue = async {
        let _ = closed.await;
        tokio::time::sleep(CLOSE).await;
    };
    tokio::select! {
        end = server => end,
        () = overdue => Ok(()),
    }
}
