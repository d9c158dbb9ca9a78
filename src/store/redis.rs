//! The store in Redis or Valkey: list, queue and failure log, shared by all instances.
//!
//! 1. Each instance holds a copy of the revocation list and is told of changes: a lookup costs no
//!    network call, and whoever is logged out at one instance is refused at the others as soon as the
//!    message is there.
//! 2. No instance is later than [`STALENESS_BOUND`]. A copy that was not proven complete since then is not
//!    trusted: Redis is asked about the token, and if it does not answer, nobody can tell. So is it for
//!    facts about sessions.
//! 3. A copy forgets what is outlived and nothing else. What Redis has lost, or could not be told, is
//!    written into it again.
//! 4. What belongs together is written together, by a script or a transaction.
//!
//! Times are this machine's: its monotonic clock for the bound, the gateway's for all that is kept.

mod commands;
mod connection;
mod diagnose;
mod error;
mod follower;
mod queue;
mod records;
mod replica;
mod server;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::{FromRedisValue, Pipeline, pipe};
use tokio::time::Instant;

pub use self::replica::STALENESS_BOUND;
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

/// How long Redis may take to tell whether a token is on the list.
const LOOKUP: Duration = Duration::from_millis(500);

/// What Redis answers about a session: the format, until when the session and each fact about it are on the
/// list, and its user's cut-offs.
type About =
    (Option<String>, Option<String>, Option<String>, Option<String>, Vec<(String, String)>);

/// The list, the queue and the failure log.
#[derive(Debug)]
pub struct RedisStore {
    server: RedisServer,
    keys: RedisKeys,
    connection: SharedConnection,
    replica: Replica,
}

impl RedisStore {
    /// Connects. A Redis that is not there is waited for, in [`Store::run`].
    ///
    /// # Errors
    /// [`OpenStoreError`]: it refuses the credentials, or is none that can be used.
    pub async fn open(address: &RedisAddress) -> Result<Self, OpenStoreError> {
        let refused = |fault: RedisStoreError| OpenStoreError(fault.to_string());
        let server = RedisServer::new(address).map_err(refused)?;
        let keys = RedisKeys::new(&address.prefix);
        let replica = Replica::new();
        let first = match diagnose::connected(&server, &keys).await {
            Err(fault) if fault.is_permanent => return Err(refused(fault)),
            Err(fault) => {
                tracing::warn!(cause = %fault, "the store is not there yet, and is waited for");
                Err(fault)
            }
            Ok((connection, _)) => {
                replica.record_answer(Instant::now());
                Ok(connection)
            }
        };
        Ok(Self { server, keys, connection: SharedConnection::new(first), replica })
    }

    /// What `check` tells of it.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub async fn diagnose(address: &RedisAddress) -> Result<Diagnosis, String> {
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

    /// Asks Redis itself about a session and its user: whether they are on the list, and the facts about
    /// the session. The copy holds the answer afterwards.
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
        // In this order: what makes it trusted is on the list by then.
        let trusted = self.replica.is_trusted();
        if self.replica.refuses(claims, now) {
            return Ok(true);
        }
        if trusted {
            return Ok(false);
        }
        // In a box of its own: the lookup that needs no network stays small.
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
