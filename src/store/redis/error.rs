//! What Redis' errors mean, in words that tell no secret.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError, ServerError};

use super::super::StoreError;

const OUT_OF_MEMORY: &str = "Redis is out of memory";
const NEWER: &str = "what is in Redis was written by a newer release";

/// Why Redis did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    text: String,
    /// Waiting will not help.
    pub(super) lasting: bool,
    /// The connection is of no more use.
    pub(super) disconnected: bool,
}

impl Fault {
    /// Passes by itself.
    pub(super) fn passing(text: impl Into<String>) -> Self {
        Self { text: text.into(), lasting: false, disconnected: false }
    }

    /// Stays until somebody does something about it.
    pub(super) fn lasting(text: impl Into<String>) -> Self {
        Self { lasting: true, ..Self::passing(text) }
    }

    /// No answer came in time, so none is waited for on this connection.
    pub(super) fn timeout() -> Self {
        Self { disconnected: true, ..Self::passing("Redis does not answer in time") }
    }

    /// How long it is waited before trying again.
    pub(super) fn wait(&self) -> Duration {
        if self.lasting { Duration::from_secs(2) } else { Duration::from_millis(250) }
    }

    /// There are records that this release cannot read.
    pub(super) fn newer() -> Self {
        Self::lasting(NEWER)
    }

    /// Whether it is that.
    pub(super) fn is_newer(&self) -> bool {
        self.text == NEWER
    }

    /// The store's fault in doing `operation`.
    pub(super) fn of(self, operation: &'static str) -> StoreError {
        StoreError { operation, cause: self.text }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => of_the_wire(&error),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
                let disconnected = error.is_unrecoverable_error();
                Self { disconnected, ..Self::lasting("what answers there is no Redis") }
            }
            ErrorKind::InvalidClientConfig => Self::lasting("no Redis can be at such an address"),
            _ => match error.clone().into_server_errors().as_deref() {
                // Of a pipeline any command may be the one that found no memory.
                Some(refusals) if refusals.iter().any(|(_, refusal)| lacks_memory(refusal)) => {
                    Self::passing(OUT_OF_MEMORY)
                }
                Some([(_, refusal), ..]) => {
                    refused(refusal.code(), refusal.details().unwrap_or_default())
                }
                _ => Self::passing(error.category()),
            },
        }
    }
}

fn of_the_wire(error: &RedisError) -> Fault {
    if error.is_timeout() {
        return Fault::timeout();
    }
    // The library shows its cause as it keeps it.
    let cause = error.source().and_then(|s| s.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let kind = cause.and_then(|cause| cause.downcast_ref()).map(io::Error::kind);
    let fault = match kind {
        // TLS: another protocol, or a certificate that nobody vouches for.
        Some(io::ErrorKind::InvalidData) => {
            Fault::lasting(format!("no TLS connection to Redis: {error}"))
        }
        _ => Fault::passing(format!("no connection to Redis: {error}")),
    };
    Fault { disconnected: true, ..fault }
}

/// Whether Redis is over its `maxmemory`. Before Redis 7 a script quotes what its command was answered:
/// `ERR Error running script […]: -OOM command not allowed […]`; a transaction may quote it, too.
fn lacks_memory(refusal: &ServerError) -> bool {
    let quoted = |text: &str| text.split([' ', ':', '-']).any(|word| word == "OOM");
    match refusal.code() {
        "OOM" => true,
        "ERR" | "EXECABORT" => refusal.details().is_some_and(quoted),
        _ => false,
    }
}

/// An error that Redis answers with. Its text is told only where it cannot repeat what was sent.
fn refused(code: &str, text: &str) -> Fault {
    match code {
        "NOAUTH" => Fault::lasting("Redis wants a password, and the address names none"),
        "WRONGPASS" => Fault::lasting("Redis refuses the user or the password"),
        "NOPERM" => Fault::lasting(format!("Redis does not permit it to this user: {text}")),
        "DENIED" => Fault::lasting("Redis is in protected mode and refuses other machines"),
        // Whoever was the master a moment ago may be one no more: the name is resolved again.
        "READONLY" => Fault {
            disconnected: true,
            ..Fault::lasting("this Redis is a replica, which takes no writes")
        },
        "MOVED" | "CROSSSLOT" | "CLUSTERDOWN" => {
            Fault::lasting("this Redis is part of a cluster, which cannot be used")
        }
        // What the scripts answer.
        "UNREADABLE" => Fault::newer(),
        "ERR" if text.contains("max number of clients") => {
            Fault { disconnected: true, ..Fault::passing("Redis has too many clients") }
        }
        "LOADING" => Fault::passing("Redis is still loading its data"),
        "MISCONF" => Fault::passing("Redis cannot write to its disk"),
        "NOREPLICAS" => Fault::passing("Redis lacks replicas, and takes no writes"),
        "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "UNBLOCKED" => {
            Fault { disconnected: true, ..Fault::passing(format!("Redis is busy: {code}")) }
        }
        _ => Fault::lasting(format!("Redis refuses: {code} {text}")),
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
        let fault = Fault::from(error);
        assert_eq!(fault, Fault::passing(OUT_OF_MEMORY), "it passes once there is room");
    }

    #[rstest]
    #[case("ERR unknown command 'OOMPH'")]
    #[case("WRONGTYPE Operation against a key holding the wrong kind of value: OOM")]
    fn another_refusal_is_no_lack_of_memory(#[case] reply: &str) {
        let reply = parse_redis_value(format!("-{reply}\r\n").as_bytes());
        let error = reply.and_then(Value::extract_error).unwrap_err();
        assert!(Fault::from(error).lasting);
    }
}
