//! The refresh tokens that came with one session, in one cookie or in several.

use secrecy::{ExposeSecret as _, SecretString};

/// The most refresh tokens of one session. A request may have thousands of cookies, and each refresh token may cost a
/// request to GoTrue.
const MOST: usize = 32;

/// Adds those of `tokens` that are not in `known` yet, as long as there is room.
pub(super) fn add(known: &mut Vec<SecretString>, tokens: impl IntoIterator<Item = SecretString>) {
    for token in tokens {
        if known.len() >= MOST {
            return;
        }
        if !known.iter().any(|known| known.expose_secret() == token.expose_secret()) {
            known.push(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refresh_token_is_kept_once_and_thirty_two_at_most() {
        let mut known = Vec::new();
        let tokens = |range: std::ops::Range<u32>| range.map(|n| SecretString::from(n.to_string()));
        add(&mut known, tokens(0..3).chain(tokens(0..3)));
        add(&mut known, tokens(1..1000));
        let kept: Vec<_> = known.iter().map(|token| token.expose_secret().to_owned()).collect();
        assert_eq!(kept, (0..32).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}
