//! The connection that carries commands, for all threads. It is driven and renewed on the background
//! runtime alone, whoever uses it.

use std::time::Duration;

use redis::{FromRedisValue, Pipeline, pipe};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    error::Fault,
    server::{Connection, Server},
};

/// How long Redis may take for a command: a logout waits no longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// A connection that broke unseen is found by this and not by a logout.
const PING_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct SharedConnection(watch::Sender<State>);

#[derive(Clone, Debug)]
enum State {
    /// Broken just now: whoever needs it waits for the next.
    Connecting,
    /// The number tells connections apart.
    Up(u64, Connection),
    /// Nobody was there the last time.
    Down(Fault),
}

impl SharedConnection {
    pub(super) fn new(first: Result<Connection, Fault>) -> Self {
        Self(watch::Sender::new(match first {
            Ok(connection) => State::Up(0, connection),
            Err(fault) => State::Down(fault),
        }))
    }

    /// Sends these commands and waits for the answers.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        patience: Duration,
    ) -> Result<T, Fault> {
        let deadline = Instant::now() + patience;
        let mut tries = 0;
        loop {
            tries += 1;
            let (number, mut connection) = self.connection(deadline).await?;
            let answer = timeout_at(deadline, commands.query_async(&mut connection)).await;
            let fault = match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Fault::from(error),
                Err(_) => Fault::timeout(),
            };
            if fault.disconnected {
                self.broken(number);
            }
            // Redis was restarted, or somebody between ended an idle connection. Every command may come
            // twice: at worst the failure log has a line twice, or an entry that was removed counts as
            // gone already.
            if !fault.disconnected || fault.lasting || tries > 1 {
                return Err(fault);
            }
        }
    }

    async fn connection(&self, deadline: Instant) -> Result<(u64, Connection), Fault> {
        timeout_at(deadline, self.settled()).await.unwrap_or_else(|_| Err(Fault::timeout()))
    }

    /// The connection, or why there is none.
    async fn settled(&self) -> Result<(u64, Connection), Fault> {
        let mut states = self.0.subscribe();
        loop {
            match states.borrow_and_update().clone() {
                State::Up(number, connection) => return Ok((number, connection)),
                State::Down(fault) => return Err(fault),
                State::Connecting => {}
            }
            // Its sender is here as long as anybody is.
            let _ = states.changed().await;
        }
    }

    /// Whether it is worth while to connect.
    pub(super) async fn reachable(&self) -> Result<(), Fault> {
        self.settled().await.map(|_| ())
    }

    fn broken(&self, number: u64) {
        self.0.send_if_modified(|state| {
            let broken = matches!(state, State::Up(current, _) if *current == number);
            if broken {
                *state = State::Connecting;
            }
            broken
        });
    }

    /// Keeps it up, for ever.
    pub(super) async fn keep(&self, server: &Server) {
        let mut number = 0;
        loop {
            self.until_broken().await;
            number += 1;
            match server.connect(PATIENCE).await {
                Ok(connection) => {
                    self.0.send_replace(State::Up(number, connection));
                }
                Err(fault) => {
                    let wait = fault.wait();
                    self.0.send_replace(State::Down(fault));
                    sleep(wait).await;
                }
            }
        }
    }

    async fn until_broken(&self) {
        let mut states = self.0.subscribe();
        loop {
            let broken = states.wait_for(|state| !matches!(state, State::Up(..)));
            if timeout(PING_EVERY, broken).await.is_ok() {
                return;
            }
            let _ = self.ask::<()>(pipe().cmd("PING"), PATIENCE).await;
        }
    }
}
