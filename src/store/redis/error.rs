//! The errors of Redis: whether a retry can help, and a text without secrets.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError, ServerError};

use super::super::StoreError;

const OUT_OF_MEMORY: &str = "Redis is out of memory";
const NEWER: &str = "the data in Redis was written by a newer release";

/// An operation in Redis failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedisStoreError {
    text: String,
    /// A retry does not help until the operator acts.
    pub(super) is_permanent: bool,
    /// The connection must be replaced.
    pub(super) is_disconnected: bool,
}

impl RedisStoreError {
    /// An error that a retry may overcome.
    pub(super) fn transient(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_permanent: false, is_disconnected: false }
    }

    /// An error that stays until the operator acts.
    pub(super) fn permanent(text: impl Into<String>) -> Self {
        Self { is_permanent: true, ..Self::transient(text) }
    }

    /// Redis did not answer in time. The connection must be replaced: otherwise a late answer would be read
    /// as the answer to the next command.
    pub(super) fn timeout() -> Self {
        Self { is_disconnected: true, ..Self::transient("Redis does not answer in time") }
    }

    /// The pause before the next try to connect.
    pub(super) fn wait(&self) -> Duration {
        if self.is_permanent { Duration::from_secs(2) } else { Duration::from_millis(250) }
    }

    /// Redis has records that this release cannot read.
    pub(super) fn newer_release() -> Self {
        Self::permanent(NEWER)
    }

    /// Whether the error is [`RedisStoreError::newer_release`].
    pub(super) fn is_newer_release(&self) -> bool {
        self.text == NEWER
    }

    /// Converts to the error of an operation of the store; `operation` continues `the store failed to`.
    pub(super) fn into_store_error(self, operation: &'static str) -> StoreError {
        StoreError { operation, cause: self.text }
    }
}

impl fmt::Display for RedisStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<RedisError> for RedisStoreError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => connection_error(&error),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
                let is_disconnected = error.is_unrecoverable_error();
                Self {
                    is_disconnected,
                    ..Self::permanent("the server at this address is not a Redis")
                }
            }
            ErrorKind::InvalidClientConfig => {
                Self::permanent("the address is not valid for a Redis")
            }
            _ => match error.clone().into_server_errors().as_deref() {
                // A pipeline has several commands: any of them may have been refused for lack of memory.
                Some(refusals) if refusals.iter().any(|(_, refusal)| lacks_memory(refusal)) => {
                    Self::transient(OUT_OF_MEMORY)
                }
                Some([(_, refusal), ..]) => {
                    server_error(refusal.code(), refusal.details().unwrap_or_default())
                }
                _ => Self::transient(error.category()),
            },
        }
    }
}

fn connection_error(error: &RedisError) -> RedisStoreError {
    if error.is_timeout() {
        return RedisStoreError::timeout();
    }
    // The redis crate returns the cause as an `Arc`.
    let cause = error.source().and_then(|s| s.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let kind = cause.and_then(|cause| cause.downcast_ref()).map(io::Error::kind);
    let fault = match kind {
        // A TLS error: the server speaks another protocol, or its certificate is not trusted.
        Some(io::ErrorKind::InvalidData) => {
            RedisStoreError::permanent(format!("no TLS connection to Redis: {error}"))
        }
        _ => RedisStoreError::transient(format!("no connection to Redis: {error}")),
    };
    RedisStoreError { is_disconnected: true, ..fault }
}

/// Whether Redis refused a command because it is over its `maxmemory`. Before Redis 7 the error of a script
/// quotes the error of its command: `ERR Error running script […]: -OOM command not allowed […]`. The error
/// of a transaction may quote it too.
fn lacks_memory(refusal: &ServerError) -> bool {
    let quoted = |text: &str| text.split([' ', ':', '-']).any(|word| word == "OOM");
    match refusal.code() {
        "OOM" => true,
        "ERR" | "EXECABORT" => refusal.details().is_some_and(quoted),
        _ => false,
    }
}

/// Converts an error reply of Redis. Its text is used only for codes whose text cannot quote what the gateway
/// sent.
fn server_error(code: &str, text: &str) -> RedisStoreError {
    match code {
        "NOAUTH" => {
            RedisStoreError::permanent("Redis wants a password, and the address names none")
        }
        "WRONGPASS" => RedisStoreError::permanent("Redis refuses the user or the password"),
        "NOPERM" => RedisStoreError::permanent(format!(
            "Redis does not permit this user a command that the gateway needs: {text}"
        )),
        "DENIED" => {
            RedisStoreError::permanent("Redis is in protected mode and refuses other machines")
        }
        // Reconnect, which resolves the host name again: after a failover the name may lead to another
        // master.
        "READONLY" => RedisStoreError {
            is_disconnected: true,
            ..RedisStoreError::permanent("this Redis is a replica, which takes no writes")
        },
        "MOVED" | "CROSSSLOT" | "CLUSTERDOWN" => {
            RedisStoreError::permanent("this Redis is part of a cluster, which cannot be used")
        }
        // `revoke.lua` returns this code.
        "UNREADABLE" => RedisStoreError::newer_release(),
        "ERR" if text.contains("max number of clients") => RedisStoreError {
            is_disconnected: true,
            ..RedisStoreError::transient("Redis has too many clients")
        },
        "LOADING" => RedisStoreError::transient("Redis is still loading its data"),
        "MISCONF" => RedisStoreError::transient("Redis cannot write to its disk"),
        "NOREPLICAS" => RedisStoreError::transient(
            "Redis has too few replicas and refuses writes (min-replicas-to-write)",
        ),
        "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "UNBLOCKED" => RedisStoreError {
            is_disconnected: true,
            ..RedisStoreError::transient(format!("Redis is busy: {code}"))
        },
        _ => RedisStoreError::permanent(format!("Redis refused a command: {code} {text}")),
    }
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_a_command("OOM command not allowed when used memory > 'maxmemory'.")]
    #[case::of_a_script(
        "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
    )]
    #[case::of_an_older_script(
        "ERR Error running script (call to f_0123): @user_script:3: @user_script: 3: -OOM command not \
         allowed when used memory > 'maxmemory'."
    )]
    #[case::of_a_script_that_raises_it(
        "ERR user_script:3: OOM command not allowed script: 0123, on @user_script:3."
    )]
    #[case::of_a_transaction(
        "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > \
         'maxmemory'."
    )]
    fn a_redis_out_of_memory_is_told_by_any_of_its_replies(#[case] reply: &str) {
        let reply = parse_redis_value(format!("-{reply}\r\n").as_bytes());
        let error = reply.and_then(Value::extract_error).unwrap_err();
        let fault = RedisStoreError::from(error);
        assert_eq!(
            fault,
            RedisStoreError::transient(OUT_OF_MEMORY),
            "a retry succeeds once there is room"
        );
    }

    #[rstest]
    #[case("ERR unknown command 'OOMPH'")]
    #[case("WRONGTYPE Operation against a key holding the wrong kind of value: OOM")]
    fn a_refusal_for_another_reason_is_not_reported_as_out_of_memory(#[case] reply: &str) {
        let reply = parse_redis_value(format!("-{reply}\r\n").as_bytes());
        let error = reply.and_then(Value::extract_error).unwrap_err();
        assert!(RedisStoreError::from(error).is_permanent);
    }
}
