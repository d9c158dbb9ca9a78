//! Section 9 of the contract: what a store promises, and that every store keeps it.
//!
//! A promise is an async function; [`every_store`], [`every_queue`] and [`every_durable_store`] list
//! them. The module of each store names the lists that it keeps: each promise is a test there.

mod disk;
mod durable;
mod failures;
mod list;
mod opening;
mod queue;
mod secrets;

use std::{any::Any, sync::Arc};

use logout_gateway::{
    config::StoreAddress,
    store::{self, Store},
};

use crate::harness::eventually;

/// Where a store is, empty at first; what is there ends with it.
struct Place {
    address: StoreAddress,
    /// What it stands on: a directory, a server.
    _ground: Box<dyn Any>,
}

impl Place {
    fn memory() -> Self {
        Self { address: StoreAddress::Memory, _ground: Box::new(()) }
    }

    fn file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = StoreAddress::File(directory.path().join("store"));
        Self { address, _ground: Box::new(directory) }
    }

    /// The store, once it can be asked.
    async fn open(&self) -> Arc<dyn Store> {
        let store = store::open(&self.address).await.unwrap();
        eventually("the store is ready", || async { store.ready() }).await;
        store
    }
}

/// A test of each promise, at a place of its own.
macro_rules! promises {
    ($place:expr => $of:ident: $($promise:ident)+) => {
        $(#[tokio::test]
        async fn $promise() {
            let place = $place;
            $crate::stores::$of::$promise(&place).await;
        })+
    };
}

/// What every store promises of the revocation list and the failure log.
macro_rules! every_store {
    ($place:expr) => {
        promises! { $place => list:
            local_ends_the_session_and_no_other
            global_ends_what_was_issued_before_and_no_new_sign_in
            others_spares_the_session_that_asked
            others_of_two_sessions_ends_both_askers_older_tokens
            of_two_logouts_the_later_counts_in_any_order
            an_entry_ends_with_the_longest_token
            logouts_at_once_are_all_on_the_list
        }
        promises! { $place => failures:
            failures_come_newest_first
            the_last_ten_thousand_failures_are_kept
            failures_noted_at_once_are_all_kept_in_their_order
        }
    };
}

/// What a store promises whose entries end by the clock that it is told.
macro_rules! every_store_that_is_told_the_time {
    ($place:expr) => {
        promises! { $place => list:
            what_no_token_can_match_is_forgotten_and_nothing_else
        }
    };
}

/// What a store with a queue promises of it.
macro_rules! every_queue {
    ($place:expr) => {
        promises! { $place => queue:
            what_is_put_is_there_by_its_due_time
            putting_an_entry_again_leaves_the_one_that_waits
            the_oldest_is_told_whatever_its_due_time
            the_earliest_due_are_leased_and_no_more_than_asked_for
            nothing_is_leased_before_it_is_due
            nobody_has_to_look_before_leasing
            a_lease_is_one_workers_until_it_ends
            what_is_put_off_is_due_at_its_new_time
            an_entry_can_be_moved_without_a_lease
            a_lease_that_ended_puts_nothing_off
            what_was_removed_stays_removed
            workers_at_once_never_get_the_same_entry
            of_two_who_put_off_the_same_lease_one_succeeds
        }
    };
}

/// What a durable store promises of its next opening.
macro_rules! every_durable_store {
    ($place:expr) => {
        promises! { $place => durable:
            revocations_survive
            later_ends_and_cut_offs_survive
            failures_survive_in_their_order
            the_queue_survives_with_its_leases
        }
    };
}

mod memory {
    use super::Place;

    every_store! { Place::memory() }
    every_store_that_is_told_the_time! { Place::memory() }
}

mod file {
    use super::Place;

    every_store! { Place::file() }
    every_store_that_is_told_the_time! { Place::file() }
    every_queue! { Place::file() }
    every_durable_store! { Place::file() }
    promises! { Place::file() => durable: what_was_forgotten_stays_forgotten }
}

mod redis;
