//! The values of labels: the contract's own words, and `none` where there is no reason.

/// Of a logout that went well.
pub(super) const NO_REASON: &str = "none";

pub(super) const ROUTES: [&str; 3] = ["/api/auth/logout", "/api/v1/auth/logout", "/logout"];
pub(super) const OPERATIONS: [&str; 5] = ["logout", "token", "user", "jwks", "health"];
pub(super) const RESULTS: [&str; 6] =
    ["ok", "refused", "rate_limited", "unavailable", "timeout", "error"];
pub(super) const CSRF: [&str; 3] = ["missing", "invalid", "cross_site"];
pub(super) const RETRIES: [&str; 4] = ["revoked", "already-ended", "failed", "gave-up"];
pub(super) const FETCHES: [&str; 2] = ["ok", "failed"];
pub(super) const VERIFY: [&str; 11] = [
    "ok",
    "missing",
    "invalid",
    "expired",
    "not_found",
    "revoked",
    "duplicate_header",
    "key_set",
    "auth_service",
    "store",
    "OVERLOADED",
];
pub(super) const STORE: [&str; 13] = [
    "revoke",
    "is_revoked",
    "forget_outlived",
    "note",
    "failures",
    "enqueue",
    "get",
    "lease",
    "reschedule",
    "remove",
    "entries",
    "waiting",
    "oldest",
];
pub(super) const REFUSED: [&str; 9] = [
    "unsupported_scope",
    "duplicate_header",
    "malformed_request",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "MISDIRECTED_REQUEST",
    "OVERLOADED",
];

const AUTH_SERVICE: [&str; 4] =
    ["auth_service_unavailable", "auth_service_timeout", "auth_service_error", "RATE_LIMITED"];

/// Route, outcome and reason of every logout that can be.
pub(super) fn logouts() -> impl Iterator<Item = [&'static str; 3]> {
    let failed = [&AUTH_SERVICE[..], &["user_banned", "not_found", "INTERNAL"]].concat();
    let credential = ["missing", "invalid", "expired", "cross_site"];
    let never_of_a_logout = ["NOT_FOUND", "METHOD_NOT_ALLOWED", "MISDIRECTED_REQUEST"];
    let judged_before = REFUSED.into_iter().filter(|word| !never_of_a_logout.contains(word));
    let ends: Vec<(&str, &str)> =
        [("revoked", NO_REASON), ("already-ended", NO_REASON), ("already-ended", "not_found")]
            .into_iter()
            .chain(AUTH_SERVICE.map(|reason| ("queued", reason)))
            .chain(failed.into_iter().map(|reason| ("failed", reason)))
            .chain(credential.into_iter().chain(judged_before).map(|reason| ("refused", reason)))
            .collect();
    ROUTES.into_iter().flat_map(move |route| {
        ends.clone().into_iter().map(move |(outcome, reason)| [route, outcome, reason])
    })
}

/// Operation and result of every try.
pub(super) fn gotrue_requests() -> impl Iterator<Item = [&'static str; 2]> {
    OPERATIONS.into_iter().flat_map(|operation| RESULTS.map(|result| [operation, result]))
}
