//! A cache whose keys are access tokens, bounded by their bytes.

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
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
