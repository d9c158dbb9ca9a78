//! The paths that GoTrue mounts as a router of their own (`r.Route` in its `api.go`). Go's router answers them with a
//! slash at the end, too.

use axum::{Router, routing::MethodRouter};

use crate::mock::Mock;

/// The mounted paths, under `/auth/v1`. The names of the parameters do not matter.
const MOUNTED: [&str; 24] = [
    "/callback",
    "/signup",
    "/verify",
    "/reauthenticate",
    "/user",
    "/user/oauth/grants",
    "/factors",
    "/factors/{}",
    "/passkeys",
    "/passkeys/{}",
    "/sso",
    "/admin/audit",
    "/admin/users",
    "/admin/users/{}",
    "/admin/users/{}/factors",
    "/admin/users/{}/factors/{}",
    "/admin/users/{}/passkeys",
    "/admin/users/{}/passkeys/{}",
    "/admin/sso/providers",
    "/admin/sso/providers/{}",
    "/admin/oauth/clients",
    "/admin/oauth/clients/{}",
    "/admin/custom-providers",
    "/admin/custom-providers/{}",
];

/// Routes a path, and the same path with a slash at the end if GoTrue mounts it.
pub(crate) fn route(router: Router<Mock>, path: &str, methods: MethodRouter<Mock>) -> Router<Mock> {
    if is_mounted(path) {
        return router.route(&format!("{path}/"), methods.clone()).route(path, methods);
    }
    router.route(path, methods)
}

/// Whether GoTrue mounts the path with this pattern.
pub(crate) fn is_mounted(pattern: &str) -> bool {
    let segment = |segment| if str::starts_with(segment, '{') { "{}" } else { segment };
    let pattern = pattern.split('/').map(segment).collect::<Vec<_>>().join("/");
    MOUNTED.contains(&&*pattern)
}
