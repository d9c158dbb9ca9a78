//! Section 9 of the contract: what a store promises, and that every store keeps it.
//!
//! A promise is an async function; [`every_store`], [`every_queue`] and [`every_durable_store`] list
//! them. The module of each store names the lists that it keeps: each promise is a test there.

mod cut_offs;
mod disk;
mod durable;
mod earlier_release;
mod failures;
mod first_release;
mod list;
mod looking;
mod opening;
mod queue;
mod secrets;
mod totals;

use std::{any::Any, sync::Arc};

use jiff::Timestamp;
use logout_gateway::internals::{
    clock::from_unix_seconds,
    config::StoreAddress,
    store::{self, Store},
};

use self::queue::{at_once, bounds, merging, order};
use crate::harness::eventually;

/// Where a store is, empty at first; what is there ends with it.
struct Place {
    address: StoreAddress,
    /// The clock of the gateway.
    clock: fn() -> Timestamp,
    /// What it stands on: a directory, a server.
    _ground: Box<dyn Any>,
}

impl Place {
    fn memory() -> Self {
        Self { address: StoreAddress::Memory, clock: queue::now, _ground: Box::new(()) }
    }

    fn file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = StoreAddress::File(directory.path().join("store"));
        Self { address, clock: queue::now, _ground: Box::new(directory) }
    }

    /// The store, once it can be asked.
    async fn open(&self) -> Arc<dyn Store> {
        let store = store::open(&self.address).await.unwrap();
        let (claims, now) = (list::session(list::now()), list::now());
        eventually("it answers", async || {
            store.is_revoked(&claims, from_unix_seconds(now)).await.is_ok()
        })
        .await;
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
            facts_are_held_and_refuse_nothing
        }
        promises! { $place => cut_offs:
            two_lines_say_the_same_as_all_that_a_user_asked_for
            a_cut_off_refuses_its_own_second
        }
        promises! { $place => failures:
            failures_come_newest_first
            the_last_ten_thousand_failures_are_kept
            the_last_hundred_failures_of_a_user_are_kept
            one_user_pushes_out_no_failures_of_others
            failures_noted_at_once_are_all_kept_in_their_order
        }
    };
}

/// What a store promises whose entries end by the clock that it is told.
macro_rules! every_store_that_is_told_the_time {
    ($place:expr) => {
        promises! { $place => list:
            only_expired_revocations_are_purged
        }
    };
}

/// What a store with a queue promises of it.
macro_rules! every_queue {
    ($place:expr) => {
        promises! { $place => queue:
            an_entry_is_listed_by_its_due_time
            the_oldest_is_known_whatever_its_due_time
            the_earliest_due_are_leased_and_no_more_than_asked_for
            nothing_is_leased_before_it_is_due
            a_lease_is_one_workers_until_it_ends
            a_rescheduled_entry_is_due_at_its_new_time
            removed_entries_stay_removed
        }
        promises! { $place => at_once:
            workers_at_once_never_get_the_same_entry
            of_two_workers_that_reschedule_the_same_lease_one_succeeds
        }
        promises! { $place => merging:
            there_is_one_entry_for_each_session_and_scope
            the_newest_three_credentials_are_kept
            the_proven_token_that_expires_last_is_kept
            stale_credentials_push_out_no_proven_ones
            another_request_leaves_due_time_attempts_and_age
            stale_credentials_renew_nothing
            an_entry_that_got_credentials_while_leased_is_due_at_once
            merging_takes_no_lease_away_and_loses_nothing
            an_entry_with_new_credentials_is_not_removed
            an_entry_that_was_queued_again_is_not_removed_for_the_former
            requests_and_workers_at_once_lose_nothing
        }
        promises! { $place => order:
            the_entry_that_failed_last_is_leased_last
            hundreds_that_always_fail_hide_no_fresh_entry
            an_entry_that_a_wrong_clock_made_due_in_years_is_due_now
        }
        promises! { $place => bounds:
            entries_are_bounded
            bytes_are_bounded
            stale_entries_take_a_quarter
            stale_bytes_take_a_quarter
            a_user_has_64_sessions_in_the_queue
            stale_sessions_take_a_quarter_of_a_users_places
            the_bytes_of_a_user_are_bounded
            totals_are_those_of_the_entries
        }
    };
}

/// What a durable store promises of its next opening.
macro_rules! every_durable_store {
    ($place:expr) => {
        promises! { $place => durable:
            revocations_survive
            later_ends_and_cut_offs_survive
            folded_cut_offs_survive
            facts_survive
            failures_survive_in_their_order
            the_last_failures_of_a_user_survive
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
    promises! { Place::file() => durable: purged_revocations_stay_purged }
}

mod redis;
