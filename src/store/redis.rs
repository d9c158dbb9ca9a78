//! The store in Redis or Valkey: the revocation list, the queue and the failure log, shared by all instances.
//!
//! 1. Each instance has a replica of the revocation list in memory and follows the changes of the list. A
//!    check of a token needs no network call, and an instance refuses the tokens of a logout at another
//!    instance as soon as it has read the change.
//! 2. The store trusts its replica for [`STALENESS_BOUND`](replica::STALENESS_BOUND) after the replica was
//!    known to be complete. Otherwise the store asks Redis about each token or session, and returns an error
//!    if Redis does not answer. So no instance accepts a token that another instance revoked longer ago than
//!    the bound.
//! 3. A replica drops only expired entries. If Redis has lost an entry, or refused to store it, the store
//!    writes the entry again from the replica.
//! 4. A Lua script writes data that belongs together, so that Redis has all of it or none.
//!
//! The bound is measured by this machine's monotonic clock. Times of the revocation list are by the gateway's
//! clock, times of the queue by the clock of Redis.

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

/// The answer to a lookup of a token: the format version, the `until` of the session and of each fact about
/// it, and the cut-offs of its user.
type LookupAnswer =
    (Option<String>, Option<String>, Option<String>, Option<String>, Vec<(String, String)>);

/// The revocation list, the queue and the failure log in Redis.
#[derive(Debug)]
pub(crate) struct RedisStore {
    server: RedisServer,
    keys: RedisKeys,
    connection: SharedConnection,
    replica: Replica,
}

impl RedisStore {
    /// Connects to Redis. If Redis does not answer, [`Store::run`] keeps trying to connect.
    ///
    /// # Errors
    /// [`OpenStoreError`] if Redis refuses the credentials, or if its version or mode is not supported.
    pub(crate) async fn open(address: &RedisAddress) -> Result<Self, OpenStoreError> {
        let open_error = |fault: RedisStoreError| OpenStoreError(fault.to_string());
        let server = RedisServer::new(address).map_err(open_error)?;
        let keys = RedisKeys::new(&address.prefix);
        let replica = Replica::new();
        let first = match diagnose::connected(&server, &keys).await {
            Err(fault) if fault.is_permanent => return Err(open_error(fault)),
            Err(fault) => {
                tracing::warn!(cause = %fault, "the store could not connect to Redis and keeps trying");
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
    /// The reason why a gateway cannot use Redis, as a text for the operator.
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

    /// Reads the entries and facts of a session, and the cut-offs of its user, from Redis into the replica.
    async fn look_up(&self, claims: &Claims) -> Result<(), StoreError> {
        self.query_revocations(claims)
            .await
            .map_err(|fault| fault.into_store_error("look up the revocation of a token"))
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
        let (format, ended, confirmed, counted, cut_offs): LookupAnswer =
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
        let written =
            self.query("record a revocation", &commands::revoke(&self.keys, &entries)).await;
        if written.is_err() {
            self.replica.mark_ahead();
        }
        written
    }

    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError> {
        // Read `is_trusted` before the lookup. In the other order, the replica could receive a revocation
        // after the lookup and be trusted before `is_trusted`: a revoked token would be accepted.
        let trusted = self.replica.is_trusted();
        if self.replica.refuses(claims, now) {
            return Ok(true);
        }
        if trusted {
            return Ok(false);
        }
        // Box the network lookup, which is rare: the future of the usual lookup stays small.
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
        self.query("purge expired revocations", &commands::purge_expired(&self.keys, now)).await
    }

    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError> {
        let fault = |fault: RedisStoreError| fault.into_store_error("append to the failure log");
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
        self.query("append to the failure log", &commands).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        let Some(last) = most.min(FAILURES_KEPT).checked_sub(1) else { return Ok(Vec::new()) };
        let mut commands = pipe();
        commands.cmd("LRANGE").arg(&self.keys.failures).arg(0).arg(last);
        let (records,): (Vec<String>,) = self.query("read the failure log", &commands).await?;
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
