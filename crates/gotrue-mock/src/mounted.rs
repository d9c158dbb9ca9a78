//! The paths that GoTrue mounts as a router of their own (`r.Route` in its `api.go`). Go's router answers them with a
//! slash at the end, too.

use axum::{Router, routing::MethodRouter};

use crate::{endpoints::is_mounted, mock::Mock};

/// Routes a path, and the same path with a slash at the end if GoTrue mounts it.
pub(crate) fn route(router: Router<Mock>, path: &str, methods: MethodRouter<Mock>) -> Router<Mock> {
    if is_mounted(path) {
        return router.route(&format!("{path}/"), methods.clone()).route(path, methods);
    }
    router.route(path, methods)
}
