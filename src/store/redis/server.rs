//! One Redis, and how it is reached.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, aio::MultiplexedConnection, cmd, io::tcp::TcpSettings,
};
use secrecy::{ExposeSecret, SecretString};

use super::error::RedisStoreError;
use crate::config::RedisAddress;

/// What one connection is made of; clones are the same connection.
pub(super) type RedisConnection = MultiplexedConnection;

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(1);

/// Where it is and who asks. Shown by nobody: it holds a password.
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
        // The library logs in by itself, but then tells one refusal like another.
        let anonymous = RedisConnectionInfo::default().set_skip_set_lib_name();
        let client = Client::open(info.set_tcp_settings(tcp).set_redis_settings(anonymous))?;
        Ok(Self { client, user, password, database })
    }

    /// A connection of one's own, logged in, whose answers may take as long as `patience`. The task that
    /// drives it is spawned here: it ends with this runtime.
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
            // A port without TLS waits for the rest of what it takes for a command.
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

/// Redis may repeat what it was sent: of its own words none is told.
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
