//! The rules for the store's address, the size of the queue and the longest token lifetime.

use std::{borrow::Cow, fmt, path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::{
    error::Rule,
    rules::{A_DAY, GIBIBYTE, MEBIBYTE, MORE_THAN_ZERO, byte_size, duration},
};

pub(super) const DEFAULT_QUEUE_SIZE: u64 = 256 * MEBIBYTE;
pub(super) const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// The value of `GATEWAY_STORE`.
#[derive(Clone, Debug)]
pub enum StoreAddress {
    /// `memory`: the process's memory; all records are lost at a restart.
    Memory,
    /// `file:<path>`: a file that survives restarts and that one process at a time can open.
    File(PathBuf),
    /// `redis://…`, `rediss://…`: a Redis or Valkey server that all instances share.
    Redis(RedisAddress),
}

impl StoreAddress {
    /// Parses the value of `GATEWAY_STORE`.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        match text.strip_prefix("file:") {
            Some("") => Err(RULE.into()),
            Some(path) => Ok(Self::File(path.into())),
            None => redis(text).map(Self::Redis).ok_or(RULE.into()),
        }
    }

    /// Whether the store survives a restart. Only such a store has a queue.
    pub(crate) fn is_durable(&self) -> bool {
        !matches!(self, Self::Memory)
    }
}

/// The address of a Redis or Valkey server.
#[derive(Clone, Debug)]
pub struct RedisAddress {
    /// Scheme, credentials, host, port and database number, as the Redis library reads them.
    pub url: SecretString,
    /// The prefix of every key that the gateway writes.
    pub(crate) prefix: String,
}

/// Shows the store for logs. The URL of a Redis server is left out, because it may contain a password.
impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Redis(address) => write!(f, "redis, prefix {}", address.prefix),
        }
    }
}

pub(super) fn queue_size(text: &str) -> Result<u64, Rule> {
    byte_size(MEBIBYTE..=64 * GIBIBYTE, "must be from `1MiB` to `64GiB`")(text)
}

pub(super) fn token_lifetime(text: &str) -> Result<Duration, Rule> {
    let rule = "must be a duration such as `7d` or `1h`, more than zero and at most 366 days";
    duration(MORE_THAN_ZERO..=366 * A_DAY, rule)(text)
}

const DEFAULT_PREFIX: &str = "logout-gateway:";

const RULE: &str = "must be `memory`, `file:<path>`, or `redis://` or `rediss://` with host, and \
                    optionally user, password, port, `/<database>` and `?prefix=<prefix>`";

fn redis(text: &str) -> Option<RedisAddress> {
    let mut url = Url::parse(text).ok()?;
    let database = url.path().trim_start_matches('/');
    let numbered = database.is_empty() || database.parse::<u16>().is_ok();
    let good = matches!(url.scheme(), "redis" | "rediss") && numbered && url.fragment().is_none();
    if !good || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    let mut prefixes = url
        .query_pairs()
        .map(|(name, value)| (name == "prefix" && !value.is_empty()).then(|| value.into_owned()));
    let prefix = match (prefixes.next(), prefixes.next()) {
        (None, _) => DEFAULT_PREFIX.to_owned(),
        (Some(prefix), None) => prefix?,
        (Some(_), Some(_)) => return None,
    };
    drop(prefixes);
    url.set_query(None);
    Some(RedisAddress { url: String::from(url).into(), prefix })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[rstest]
    #[case("redis://redis", "redis://redis", DEFAULT_PREFIX)]
    #[case("redis://redis:6380/2", "redis://redis:6380/2", DEFAULT_PREFIX)]
    #[case(
        "rediss://user:pa%20ss@[::1]:6379/0?prefix=a:",
        "rediss://user:pa%20ss@[::1]:6379/0",
        "a:"
    )]
    #[case("redis://:password@valkey?prefix=a%20b", "redis://:password@valkey", "a b")]
    fn a_redis_address_is_its_url_and_a_prefix(
        #[case] text: &str,
        #[case] url: &str,
        #[case] prefix: &str,
    ) {
        let StoreAddress::Redis(redis) = StoreAddress::parse(text).unwrap() else {
            panic!("{text}")
        };
        assert_eq!((redis.url.expose_secret(), &*redis.prefix), (url, prefix));
        assert!(!format!("{redis:?}").contains("pass"));
    }

    #[rstest]
    #[case("")]
    #[case("Memory")]
    #[case("file")]
    #[case("file:")]
    #[case("redis:")]
    #[case("redis://")]
    #[case("redis://redis/one")]
    #[case("redis://redis/-1")]
    #[case("redis://redis/1/2")]
    #[case("redis://redis?prefix=")]
    #[case("redis://redis?prefix=a&prefix=b")]
    #[case("redis://redis?timeout=1")]
    #[case("redis://redis#insecure")]
    #[case("http://redis")]
    #[case("unix:///var/run/redis.sock")]
    fn any_other_address_is_refused(#[case] text: &str) {
        assert_eq!(StoreAddress::parse(text).unwrap_err(), RULE);
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let StoreAddress::File(path) = StoreAddress::parse("file:a b/c%20d").unwrap() else {
            panic!()
        };
        assert_eq!(path.to_str(), Some("a b/c%20d"));
    }
}
