//! Section 9 of the contract: the promises of a store, each tested with every kind of store.
//!
//! A promise is an async function. [`every_store`], [`every_queue`] and [`every_durable_store`] list the
//! promises; the module of each store invokes the lists that apply to it, which makes each promise a test
//! of that store.

mod cut_offs;
mod disk;
mod durable;
mod earlier_release;
mod earlier_tables;
mod failures;
mod first_release;
mod list;
mod opening;
mod queue;
mod read_only;
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

/// The address of a new, empty store. The store is deleted when this is dropped.
struct StoreLocation {
    address: StoreAddress,
    /// Returns the time of the gateway's clock, which a store with its own clock must not use.
    clock: fn() -> Timestamp,
    /// Owns the directory or the server of the store, which ends when this is dropped.
    _guard: Box<dyn Any>,
}

impl StoreLocation {
    fn memory() -> Self {
        Self { address: StoreAddress::Memory, clock: queue::now, _guard: Box::new(()) }
    }

    fn file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = StoreAddress::File(directory.path().join("store"));
        Self { address, clock: queue::now, _guard: Box::new(directory) }
    }

    /// Opens the store and waits until it answers.
    async fn open(&self) -> Arc<dyn Store> {
        let store = store::open(&self.address).await.unwrap();
        let (claims, now) = (list::session(list::now()), list::now());
        eventually("the store answers", async || {
            store.is_revoked(&claims, from_unix_seconds(now)).await.is_ok()
        })
        .await;
        store
    }
}

/// Makes a test from each promise. Each test gets a new store.
macro_rules! promises {
    ($location:expr => $of:ident: $($promise:ident)+) => {
        $(#[tokio::test]
        async fn $promise() {
            let location = $location;
            $crate::stores::$of::$promise(&location).await;
        })+
    };
}

/// Tests what every store promises about the revocation list and the failure log.
macro_rules! every_store {
    ($location:expr) => {
        promises! { $location => list:
            local_ends_the_session_and_no_other
            global_ends_all_earlier_tokens_and_no_new_sign_in
            others_spares_the_session_that_signed_out
            others_by_two_sessions_ends_the_first_of_them
            the_later_of_two_logouts_counts_whatever_their_order
            an_entry_lasts_as_long_as_the_longest_token
            concurrent_logouts_are_all_on_the_list
            facts_are_stored_and_refuse_no_token
        }
        promises! { $location => cut_offs:
            two_cut_offs_refuse_the_same_tokens_as_all_logouts_of_a_user
            a_cut_off_refuses_its_own_second
        }
        promises! { $location => failures:
            failures_come_newest_first
            the_last_ten_thousand_failures_are_kept
            the_last_hundred_failures_of_a_user_are_kept
            one_user_removes_no_failures_of_others
            concurrently_appended_failures_are_all_kept_in_order
        }
    };
}

/// Tests what a store promises if it purges by the time that its caller passes instead of by a clock of its
/// own.
macro_rules! every_store_with_the_callers_clock {
    ($location:expr) => {
        promises! { $location => list:
            only_expired_revocations_are_purged
        }
    };
}

/// Tests what a store with a queue promises.
macro_rules! every_queue {
    ($location:expr) => {
        promises! { $location => queue:
            entries_are_listed_by_their_due_time
            the_oldest_entry_is_reported_whatever_its_due_time
            the_earliest_due_entries_are_leased_up_to_the_requested_number
            no_entry_is_leased_before_it_is_due
            only_one_worker_has_a_lease_until_it_ends
            a_rescheduled_entry_is_due_at_its_new_time
            removed_entries_stay_removed
        }
        promises! { $location => at_once:
            concurrent_workers_never_get_the_same_entry
            only_one_of_two_workers_reschedules_the_same_lease
        }
        promises! { $location => merging:
            there_is_one_entry_for_each_session_and_scope
            the_newest_three_credentials_are_kept
            the_proven_token_that_expires_last_is_kept
            stale_credentials_replace_no_proven_ones
            another_request_keeps_due_time_attempts_and_age
            stale_credentials_do_not_renew_an_entry
            an_entry_with_new_credentials_since_its_lease_is_due_at_once
            merging_keeps_the_lease_and_all_credentials
            an_entry_with_new_credentials_is_not_removed
            an_entry_that_was_queued_again_is_not_removed_by_the_earlier_worker
            concurrent_requests_and_workers_lose_nothing
        }
        promises! { $location => order:
            the_entry_that_failed_last_is_leased_last
            hundreds_of_failing_entries_delay_no_new_entry
            an_entry_that_a_wrong_clock_made_due_in_years_is_due_at_once
        }
        promises! { $location => bounds:
            entries_are_bounded
            bytes_are_bounded
            stale_entries_take_at_most_a_quarter_of_the_entries
            stale_entries_take_at_most_a_quarter_of_the_bytes
            a_user_has_at_most_64_sessions_in_the_queue
            stale_sessions_take_at_most_a_quarter_of_a_users_sessions
            the_bytes_of_a_user_are_bounded
            the_stored_totals_match_the_entries
        }
    };
}

/// Tests what a durable store promises to have when it is opened again.
macro_rules! every_durable_store {
    ($location:expr) => {
        promises! { $location => durable:
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
    use super::StoreLocation;

    every_store! { StoreLocation::memory() }
    every_store_with_the_callers_clock! { StoreLocation::memory() }
}

mod file {
    use super::StoreLocation;

    every_store! { StoreLocation::file() }
    every_store_with_the_callers_clock! { StoreLocation::file() }
    every_queue! { StoreLocation::file() }
    every_durable_store! { StoreLocation::file() }
    promises! { StoreLocation::file() => durable: purged_revocations_stay_purged }
}

mod redis;
