//! The store in Redis or Valkey: list, queue and failure log, shared by all instances.
//!
//! 1. Each instance holds a copy of the revocation list and is told of changes: a lookup costs no
//!    network call, and whoever is logged out at one instance is refused at the others as soon as the
//!    message is there.
//! 2. No instance is later than [`BOUND`]. A copy that was not proven complete since then is not
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
use redis::{FromRedisValue, Pipeline, pipe};
use tokio::time::Instant;

pub use self::replica::BOUND;
use self::{
    connection::{PATIENCE, SharedConnection},
    error::Fault,
    records::Keys,
    replica::Replica,
    server::Server,
};
use super::{
    CannotOpen, FAILURES_KEPT, FAILURES_KEPT_OF_USER, Queue, Store, StoreError, Survey,
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
    server: Server,
    keys: Keys,
    link: SharedConnection,
    copy: Replica,
}

impl RedisStore {
    /// Connects. A Redis that is not there is waited for, in [`Store::keep`].
    ///
    /// # Errors
    /// [`CannotOpen`]: it refuses the credentials, or is none that can be used.
    pub async fn open(address: &RedisAddress) -> Result<Self, CannotOpen> {
        let refused = |fault: Fault| CannotOpen(fault.to_string());
        let server = Server::new(address).map_err(refused)?;
        let keys = Keys::new(&address.prefix);
        let copy = Replica::new();
        let first = match diagnose::connected(&server, &keys).await {
            Err(fault) if fault.lasting => return Err(refused(fault)),
            Err(fault) => {
                tracing::warn!(cause = %fault, "the store is not there yet, and is waited for");
                Err(fault)
            }
            Ok((connection, _)) => {
                copy.was_answered(Instant::now());
                Ok(connection)
            }
        };
        Ok(Self { server, keys, link: SharedConnection::new(first), copy })
    }

    /// What `check` tells of it.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub async fn survey(address: &RedisAddress) -> Result<Survey, String> {
        diagnose::survey(address).await.map_err(|fault| fault.to_string())
    }

    async fn ask<T: FromRedisValue>(
        &self,
        operation: &'static str,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        self.link.ask(commands, PATIENCE).await.map_err(|fault| fault.of(operation))
    }

    /// Asks Redis itself about a session and its user: whether they are on the list, and the facts about
    /// the session. The copy holds the answer afterwards.
    async fn look_up(&self, claims: &Claims) -> Result<(), StoreError> {
        self.ask_about(claims).await.map_err(|fault| fault.of("look up a token"))
    }

    async fn ask_about(&self, claims: &Claims) -> Result<(), Fault> {
        let asked_at = Instant::now();
        let (user, session) = (claims.sub, claims.session_id);
        let members =
            [session, SessionFact::Ended.key(session), SessionFact::CutOffCounted.key(session)]
                .map(records::session_member);
        let mut question = commands::guarded(&self.keys);
        for member in &members {
            question.cmd("ZSCORE").arg(&self.keys.sessions).arg(member);
        }
        question.cmd("HGETALL").arg(self.keys.user(user));
        let (format, ended, confirmed, counted, cut_offs): About =
            self.link.ask(&question, LOOKUP).await?;
        records::readable(format.as_deref())?;
        if self.copy.unreadable() {
            return Err(Fault::newer());
        }
        for (member, until) in members.iter().zip([ended, confirmed, counted]) {
            if let Some(until) = until {
                self.copy.enter(records::session(member, &until)?);
            }
        }
        for (spared, record) in cut_offs {
            self.copy.enter(records::cut_off(user, &spared, &record)?);
        }
        self.copy.was_answered(asked_at);
        Ok(())
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        let marks: Vec<RevocationEntry> = revocation.marks().collect();
        for mark in &marks {
            self.copy.enter(*mark);
        }
        let written = self.ask("revoke", &commands::entering(&self.keys, &marks)).await;
        if written.is_err() {
            self.copy.is_ahead();
        }
        written
    }

    async fn is_revoked(&self, claims: &Claims, now: i64) -> Result<bool, StoreError> {
        // In this order: what makes it trusted is on the list by then.
        let trusted = self.copy.trusted();
        if self.copy.refuses(claims, now) {
            return Ok(true);
        }
        if trusted {
            return Ok(false);
        }
        // In a box of its own: the lookup that needs no network stays small.
        Box::pin(self.look_up(claims)).await?;
        Ok(self.copy.refuses(claims, now))
    }

    fn list(&self) -> &RevocationList {
        &self.copy.list
    }

    async fn learn(&self, claims: &Claims) -> Result<(), StoreError> {
        if self.copy.trusted() { Ok(()) } else { Box::pin(self.look_up(claims)).await }
    }

    async fn purge_expired(&self, now: i64) -> Result<(), StoreError> {
        self.copy.list.purge_expired(now);
        self.ask("forget", &commands::forgetting(&self.keys, now)).await
    }

    async fn note(&self, failures: &[Failure]) -> Result<(), StoreError> {
        let fault = |fault: Fault| fault.of("note failures");
        let records = failures.iter().map(records::written).collect::<Result<Vec<_>, _>>();
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
        self.ask("note failures", &commands).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        let Some(last) = most.min(FAILURES_KEPT).checked_sub(1) else { return Ok(Vec::new()) };
        let mut commands = pipe();
        commands.cmd("LRANGE").arg(&self.keys.failures).arg(0).arg(last);
        let (records,): (Vec<String>,) = self.ask("list failures", &commands).await?;
        Ok(records.iter().filter_map(|record| records::taken(record)).collect())
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }

    fn ready(&self) -> bool {
        self.copy.ready()
    }

    fn is_loading(&self) -> bool {
        self.copy.is_loading()
    }

    async fn keep(&self) {
        tokio::join!(self.link.keep(&self.server), self.follow());
    }
}
