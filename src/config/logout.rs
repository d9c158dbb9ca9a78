//! What a logout ends, how it is answered and how long it is remembered.

use std::{ffi::OsString, time::Duration};

use axum::http::HeaderValue;
use clap::Args;

use super::{
    error::{ConfigErrors, Noted, Rule},
    rules::{
        AN_HOUR, DEADLINE, GIBIBYTE, MEBIBYTE, MORE_THAN_ZERO, byte_size, duration, list_or_none,
        one_of,
    },
    store::StoreAddress,
};
use crate::outcome::Scope;

const A_DAY: Duration = Duration::from_hours(24);

/// What a logout of a session that GoTrue no longer knows answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNotFound {
    /// The route's success.
    Success,
    /// 401 `not_found`.
    Unauthorized,
}

#[derive(Args)]
#[command(next_help_heading = "Logout")]
pub(super) struct LogoutArgs {
    /// Which sessions a logout ends that names no scope: `local` (this one), `others`, `global` (all).
    /// Default: `local`
    #[arg(long, env = "GATEWAY_DEFAULT_SCOPE", value_name = "SCOPE")]
    default_scope: Option<OsString>,
    /// What a logout of a session that has already ended answers: `success` or `unauthorized` (401).
    /// Default: `success`
    #[arg(long, env = "GATEWAY_SESSION_NOT_FOUND", value_name = "ANSWER")]
    session_not_found: Option<OsString>,
    /// What browsers shall clear after a logout (`Clear-Site-Data`), comma-separated: `cache`,
    /// `storage`, `executionContexts`, `clientHints`. Default: none
    #[arg(long, env = "GATEWAY_CLEAR_SITE_DATA", value_name = "TYPES")]
    clear_site_data: Option<OsString>,
    /// Where ended sessions, postponed revocations and failed logouts are kept: `memory` (nothing
    /// survives a restart, nothing is postponed), `file:<path>` (durable, one process), or `redis://…`
    /// or `rediss://…` (shared by all instances; `?prefix=` begins every key). The latter two need
    /// `GATEWAY_SECRET`. Default: `memory`
    #[arg(long, env = "GATEWAY_STORE", value_name = "STORE")]
    store: Option<OsString>,
    /// How many bytes of queued logouts the store holds at most: digits with `B`, `KiB`, `MiB` or `GiB`,
    /// from `1MiB` to `64GiB`. A logout that finds no room is answered `failed`. Default: `256MiB`
    #[arg(long, env = "GATEWAY_QUEUE_MAX_BYTES", value_name = "BYTES")]
    queue_max_bytes: Option<OsString>,
    /// The longest lifetime of an access token, and so how long its logout is remembered: more than
    /// zero, at most `366d`. Default: `7d`
    #[arg(long, env = "GATEWAY_MAX_TOKEN_LIFETIME", value_name = "DURATION")]
    max_token_lifetime: Option<OsString>,
    /// How long GoTrue may take for one logout, retry included: more than zero, at most `1h`.
    /// Default: `5s`
    #[arg(long, env = "GATEWAY_UPSTREAM_TIMEOUT", value_name = "DURATION")]
    upstream_timeout: Option<OsString>,
}

pub(super) struct Logout {
    pub(super) default_scope: Scope,
    pub(super) session_not_found: SessionNotFound,
    pub(super) clear_site_data: Option<HeaderValue>,
    pub(super) store: StoreAddress,
    pub(super) queue_max_bytes: u64,
    pub(super) max_token_lifetime: Duration,
    pub(super) upstream_timeout: Duration,
}

impl Logout {
    pub(super) fn read(args: LogoutArgs, faults: &mut ConfigErrors) -> Result<Self, Noted> {
        let scopes =
            [Scope::Local, Scope::Others, Scope::Global].map(|scope| (scope.as_str(), scope));
        let scope =
            faults.or("GATEWAY_DEFAULT_SCOPE", args.default_scope, Scope::Local, one_of(&scopes));
        let answers = one_of(&[
            ("success", SessionNotFound::Success),
            ("unauthorized", SessionNotFound::Unauthorized),
        ]);
        let success = SessionNotFound::Success;
        let not_found =
            faults.or("GATEWAY_SESSION_NOT_FOUND", args.session_not_found, success, answers);
        let types =
            faults.or("GATEWAY_CLEAR_SITE_DATA", args.clear_site_data, None, clear_site_data);
        let memory = StoreAddress::Memory;
        let store = faults.or("GATEWAY_STORE", args.store, memory, StoreAddress::parse);
        let bytes = byte_size(MEBIBYTE..=64 * GIBIBYTE, "must be from `1MiB` to `64GiB`");
        let bytes =
            faults.or("GATEWAY_QUEUE_MAX_BYTES", args.queue_max_bytes, 256 * MEBIBYTE, bytes);
        let lifetime = duration(
            MORE_THAN_ZERO..=366 * A_DAY,
            "must be a duration such as `7d` or `1h`, more than zero and at most 366 days",
        );
        let lifetime =
            faults.or("GATEWAY_MAX_TOKEN_LIFETIME", args.max_token_lifetime, 7 * A_DAY, lifetime);
        let timeout = duration(MORE_THAN_ZERO..=AN_HOUR, DEADLINE);
        let five_seconds = Duration::from_secs(5);
        let timeout =
            faults.or("GATEWAY_UPSTREAM_TIMEOUT", args.upstream_timeout, five_seconds, timeout);
        Ok(Self {
            default_scope: scope?,
            session_not_found: not_found?,
            clear_site_data: types?,
            store: store?,
            queue_max_bytes: bytes?,
            max_token_lifetime: lifetime?,
            upstream_timeout: timeout?,
        })
    }
}

/// The types as the header's value, each a quoted string.
fn clear_site_data(text: &str) -> Result<Option<HeaderValue>, Rule> {
    let types = list_or_none(site_data_type)(text)?;
    if types.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::try_from(types.join(", "));
    value.map(Some).map_err(|_| "must be a header value".into())
}

fn site_data_type(entry: &str) -> Result<&'static str, Rule> {
    match entry {
        "cache" => Ok(r#""cache""#),
        "storage" => Ok(r#""storage""#),
        "executionContexts" => Ok(r#""executionContexts""#),
        "clientHints" => Ok(r#""clientHints""#),
        "cookies" | "*" => Err("must not be `cookies` or `*`: they would clear the cookies of \
                                sibling subdomains too"
            .into()),
        _ => Err("must be `cache`, `storage`, `executionContexts` or `clientHints`".into()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{faults_of, parse};

    #[rstest]
    #[case("cache,storage", Some(r#""cache", "storage""#))]
    #[case("executionContexts", Some(r#""executionContexts""#))]
    #[case("", None)]
    fn clear_site_data_is_quoted(#[case] text: &str, #[case] header: Option<&str>) {
        let config = parse(&[("GATEWAY_CLEAR_SITE_DATA", text)]);
        assert_eq!(config.clear_site_data.as_ref().map(|value| value.to_str().unwrap()), header);
    }

    #[rstest]
    #[case("cookies", "sibling subdomains")]
    #[case("cache,*", "sibling subdomains")]
    #[case("Cache", "must be `cache`")]
    fn clear_site_data_spares_siblings(#[case] text: &str, #[case] reason: &str) {
        let faults = faults_of(&[("GATEWAY_CLEAR_SITE_DATA", text)]);
        assert!(faults.concat().contains(reason), "{faults:?}");
    }

    #[rstest]
    #[case("memory", None)]
    #[case("file:/var/lib/gateway", Some("GATEWAY_SECRET: is required"))]
    #[case("rediss://redis:6379", Some("GATEWAY_SECRET: is required"))]
    fn what_is_durable_needs_a_secret(#[case] store: &str, #[case] fault: Option<&str>) {
        let faults = faults_of(&[("GATEWAY_STORE", store)]);
        assert_eq!(faults.len(), usize::from(fault.is_some()), "{faults:?}");
        assert!(fault.is_none_or(|fault| faults[0].starts_with(fault)), "{faults:?}");
        let secret = ("GATEWAY_SECRET", "0123456789abcdef0123456789abcdef");
        assert!(faults_of(&[("GATEWAY_STORE", store), secret]).is_empty());
    }
}
