//! Re-exports private items for the tests, the fuzz targets and the benchmarks of this repository.
//!
//! This module exists only with the feature `internals`. It is not part of the public interface: any release
//! may change it.
#![expect(missing_docs, reason = "each item has its documentation where it is defined")]

pub mod clock {
    pub use crate::clock::from_unix_seconds;
}

pub mod config {
    pub use crate::config::{
        Args, CSRF_COOKIE, Config, CookieSameSite, CookieSecure, Cookies, LogFormat, Secrets,
        StoreAddress, Supabase,
    };
}

pub mod csrf {
    pub use crate::csrf::{Binding, BoundTo, Csrf, CsrfError, origin, submitted};
}

pub mod failure_log {
    pub use crate::failure_log::channel;
}

pub mod gateway {
    pub use crate::gateway::{Gateway, state};
}

pub mod gotrue {
    pub use crate::{
        gotrue::{GoTrue, OnBehalfOf, Refusal, RetryAfter, answer},
        operation::gotrue::{Operation, TryResult},
    };
}

pub mod http {
    pub use crate::http::{client_addr, router, state};
}

pub mod key_derivation {
    pub use crate::key_derivation::derive;
}

pub mod outcome {
    pub use crate::outcome::{Outcome, Route, Scope, Stored};
}

pub mod queue {
    pub use crate::{
        queue::credentials,
        store::{bounds, entry},
    };
}

pub mod session {
    pub use crate::session::{cookies, introspection, jwks, token, verifier};
}

pub mod store {
    pub use crate::store::{
        FAILURES_KEPT, FAILURES_KEPT_OF_USER, Queue, Store, StoreError, diagnose, failure, list,
        memory, open, read_only,
    };
    pub mod redis {
        pub use crate::store::redis::replica::STALENESS_BOUND;
    }
}

pub mod telemetry {
    pub use crate::telemetry::{metrics, start, traces};
}
