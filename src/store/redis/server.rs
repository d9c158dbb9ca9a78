//! Connects to Redis and logs in.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, aio::MultiplexedConnection, cmd, io::tcp::TcpSettings,
};
use secrecy::{ExposeSecret, SecretString};

use super::error::RedisStoreError;
use crate::config::RedisAddress;

/// A connection to Redis; clones share it.
pub(super) type RedisConnection = MultiplexedConnection;

/// The time limit of the TCP and TLS handshakes.
const CONNECTING: Duration = Duration::from_secs(1);

/// The address and credentials of Redis. `Debug` is written by hand, so that it does not show the password.
pub(super) struct RedisServer {
    client: Client,
    user: Option<String>,
    password: Option<SecretString>,
    database: i64,
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisServer").field("database", &self.database).finish_non_exhaustive()
    }
}

impl RedisServer {
    pub(super) fn new(address: &RedisAddress) -> Result<Self, RedisStoreError> {
        let info = address.url.expose_secret().into_connection_info()?;
        let settings = info.redis_settings();
        let (user, database) = (settings.username().map(str::to_owned), settings.db());
        let password = settings.password().map(SecretString::from);
        let tcp = TcpSettings::default().set_nodelay(true);
        // Do not let the redis crate log in: its error does not show why Redis refused. `log_in` does it
        // instead.
        let anonymous = RedisConnectionInfo::default().set_skip_set_lib_name();
        let client = Client::open(info.set_tcp_settings(tcp).set_redis_settings(anonymous))?;
        Ok(Self { client, user, password, database })
    }

    /// Opens a new connection and logs in. An answer that takes longer than `time_limit` is an error. The
    /// current tokio runtime drives the connection: the connection ends when the runtime does.
    pub(super) async fn connect(
        &self,
        time_limit: Duration,
    ) -> Result<RedisConnection, RedisStoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(time_limit));
        let connected = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connected.map_err(|error| self.connect_error(error))?;
        self.log_in(&mut connection).await?;
        Ok(connection)
    }

    fn connect_error(&self, error: RedisError) -> RedisStoreError {
        let tls = matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. });
        if tls && error.is_timeout() {
            // A server without TLS reads the handshake as an incomplete command and waits for the rest.
            return RedisStoreError::transient(
                "Redis does not answer in time, or does not use TLS on this port",
            );
        }
        error.into()
    }

    async fn log_in(&self, connection: &mut RedisConnection) -> Result<(), RedisStoreError> {
        let Self { user, password, database, .. } = self;
        if user.is_some() || password.is_some() {
            let password = password.as_ref().map_or("", ExposeSecret::expose_secret);
            let mut auth = cmd("AUTH");
            auth.arg(user).arg(password);
            auth.exec_async(connection).await.map_err(login_error)?;
        }
        if *database != 0 {
            let mut select = cmd("SELECT");
            select.arg(database).exec_async(connection).await.map_err(|error: RedisError| {
                match error.code() {
                    Some("ERR") => {
                        RedisStoreError::permanent(format!("Redis has no database {database}"))
                    }
                    _ => error.into(),
                }
            })?;
        }
        Ok(())
    }
}

/// Converts the error of `AUTH`. Redis may quote the password in its message, so the text of the error is not
/// that message.
fn login_error(error: RedisError) -> RedisStoreError {
    let message = error.detail().unwrap_or_default();
    match error.code() {
        Some("ERR") if message.contains("without any password") => {
            RedisStoreError::permanent("the address names a password, and Redis has none")
        }
        Some("ERR") if !message.contains("max number of clients") => {
            RedisStoreError::permanent("Redis does not accept this user or password")
        }
        _ => error.into(),
    }
}
