//! The store in this process's memory: nothing survives a restart, so there is no queue.

use std::{
    collections::VecDeque,
    future,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    FAILURES_KEPT, FAILURES_KEPT_OF_USER, Queue, Store, StoreError,
    failure::Failure,
    list::{Revocation, RevocationList},
};
use crate::session::token::Claims;

/// A store that loses everything at a restart.
#[derive(Debug, Default)]
pub struct MemoryStore {
    list: RevocationList,
    failures: Mutex<VecDeque<Failure>>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        revocation.entries().for_each(|entry| self.list.insert(entry));
        Ok(())
    }

    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.list.refuses(claims, now))
    }

    fn list(&self) -> &RevocationList {
        &self.list
    }

    /// Does nothing: the list is always complete, because only this process changes it.
    async fn sync_list(&self, _claims: &Claims) -> Result<(), StoreError> {
        Ok(())
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        self.list.purge_expired(now);
        Ok(())
    }

    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError> {
        let mut kept = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for failure in failures {
            let of_user = kept.iter().filter(|known| known.user_id == failure.user_id);
            if of_user.count() >= FAILURES_KEPT_OF_USER
                && let Some(oldest) = kept.iter().position(|k| k.user_id == failure.user_id)
            {
                kept.remove(oldest);
            }
            kept.push_back(failure.clone());
        }
        let surplus = kept.len().saturating_sub(FAILURES_KEPT);
        kept.drain(..surplus);
        Ok(())
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        let kept = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.iter().rev().take(most).cloned().collect())
    }

    fn queue(&self) -> Option<&dyn Queue> {
        None
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn run(&self) {
        future::pending::<()>().await;
    }
}
