//! Tests which tokens a logout refuses, and for how long.

use super::*;

const NOW: i64 = 1_000_000;
const DAY: Duration = Duration::from_hours(24);

fn at(seconds: i64) -> Timestamp {
    from_unix_seconds(seconds)
}

fn token(user: u128, session: u128, iat: i64) -> Claims {
    Claims {
        sub: Uuid::from_u128(user),
        session_id: Uuid::from_u128(session),
        exp: iat + 3600,
        iat: Some(iat),
        nbf: None,
        role: None,
        aal: None,
        is_anonymous: false,
        client_id: None,
    }
}

fn log_out(list: &RevocationList, claims: &Claims, scope: Scope, at: i64) {
    let at = self::at(at);
    Revocation::new(claims, scope, at, at, DAY).entries().for_each(|entry| list.insert(entry));
}

fn logged_out(claims: &Claims, scope: Scope) -> RevocationList {
    let list = RevocationList::default();
    log_out(&list, claims, scope, NOW);
    list
}

#[test]
fn local_ends_only_its_session() {
    let list = logged_out(&token(1, 1, NOW - 10), Scope::Local);
    assert!(list.refuses(&token(1, 1, NOW - 10), at(NOW)));
    assert!(list.refuses(&token(1, 1, NOW + 10), at(NOW)), "a token refreshed from it");
    assert!(!list.refuses(&token(1, 2, NOW - 10), at(NOW)));
}

#[test]
fn global_ends_every_session_of_the_user_but_no_new_sign_in() {
    let list = logged_out(&token(1, 1, NOW - 10), Scope::Global);
    assert!(list.refuses(&token(1, 1, NOW - 10), at(NOW)));
    assert!(list.refuses(&token(1, 2, NOW - 1), at(NOW)));
    assert!(list.refuses(&token(1, 3, NOW), at(NOW)), "issued in the cut-off's own second");
    assert!(!list.refuses(&token(1, 3, NOW + 1), at(NOW)), "issued after it");
    assert!(!list.refuses(&token(2, 4, NOW - 10), at(NOW)), "of another user");
}

#[test]
fn others_spares_the_session_that_requested_it() {
    let list = logged_out(&token(1, 1, NOW - 10), Scope::Others);
    assert!(!list.refuses(&token(1, 1, NOW - 10), at(NOW)));
    assert!(list.refuses(&token(1, 2, NOW - 1), at(NOW)));
    let undated = Claims { iat: None, ..token(1, 2, NOW) };
    assert!(
        list.refuses(&undated, at(NOW)),
        "a token without an issue time counts as older than the cut-off"
    );
}

#[test]
fn others_requested_by_two_sessions_ends_the_first_of_them_too() {
    let list = logged_out(&token(1, 1, NOW - 10), Scope::Others);
    log_out(&list, &token(1, 2, NOW + 1), Scope::Others, NOW + 5);
    assert!(list.refuses(&token(1, 1, NOW - 10), at(NOW + 5)));
    let later = token(1, 2, NOW + 1);
    assert!(!list.refuses(&later, at(NOW + 5)));
    log_out(&list, &later, Scope::Global, NOW + 9);
    assert!(list.refuses(&token(1, 2, NOW + 9), at(NOW + 9)));
    assert_eq!(list.count(), 2, "the session and one cut-off");
}

#[test]
fn of_two_logouts_the_later_end_and_the_later_cut_off_count_in_any_order() {
    for order in [[NOW, NOW + 5], [NOW + 5, NOW]] {
        let list = RevocationList::default();
        for at in order {
            log_out(&list, &token(1, 1, NOW - 10), Scope::Global, at);
        }
        assert!(list.refuses(&token(1, 2, NOW + 4), at(NOW + 5)));
        assert!(list.refuses(&token(1, 1, NOW - 10), at(NOW + 86_404)));
        assert_eq!(list.count(), 2);
    }
}

#[test]
fn an_entry_lives_as_long_as_the_longest_token_it_can_match() {
    let long_lived = Claims { exp: NOW + 30 * 86_400, ..token(1, 1, NOW) };
    let list = logged_out(&long_lived, Scope::Local);
    list.purge_expired(at(NOW + 29 * 86_400));
    assert!(list.refuses(&long_lived, at(NOW + 29 * 86_400)));

    let list = logged_out(&token(1, 1, NOW), Scope::Global);
    list.purge_expired(at(NOW + 86_399));
    assert!(list.refuses(&token(1, 1, NOW - 1), at(NOW + 86_399)));
    list.purge_expired(at(NOW + 86_400));
    assert_eq!(list.count(), 0);
}

#[test]
fn an_unconfirmed_logout_is_kept_a_week_longer_and_is_no_known_end() {
    let claims = token(1, 1, NOW);
    let list = RevocationList::default();
    let now = at(NOW);
    let revocation = Revocation::new(&claims, Scope::Local, now, now, DAY);
    revocation.clone().unconfirmed().entries().for_each(|entry| list.insert(entry));
    let week = 7 * 86_400;
    assert!(list.refuses(&token(1, 1, NOW + week), at(NOW + week + 86_399)));
    assert!(!list.refuses(&token(1, 1, NOW + week), at(NOW + week + 86_400)));
    let session = claims.session_id;
    assert!(!list.has_fact(SessionFact::Ended, session, at(NOW)));
    revocation.entries().for_each(|entry| list.insert(entry));
    assert!(list.has_fact(SessionFact::Ended, session, at(NOW)));
    assert_eq!(list.count(), 1, "facts are not counted");
}

#[test]
fn an_unconfirmed_logout_records_that_its_session_has_set_a_cut_off() {
    let claims = token(1, 1, NOW);
    let list = RevocationList::default();
    for scope in [Scope::Local, Scope::Others] {
        assert!(!list.has_fact(SessionFact::CutOffCounted, claims.session_id, at(NOW)));
        let revocation =
            Revocation::new(&claims, scope, Timestamp::UNIX_EPOCH, at(NOW), DAY).unconfirmed();
        revocation.entries().for_each(|entry| list.insert(entry));
    }
    assert!(list.has_fact(SessionFact::CutOffCounted, claims.session_id, at(NOW)));
    list.purge_expired(at(NOW + 8 * 86_400));
    assert!(!list.has_fact(SessionFact::CutOffCounted, claims.session_id, at(NOW)));
}
