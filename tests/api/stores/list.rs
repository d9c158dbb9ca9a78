//! The promises of every store for the revocation list.

use std::{sync::Arc, time::Duration};

use logout_gateway::{
    Clock,
    internals::{
        clock::from_unix_seconds,
        outcome::Scope,
        session::token::Claims,
        store::{
            Store,
            list::{Revocation, SessionFact},
        },
    },
};
use uuid::Uuid;

use super::StoreLocation;

const DAY: i64 = 86_400;
const LIFETIME: Duration = Duration::from_hours(24);

/// The real time in seconds since the Unix epoch, because a store may use its own clock.
pub(super) fn now() -> i64 {
    Clock::system().unix_seconds()
}

/// The claims of a token of a new session of `user`, issued at `iat`.
pub(super) fn session_of(user: Uuid, iat: i64) -> Claims {
    Claims {
        sub: user,
        session_id: Uuid::new_v4(),
        exp: iat + 3600,
        iat: Some(iat),
        nbf: None,
        role: None,
        aal: None,
        is_anonymous: false,
        client_id: None,
    }
}

/// The claims of a token of a new session of a new user, issued at `iat`.
pub(super) fn session(iat: i64) -> Claims {
    session_of(Uuid::new_v4(), iat)
}

/// The claims of another token of the same session, issued at `iat`.
fn issued(claims: &Claims, iat: i64) -> Claims {
    Claims { iat: Some(iat), exp: iat + 3600, ..claims.clone() }
}

pub(super) async fn log_out(store: &dyn Store, claims: &Claims, scope: Scope, at: i64) {
    let at = from_unix_seconds(at);
    let revocation = Revocation::new(claims, scope, at, at, LIFETIME);
    store.revoke(&revocation).await.unwrap();
}

/// Revokes the token's session because of a logout that GoTrue did not confirm.
pub(super) async fn log_out_unconfirmed(store: &dyn Store, claims: &Claims, scope: Scope, at: i64) {
    let at = from_unix_seconds(at);
    let revocation = Revocation::new(claims, scope, at, at, LIFETIME).unconfirmed();
    store.revoke(&revocation).await.unwrap();
}

pub(super) async fn refuses(store: &dyn Store, claims: &Claims, now: i64) -> bool {
    store.is_revoked(claims, from_unix_seconds(now)).await.unwrap()
}

pub(super) async fn local_ends_the_session_and_no_other(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let ended = session(now - 10);
    assert!(!refuses(&*store, &ended, now).await);
    log_out(&*store, &ended, Scope::Local, now).await;
    assert!(refuses(&*store, &ended, now).await);
    assert!(
        refuses(&*store, &issued(&ended, now + 10), now + 10).await,
        "a later token of the session"
    );
    assert!(
        !refuses(&*store, &session_of(ended.sub, now - 10), now).await,
        "another session of the user"
    );
    assert!(!refuses(&*store, &session(now - 10), now).await);
}

pub(super) async fn global_ends_all_earlier_tokens_and_no_new_sign_in(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let ended = session(now - 10);
    log_out(&*store, &ended, Scope::Global, now).await;
    assert!(refuses(&*store, &ended, now).await);
    assert!(
        refuses(&*store, &issued(&ended, now + 10), now + 10).await,
        "a later token of the session that signed out"
    );
    let other = session_of(ended.sub, now - 1);
    assert!(refuses(&*store, &other, now).await);
    assert!(refuses(&*store, &Claims { iat: None, ..other }, now).await, "a token without `iat`");
    assert!(
        refuses(&*store, &session_of(ended.sub, now), now).await,
        "a token of the second of the logout"
    );
    assert!(!refuses(&*store, &session_of(ended.sub, now + 1), now).await, "a new sign-in");
    assert!(!refuses(&*store, &session(now - 10), now).await, "another user's session");
}

pub(super) async fn others_spares_the_session_that_signed_out(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let current = session(now - 10);
    log_out(&*store, &current, Scope::Others, now).await;
    assert!(!refuses(&*store, &current, now).await);
    assert!(refuses(&*store, &session_of(current.sub, now - 1), now).await);
    assert!(
        refuses(&*store, &session_of(current.sub, now), now).await,
        "a token of the second of the logout"
    );
    assert!(!refuses(&*store, &session_of(current.sub, now + 1), now).await, "a new sign-in");
}

pub(super) async fn others_by_two_sessions_ends_the_first_of_them(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let first = session(now - 10);
    let second = session_of(first.sub, now + 1);
    log_out(&*store, &first, Scope::Others, now).await;
    log_out(&*store, &second, Scope::Others, now + 5).await;
    assert!(refuses(&*store, &first, now + 5).await);
    assert!(!refuses(&*store, &second, now + 5).await);
}

pub(super) async fn the_later_of_two_logouts_counts_whatever_their_order(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    for order in [[now, now + 5], [now + 5, now]] {
        let ended = session(now - 10);
        for at in order {
            log_out(&*store, &ended, Scope::Global, at).await;
        }
        let between = session_of(ended.sub, now + 4);
        assert!(refuses(&*store, &between, now + 5).await, "the later cut-off, {order:?}");
        let last = now + 5 + DAY - 1;
        assert!(refuses(&*store, &ended, last).await, "the later end, {order:?}");
        assert!(refuses(&*store, &between, last).await, "the later end, {order:?}");
    }
}

pub(super) async fn an_entry_lasts_as_long_as_the_longest_token(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let long = Claims { exp: now + 30 * DAY, ..session(now) };
    log_out(&*store, &long, Scope::Local, now).await;
    assert!(
        refuses(&*store, &long, now + 30 * DAY - 1).await,
        "the token expires later than the usual lifetime"
    );
    assert!(!refuses(&*store, &long, now + 30 * DAY).await);
    let current = session(now);
    log_out(&*store, &current, Scope::Others, now).await;
    let other = session_of(current.sub, now - 1);
    assert!(refuses(&*store, &other, now + DAY - 1).await);
    assert!(!refuses(&*store, &other, now + DAY).await);
}

pub(super) async fn concurrent_logouts_are_all_on_the_list(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let sessions: Arc<Vec<Claims>> = Arc::new((0..64).map(|_| session(now - 10)).collect());
    let tasks = (0..sessions.len()).map(|n| {
        let (store, sessions) = (store.clone(), sessions.clone());
        tokio::spawn(async move { log_out(&*store, &sessions[n], Scope::Global, now).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for ended in &*sessions {
        assert!(refuses(&*store, ended, now).await);
        assert!(refuses(&*store, &session_of(ended.sub, now - 1), now).await);
    }
}

pub(super) async fn only_expired_revocations_are_purged(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let [early, late] = [session(now - 10), session(now - 10)];
    log_out(&*store, &early, Scope::Global, now).await;
    log_out(&*store, &late, Scope::Global, now + 1).await;
    store.purge_expired(from_unix_seconds(now + DAY - 1)).await.unwrap();
    assert!(refuses(&*store, &early, now).await);
    store.purge_expired(from_unix_seconds(now + DAY)).await.unwrap();
    for (claims, kept) in [(&early, false), (&late, true)] {
        // Ask for the time before the purge, at which neither entry had expired: only the purge may have
        // removed one.
        assert_eq!(refuses(&*store, claims, now).await, kept);
        assert_eq!(refuses(&*store, &session_of(claims.sub, now - 1), now).await, kept);
    }
}

/// Logs out one session with a confirmed logout, and one with an unconfirmed logout of the scope `others`;
/// returns both.
pub(super) async fn with_facts(store: &dyn Store, now: i64) -> [Claims; 2] {
    let [ended, current] = [session(now - 10), session(now - 10)];
    log_out(store, &ended, Scope::Local, now).await;
    log_out_unconfirmed(store, &current, Scope::Others, now).await;
    [ended, current]
}

pub(super) fn assert_facts(store: &dyn Store, [ended, current]: &[Claims; 2], now: i64) {
    let holds = |fact, claims: &Claims| {
        store.list().has_fact(fact, claims.session_id, from_unix_seconds(now))
    };
    assert!(holds(SessionFact::Ended, ended) && !holds(SessionFact::Ended, current));
    let counted = SessionFact::CutOffCounted;
    assert!(holds(counted, current) && !holds(counted, ended));
    assert_eq!(
        store.list().count(),
        2,
        "the list counts an ended session and a cut-off, but no facts"
    );
}

pub(super) async fn facts_are_stored_and_refuse_no_token(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let facts = with_facts(&*store, now).await;
    assert_facts(&*store, &facts, now);
    let [ended, current] = facts;
    assert!(refuses(&*store, &ended, now).await);
    assert!(!refuses(&*store, &current, now).await);
    // An unconfirmed logout must not store the fact that the session has ended.
    let unconfirmed = session(now - 10);
    log_out_unconfirmed(&*store, &unconfirmed, Scope::Local, now).await;
    assert!(refuses(&*store, &unconfirmed, now).await);
    let is_ended =
        store.list().has_fact(SessionFact::Ended, unconfirmed.session_id, from_unix_seconds(now));
    assert!(!is_ended && store.list().count() == 3);
    assert!(!store.list().has_fact(
        SessionFact::Ended,
        ended.session_id,
        from_unix_seconds(now + DAY)
    ));
}
