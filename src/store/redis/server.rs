//! The address of Redis: connecting and logging in.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, aio::MultiplexedConnection, cmd, io::tcp::TcpSettings,
};
use secrecy::{ExposeSecret, SecretString};

use super::error::RedisStoreError;
use crate::config::RedisAddress;

/// A connection; its clones share it.
pub(super) type RedisConnection = MultiplexedConnection;

/// The time limit of the TCP and TLS handshakes.
const CONNECTING: Duration = Duration::from_secs(1);

/// Address and credentials. `Debug` is written by hand, because of the password.
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
        // Log in by hand: the library's own login does not tell the causes of a refusal apart.
        let anonymous = RedisConnectionInfo::default().set_skip_set_lib_name();
        let client = Client::open(info.set_tcp_settings(tcp).set_redis_settings(anonymous))?;
        Ok(Self { client, user, password, database })
    }

    /// Opens a new connection and logs in. Its answers time out after `patience`. The current runtime drives
    /// the connection, which ends with it.
    pub(super) async fn connect(
        &self,
        patience: Duration,
    ) -> Result<RedisConnection, RedisStoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(patience));
        let connected = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connected.map_err(|error| self.not_connected(error))?;
        self.log_in(&mut connection).await?;
        Ok(connection)
    }

    fn not_connected(&self, error: RedisError) -> RedisStoreError {
        let tls = matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. });
        if tls && error.is_timeout() {
            // A port without TLS takes the handshake for an incomplete command and waits.
            return RedisStoreError::transient("Redis does not answer in time, or not by TLS");
        }
        error.into()
    }

    async fn log_in(&self, connection: &mut RedisConnection) -> Result<(), RedisStoreError> {
        let Self { user, password, database, .. } = self;
        if user.is_some() || password.is_some() {
            let password = password.as_ref().map_or("", ExposeSecret::expose_secret);
            let mut auth = cmd("AUTH");
            auth.arg(user).arg(password);
            auth.exec_async(connection).await.map_err(not_logged_in)?;
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

/// Redis may quote the password in its message, so the error has a text of ours.
fn not_logged_in(error: RedisError) -> RedisStoreError {
    let own_words = error.detail().unwrap_or_default();
    match error.code() {
        Some("ERR") if own_words.contains("without any password") => {
            RedisStoreError::permanent("the address names a password, and Redis has none")
        }
        Some("ERR") if !own_words.contains("max number of clients") => {
            RedisStoreError::permanent("Redis does not take this user or password")
        }
        _ => error.into(),
    }
}
