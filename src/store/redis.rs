//! The store in Redis or Valkey: list, queue and failure log, shared by all instances.
//!
//! 1. Each instance has a replica of the revocation list and follows its changes. A lookup needs no network
//!    call, and an instance refuses the tokens of a logout at another instance as soon as it has read the
//!    change.
//! 2. No instance is behind by more than [`STALENESS_BOUND`](replica::STALENESS_BOUND). A replica that was not known to be complete
//!    since then is not trusted: the store asks Redis about the token, or the fact about a session, and returns
//!    an error if Redis does not answer.
//! 3. A replica loses nothing but expired entries. If Redis lost an entry, or did not take it, the store
//!    writes it again.
//! 4. A script or a transaction writes data that belongs together.
//!
//! The bound is measured by this machine's monotonic clock. Times of the list are by the gateway's clock, times
//! of the queue by that of Redis.

mod commands;
mod connection;
mod diagnose;
mod error;
mod follower;
mod queue;
mod records;
pub(crate) mod replica;
mod server;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::{FromRedisValue, Pipeline, pipe};
use tokio::time::Instant;

use self::{
    connection::{SharedConnection, TIMEOUT},
    error::RedisStoreError,
    records::RedisKeys,
    replica::Replica,
    server::RedisServer,
};
use super::{
    Diagnosis, FAILURES_KEPT, FAILURES_KEPT_OF_USER, OpenStoreError, Queue, Store, StoreError,
    failure::Failure,
    list::{Revocation, RevocationEntry, RevocationList, SessionFact},
};
use crate::{config::RedisAddress, session::token::Claims};

const APPEND_FAILURES: &str = include_str!("redis/append_failures.lua");

/// How long a lookup of a token waits for Redis.
const LOOKUP: Duration = Duration::from_millis(500);

/// The answer to a lookup: the format, the `until` of the session and of each fact about it, and its user's
/// cut-offs.
type About =
    (Option<String>, Option<String>, Option<String>, Option<String>, Vec<(String, String)>);

/// Revocation list, queue and failure log in Redis.
#[derive(Debug)]
pub(crate) struct RedisStore {
    server: RedisServer,
    keys: RedisKeys,
    connection: SharedConnection,
    replica: Replica,
}

impl RedisStore {
    /// Connects. If Redis does not answer, [`Store::run`] keeps connecting.
    ///
    /// # Errors
    /// [`OpenStoreError`]: Redis refuses the credentials, or this version or mode of Redis is not supported.
    pub(crate) async fn open(address: &RedisAddress) -> Result<Self, OpenStoreError> {
        let refused = |fault: RedisStoreError| OpenStoreError(fault.to_string());
        let server = RedisServer::new(address).map_err(refused)?;
        let keys = RedisKeys::new(&address.prefix);
        let replica = Replica::new();
        let first = match diagnose::connected(&server, &keys).await {
            Err(fault) if fault.is_permanent => return Err(refused(fault)),
            Err(fault) => {
                tracing::warn!(cause = %fault, "Redis is not reachable yet: the store keeps connecting");
                Err(fault)
            }
            Ok((connection, _)) => {
                replica.record_answer(Instant::now());
                Ok(connection)
            }
        };
        Ok(Self { server, keys, connection: SharedConnection::new(first), replica })
    }

    /// Diagnoses Redis for `logout-gateway check`.
    ///
    /// # Errors
    /// Why Redis cannot be used.
    pub(crate) async fn diagnose(address: &RedisAddress) -> Result<Diagnosis, String> {
        diagnose::diagnose(address).await.map_err(|fault| fault.to_string())
    }

    async fn query<T: FromRedisValue>(
        &self,
        operation: &'static str,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        self.connection
            .query(commands, TIMEOUT)
            .await
            .map_err(|fault| fault.into_store_error(operation))
    }

    /// Asks Redis about a session and its user: their entries, and the facts about the session. The replica has
    /// them afterwards.
    async fn look_up(&self, claims: &Claims) -> Result<(), StoreError> {
        self.query_revocations(claims)
            .await
            .map_err(|fault| fault.into_store_error("look up a token"))
    }

    async fn query_revocations(&self, claims: &Claims) -> Result<(), RedisStoreError> {
        let asked_at = Instant::now();
        let (user, session) = (claims.sub, claims.session_id);
        let members =
            [session, SessionFact::Ended.key(session), SessionFact::CutOffCounted.key(session)]
                .map(records::session_member);
        let mut question = commands::guarded_query(&self.keys);
        for member in &members {
            question.cmd("ZSCORE").arg(&self.keys.sessions).arg(member);
        }
        question.cmd("HGETALL").arg(self.keys.user(user));
        let (format, ended, confirmed, counted, cut_offs): About =
            self.connection.query(&question, LOOKUP).await?;
        records::readable(format.as_deref())?;
        if self.replica.is_unreadable() {
            return Err(RedisStoreError::newer_release());
        }
        for (member, until) in members.iter().zip([ended, confirmed, counted]) {
            if let Some(until) = until {
                self.replica.insert(records::session(member, &until)?);
            }
        }
        for (spared, record) in cut_offs {
            self.replica.insert(records::cut_off(user, &spared, &record)?);
        }
        self.replica.record_answer(asked_at);
        Ok(())
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        let entries: Vec<RevocationEntry> = revocation.entries().collect();
        for entry in &entries {
            self.replica.insert(*entry);
        }
        let written = self.query("revoke", &commands::revoke(&self.keys, &entries)).await;
        if written.is_err() {
            self.replica.mark_ahead();
        }
        written
    }

    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError> {
        // Read `is_trusted` first: a replica that is trusted now has all entries at the lookup after it.
        let trusted = self.replica.is_trusted();
        if self.replica.refuses(claims, now) {
            return Ok(true);
        }
        if trusted {
            return Ok(false);
        }
        // Boxed, so that the future of the usual lookup, without network, stays small.
        Box::pin(self.look_up(claims)).await?;
        Ok(self.replica.refuses(claims, now))
    }

    fn list(&self) -> &RevocationList {
        &self.replica.list
    }

    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError> {
        if self.replica.is_trusted() { Ok(()) } else { Box::pin(self.look_up(claims)).await }
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        self.replica.list.purge_expired(now);
        self.query("forget", &commands::purge_expired(&self.keys, now)).await
    }

    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError> {
        let fault = |fault: RedisStoreError| fault.into_store_error("note failures");
        let records = failures.iter().map(records::encode).collect::<Result<Vec<_>, _>>();
        let records = records.map_err(fault)?;
        if records.is_empty() {
            return Ok(());
        }
        let mut commands = pipe();
        let script = commands::script(&mut commands, APPEND_FAILURES, &[&self.keys.failures]);
        script.arg(&self.keys.failures_of_user).arg(FAILURES_KEPT).arg(FAILURES_KEPT_OF_USER);
        for (failure, record) in failures.iter().zip(records) {
            script.arg(failure.user_id.to_string()).arg(record);
        }
        self.query("note failures", &commands).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        let Some(last) = most.min(FAILURES_KEPT).checked_sub(1) else { return Ok(Vec::new()) };
        let mut commands = pipe();
        commands.cmd("LRANGE").arg(&self.keys.failures).arg(0).arg(last);
        let (records,): (Vec<String>,) = self.query("list failures", &commands).await?;
        Ok(records.iter().filter_map(|record| records::decode(record)).collect())
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }

    fn is_ready(&self) -> bool {
        self.replica.is_ready()
    }

    fn is_loading(&self) -> bool {
        self.replica.is_loading()
    }

    async fn run(&self) {
        tokio::join!(self.connection.maintain(&self.server), self.follow());
    }
}
