//! The load: connections that each send the next request as soon as the last one is answered.
//!
//! It runs on one thread, which reads and writes the sockets itself, so that it takes little of the CPU that
//! it shares with what it measures.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout};

use super::exchange::{Connection, Exchange};

/// The longest time in which a phase of the load must end.
const LIMIT: Duration = Duration::from_mins(2);

/// What one phase of the load did.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) requests: u32,
    pub(crate) took: Duration,
}

/// How long a phase lasts.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// Each exchange is sent once.
    AllSent,
    /// The exchanges are sent again and again for this time.
    Over(Duration),
}

/// Open connections to one server.
pub(crate) struct Load {
    connections: Vec<Connection>,
}

impl Load {
    pub(crate) async fn open(address: SocketAddr, connections: usize) -> Self {
        let mut load = Self { connections: Vec::new() };
        for _ in 0..connections {
            load.connections.push(Connection::open(address).await.unwrap());
        }
        load
    }

    /// Sends the exchanges on all connections at once, the next one wherever a response has arrived.
    pub(crate) async fn send(&mut self, exchanges: &Rc<[Exchange]>, until: Until) -> Sent {
        let start = Instant::now();
        let next = Rc::new(Cell::new(0_usize));
        let mut clients = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (exchanges, next) = (exchanges.clone(), next.clone());
            clients.spawn_local(async move {
                loop {
                    let is_over = match until {
                        Until::AllSent => next.get() >= exchanges.len(),
                        Until::Over(time) => start.elapsed() >= time,
                    };
                    if is_over {
                        return connection;
                    }
                    let at = next.replace(next.get() + 1);
                    connection.exchange(&exchanges[at % exchanges.len()]).await;
                }
            });
        }
        let connections = timeout(LIMIT, clients.join_all()).await;
        self.connections = connections.expect("a phase of the load did not end");
        Sent { requests: u32::try_from(next.get()).unwrap(), took: start.elapsed() }
    }

    /// Sends the exchange once on each connection.
    pub(crate) async fn send_on_each(&mut self, exchange: &Exchange) {
        for connection in &mut self.connections {
            connection.exchange(exchange).await;
        }
    }
}
