//! A cache whose keys are access tokens, bounded by their bytes.

use quick_cache::{
    DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

/// The most bytes of tokens in the cache. One token may have 32 KiB.
const CACHED_BYTES: u64 = 4 << 20;
const CACHED_TOKENS: usize = 4096;
/// The cache divides its bytes equally among its shards and never caches a token that is larger than a shard.
/// A shard has 1 MiB, many times the size of the largest token that a request can carry.
const SHARDS: usize = 4;

/// Values by access token.
pub(super) type TokenCache<T> = Cache<Box<str>, T, ByBytes>;

/// A token to be looked up.
#[derive(Hash)]
pub(super) struct Wanted<'t>(pub(super) &'t str);

impl Equivalent<Box<str>> for Wanted<'_> {
    /// Compares 16 bytes at a time. musl's `memcmp`, which `==` would call, compares single bytes and takes a
    /// microsecond for a token.
    fn equivalent(&self, token: &Box<str>) -> bool {
        let (wanted, wanted_end) = self.0.as_bytes().as_chunks::<16>();
        let (cached, cached_end) = token.as_bytes().as_chunks::<16>();
        let mut chunks = wanted.iter().zip(cached);
        self.0.len() == token.len()
            && wanted_end == cached_end
            && chunks.all(|(one, other)| u128::from_ne_bytes(*one) == u128::from_ne_bytes(*other))
    }
}

/// Weighs a cached token by its length in bytes.
#[derive(Clone, Debug)]
pub(super) struct ByBytes;

impl<T> Weighter<Box<str>, T> for ByBytes {
    fn weight(&self, token: &Box<str>, _: &T) -> u64 {
        token.len() as u64
    }
}

/// An empty cache.
pub(super) fn new<T: Clone>() -> TokenCache<T> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(CACHED_TOKENS)
        .weight_capacity(CACHED_BYTES)
        .shards(SHARDS)
        .build();
    match options {
        Ok(options) => Cache::with_options(
            options,
            ByBytes,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ),
        // The builder fails only if a capacity is missing.
        Err(_) => Cache::with_weighter(CACHED_TOKENS, CACHED_BYTES, ByBytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_all_of_its_bytes() {
        let token = "0123456789abcdef".repeat(3) + "tail";
        let cache = new::<()>();
        cache.insert(token.as_str().into(), ());
        let is_cached = |token: &str| cache.get(&Wanted(token)).is_some();
        assert!(is_cached(&token));
        assert!(!is_cached(&token[..token.len() - 1]) && !is_cached(&format!("{token}x")));
        for at in 0..token.len() {
            let mut other = token.clone();
            other.replace_range(at..=at, "-");
            // The hashes differ too, so compare the tokens themselves.
            assert!(!Wanted(&other).equivalent(&token.as_str().into()), "{at}");
        }
        assert!(!Wanted("").equivalent(&"0123456789abcdef".into()));
    }
}
