//! Tests that a CSRF token of one session is never valid for another.

use std::marker::PhantomData;

use proptest::prelude::*;

use super::*;
use crate::session::token::token_digest;

/// A `Csrf` with the key of `secret` and, if there is one, the key of the previous secret.
fn csrf(secret: &str, previous: Option<&str>) -> Csrf {
    let key = |secret: &str| derived_key(&SecretString::from(secret)).unwrap();
    Csrf {
        mode: CsrfMode::Signed,
        current: key(secret),
        previous: previous.map(key),
        random: SystemRandom::new(),
        allowed_origins: AllowedOrigins::new(&[]),
    }
}

fn to_session(id: u128) -> Binding {
    Binding::to([BoundTo::Session(Uuid::from_u128(id))])
}

fn to_token(token: &str) -> Binding {
    Binding::to([BoundTo::AccessToken(token_digest(token))])
}

fn session() -> impl Strategy<Value = Binding> {
    any::<u128>().prop_map(to_session)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_token_is_valid_for_its_own_session_alone(one in session(), other in session()) {
        prop_assume!(one != other);
        let csrf = csrf("a", None);
        let token = csrf.mint(&one).unwrap();
        prop_assert!(csrf.is_bound(&token, &one));
        prop_assert!(!csrf.is_bound(&token, &other));
        let header = Some(SubmittedToken::new(token.as_bytes()));
        let submit = |session: &Binding| csrf.check_double_submit(header, [token.as_str()].into_iter(), std::slice::from_ref(session));
        prop_assert_eq!(submit(&one), Ok(()));
        prop_assert_eq!(submit(&other), Err(CsrfError::Invalid));
    }

    #[test]
    fn arbitrary_text_is_not_a_valid_token(text in "\\PC{0,120}", session in session()) {
        prop_assert!(!csrf("a", Some("b")).is_bound(&text, &session));
    }

    #[test]
    fn a_token_with_a_changed_character_is_refused(session in session(), at in 0..86_usize) {
        let csrf = csrf("a", None);
        let token = csrf.mint(&session).unwrap();
        let mut changed = token.clone().into_bytes();
        let at = at % changed.len();
        // The last character of each part has unused bits, and decoding refuses a part in which they are set.
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        prop_assert!(!csrf.is_bound(std::str::from_utf8(&changed).unwrap(), &session));
    }

    #[test]
    fn a_token_is_valid_while_its_secret_is_current_or_previous(session in session()) {
        let token = csrf("old", None).mint(&session).unwrap();
        prop_assert!(csrf("new", Some("old")).is_bound(&token, &session));
        prop_assert!(!csrf("new", Some("other")).is_bound(&token, &session));
        prop_assert!(!csrf("new", None).is_bound(&token, &session));
    }
}

#[test]
fn a_token_that_is_bound_to_an_access_token_is_worth_nothing_for_its_session() {
    let csrf = csrf("a", None);
    let session = to_session(1);
    let [of_one, of_other] = ["header.payload.one", "header.payload.other"].map(to_token);
    let token = csrf.mint(&of_one).unwrap();
    assert!(csrf.is_valid(&token, std::slice::from_ref(&of_one)));
    assert!(csrf.is_valid(&token, &[session.clone(), of_one]));
    assert!(!csrf.is_valid(&token, &[session, of_other]));
}

#[test]
fn a_token_of_several_sessions_is_valid_for_exactly_these_in_any_order() {
    let csrf = csrf("a", None);
    let jar =
        |ids: &[u128]| Binding::to(ids.iter().map(|id| BoundTo::Session(Uuid::from_u128(*id))));
    let token = csrf.mint(&jar(&[1, 2])).unwrap();
    assert!(csrf.is_bound(&token, &jar(&[2, 1])) && csrf.is_bound(&token, &jar(&[1, 2, 1])));
    for other in [&[1][..], &[2], &[], &[1, 3], &[1, 2, 3]] {
        assert!(!csrf.is_bound(&token, &jar(other)), "{other:?}");
    }
    for alone in [1, 2] {
        let token = csrf.mint(&to_session(alone)).unwrap();
        assert!(
            !csrf.is_bound(&token, &jar(&[1, 2])),
            "a token of one session is refused beside a planted one"
        );
    }
}

#[test]
fn a_token_that_an_earlier_release_made_for_one_session_is_still_valid() {
    let csrf = csrf("a", None);
    let (session, random) = (Uuid::from_u128(1), [7; RANDOM_BYTES]);
    let mut message = Vec::new();
    for part in [session.as_bytes().as_slice(), &random] {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(part);
    }
    let mac = hmac::sign(&csrf.current, &message);
    let token = [&random, mac.as_ref()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    assert!(csrf.is_bound(&token, &to_session(1)));
}

#[test]
fn every_new_token_is_different() {
    let csrf = csrf("a", None);
    let tokens: std::collections::HashSet<_> =
        (0..100).map(|_| csrf.mint(&to_session(0)).unwrap()).collect();
    assert_eq!(tokens.len(), 100);
}

/// `Type::<T>::has_equality()` calls the inherent function if `T` has `==`, else the function of the trait.
struct Type<T>(PhantomData<T>);

impl<T: PartialEq> Type<T> {
    fn has_equality() -> bool {
        true
    }
}

trait WithoutEquality {
    fn has_equality() -> bool {
        false
    }
}

impl<T> WithoutEquality for Type<T> {}

#[test]
fn a_submitted_token_can_be_compared_in_constant_time_alone() {
    assert!(Type::<&[u8]>::has_equality());
    assert!(!Type::<SubmittedToken<'_>>::has_equality());
    assert!(SubmittedToken::new(b"token").equals("token"));
    for other in ["", "toke", "tokeN", "Token", "token0"] {
        assert!(!SubmittedToken::new(b"token").equals(other), "{other}");
    }
}
