//! No token of one session ever passes for another.

use std::marker::PhantomData;

use proptest::prelude::*;

use super::*;

/// A key of `secret`, and the one before it.
fn csrf(secret: &str, previous: Option<&str>) -> Csrf {
    let key = |secret: &str| derived(&SecretString::from(secret)).unwrap();
    Csrf {
        mode: CsrfMode::Signed,
        current: key(secret),
        previous: previous.map(key),
        random: SystemRandom::new(),
        allowed_origins: AllowedOrigins::new(&[]),
    }
}

fn session() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_token_passes_for_its_own_session_alone(one in session(), other in session()) {
        prop_assume!(one != other);
        let csrf = csrf("a", None);
        let token = csrf.mint(one).unwrap();
        prop_assert!(csrf.is_of(&token, one));
        prop_assert!(!csrf.is_of(&token, other));
        let header = Some(Submitted::new(token.as_bytes()));
        let submit = |session| csrf.double_submit(header, [token.as_str()].into_iter(), session);
        prop_assert_eq!(submit(one), Ok(()));
        prop_assert_eq!(submit(other), Err(CsrfFault::Invalid));
    }

    #[test]
    fn no_text_of_a_strangers_making_passes(text in "\\PC{0,120}", session in session()) {
        prop_assert!(!csrf("a", Some("b")).is_of(&text, session));
    }

    #[test]
    fn a_changed_character_is_another_token(session in session(), at in 0..86_usize) {
        let csrf = csrf("a", None);
        let token = csrf.mint(session).unwrap();
        let mut changed = token.clone().into_bytes();
        let at = at % changed.len();
        // The last character of each part holds bits that mean nothing: decoding refuses those.
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        prop_assert!(!csrf.is_of(std::str::from_utf8(&changed).unwrap(), session));
    }

    #[test]
    fn a_secret_counts_while_it_is_current_or_previous(session in session()) {
        let token = csrf("old", None).mint(session).unwrap();
        prop_assert!(csrf("new", Some("old")).is_of(&token, session));
        prop_assert!(!csrf("new", Some("other")).is_of(&token, session));
        prop_assert!(!csrf("new", None).is_of(&token, session));
    }
}

#[test]
fn every_token_is_another_one() {
    let csrf = csrf("a", None);
    let tokens: std::collections::HashSet<_> =
        (0..100).map(|_| csrf.mint(Uuid::nil()).unwrap()).collect();
    assert_eq!(tokens.len(), 100);
}

/// Of a type with `==` the first `has_equality` is called, of any other the second.
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
    assert!(!Type::<Submitted<'_>>::has_equality());
    assert!(Submitted::new(b"token").equals("token"));
    for other in ["", "toke", "tokeN", "Token", "token0"] {
        assert!(!Submitted::new(b"token").equals(other), "{other}");
    }
}
