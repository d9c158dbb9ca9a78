//! The connection for commands, which all threads share. Only the background thread drives and replaces it.

use std::time::Duration;

use redis::{FromRedisValue, Pipeline, RedisError, Value, pipe};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    error::RedisStoreError,
    server::{RedisConnection, RedisServer},
};

/// How long a logout waits for Redis.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);
/// The interval of pings, which find a broken connection before a logout does.
const PING_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct SharedConnection(watch::Sender<ConnectionState>);

#[derive(Clone, Debug)]
enum ConnectionState {
    /// The connection has broken, and the next one is being opened: commands wait for it.
    Connecting,
    /// The connection is open. The number identifies it, so that a late error of an earlier connection does
    /// not mark this one as broken.
    Up(u64, RedisConnection),
    /// The last try to connect failed: commands return this error at once.
    Down(RedisStoreError),
}

/// Converts the answers to a pipeline. Queries take answers as they are, so that they are compiled once and not for each
/// type.
pub(super) fn converted<T: FromRedisValue>(answers: Value) -> Result<T, RedisStoreError> {
    Ok(T::from_redis_value(answers).map_err(RedisError::from)?)
}

impl SharedConnection {
    pub(super) fn new(first: Result<RedisConnection, RedisStoreError>) -> Self {
        Self(watch::Sender::new(match first {
            Ok(connection) => ConnectionState::Up(0, connection),
            Err(fault) => ConnectionState::Down(fault),
        }))
    }

    /// Sends the commands and waits for their answers, `time_limit` at most. Retries once on a new connection.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        time_limit: Duration,
    ) -> Result<T, RedisStoreError> {
        converted(self.query_values(commands, time_limit).await?)
    }

    async fn query_values(
        &self,
        commands: &Pipeline,
        time_limit: Duration,
    ) -> Result<Value, RedisStoreError> {
        let deadline = Instant::now() + time_limit;
        let mut tries = 0;
        loop {
            tries += 1;
            let (number, mut connection) = self.connection(deadline).await?;
            let answered = timeout_at(deadline, commands.query_async(&mut connection)).await;
            let fault = match answered {
                Ok(Ok(answers)) => return Ok(answers),
                Ok(Err(error)) => RedisStoreError::from(error),
                Err(_) => RedisStoreError::timeout(),
            };
            if fault.is_disconnected {
                self.mark_broken(number);
            }
            // Redis may have restarted, or a proxy may have closed an idle connection: retry once. Redis may
            // then run a command twice. At worst the failure log has a record twice, or a removal reports
            // that the entry was not in the queue.
            if !fault.is_disconnected || fault.is_permanent || tries > 1 {
                return Err(fault);
            }
        }
    }

    async fn connection(
        &self,
        deadline: Instant,
    ) -> Result<(u64, RedisConnection), RedisStoreError> {
        timeout_at(deadline, self.wait_until_settled())
            .await
            .unwrap_or_else(|_| Err(RedisStoreError::timeout()))
    }

    /// Returns the open connection, or the error of the last try to connect. Waits while a try is under way.
    async fn wait_until_settled(&self) -> Result<(u64, RedisConnection), RedisStoreError> {
        let mut states = self.0.subscribe();
        loop {
            match states.borrow_and_update().clone() {
                ConnectionState::Up(number, connection) => return Ok((number, connection)),
                ConnectionState::Down(fault) => return Err(fault),
                ConnectionState::Connecting => {}
            }
            // This cannot fail: `self` owns the sender.
            let _ = states.changed().await;
        }
    }

    /// Waits until the connection is open. The error is that of the last try to connect.
    pub(super) async fn wait_until_up(&self) -> Result<(), RedisStoreError> {
        self.wait_until_settled().await.map(|_| ())
    }

    fn mark_broken(&self, number: u64) {
        self.0.send_if_modified(|state| {
            let broken = matches!(state, ConnectionState::Up(current, _) if *current == number);
            if broken {
                *state = ConnectionState::Connecting;
            }
            broken
        });
    }

    /// Replaces the connection whenever it breaks; never returns.
    pub(super) async fn maintain(&self, server: &RedisServer) {
        let mut number = 0;
        loop {
            self.wait_until_broken().await;
            number += 1;
            match server.connect(TIMEOUT).await {
                Ok(connection) => {
                    self.0.send_replace(ConnectionState::Up(number, connection));
                }
                Err(fault) => {
                    let wait = fault.wait();
                    self.0.send_replace(ConnectionState::Down(fault));
                    sleep(wait).await;
                }
            }
        }
    }

    async fn wait_until_broken(&self) {
        let mut states = self.0.subscribe();
        loop {
            let broken = states.wait_for(|state| !matches!(state, ConnectionState::Up(..)));
            if timeout(PING_EVERY, broken).await.is_ok() {
                return;
            }
            let _ = self.query::<()>(pipe().cmd("PING"), TIMEOUT).await;
        }
    }
}
