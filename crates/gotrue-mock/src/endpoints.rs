//! The paths of GoTrue's endpoints, under `/auth/v1`.

use axum::routing::MethodFilter;

/// The paths of the endpoints that the mock has, under `/auth/v1`.
const PRESENT: [&str; 31] = [
    "/signup",
    "/token",
    "/logout",
    "/user",
    "/user/identities/{id}",
    "/user/identities/authorize",
    "/otp",
    "/magiclink",
    "/verify",
    "/recover",
    "/resend",
    "/reauthenticate",
    "/invite",
    "/authorize",
    "/callback",
    "/settings",
    "/health",
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/factors",
    "/factors/{id}",
    "/factors/{id}/challenge",
    "/factors/{id}/verify",
    "/admin/users",
    "/admin/users/{id}",
    "/admin/users/{id}/factors",
    "/admin/users/{id}/factors/{id}",
    "/admin/users/{id}/passkeys",
    "/admin/generate_link",
    "/admin/audit",
    "/admin/custom-providers",
];

const CRUD: MethodFilter = MethodFilter::GET.or(MethodFilter::PUT).or(MethodFilter::DELETE);
const LIST: MethodFilter = MethodFilter::GET.or(MethodFilter::POST);

/// The paths and methods of the endpoints that the mock answers with status 501. `docs/ci.md` lists them by feature.
pub(crate) const MISSING: [(&str, MethodFilter); 30] = [
    ("/factors/recovery-codes", MethodFilter::GET.or(MethodFilter::POST).or(MethodFilter::DELETE)),
    ("/factors/recovery-codes/verify", MethodFilter::POST),
    ("/factors/recovery-codes/regenerate", MethodFilter::POST),
    ("/passkeys", MethodFilter::GET),
    ("/passkeys/{passkey_id}", MethodFilter::PATCH.or(MethodFilter::DELETE)),
    ("/passkeys/authentication/options", MethodFilter::POST),
    ("/passkeys/authentication/verify", MethodFilter::POST),
    ("/passkeys/registration/options", MethodFilter::POST),
    ("/passkeys/registration/verify", MethodFilter::POST),
    ("/admin/users/{user_id}/passkeys/{passkey_id}", MethodFilter::DELETE),
    ("/.well-known/oauth-authorization-server", MethodFilter::GET),
    ("/oauth/clients/register", MethodFilter::POST),
    ("/oauth/token", MethodFilter::POST),
    ("/oauth/userinfo", MethodFilter::GET),
    ("/oauth/authorize", MethodFilter::GET),
    ("/oauth/authorizations/{authorization_id}", MethodFilter::GET),
    ("/oauth/authorizations/{authorization_id}/consent", MethodFilter::POST),
    ("/user/oauth/grants", MethodFilter::GET.or(MethodFilter::DELETE)),
    ("/admin/oauth/clients", LIST),
    ("/admin/oauth/clients/{client_id}", CRUD),
    ("/admin/oauth/clients/{client_id}/regenerate_secret", MethodFilter::POST),
    ("/sso", MethodFilter::POST),
    ("/sso/saml/metadata", MethodFilter::GET),
    ("/sso/saml/acs", MethodFilter::POST),
    ("/admin/sso/providers", MethodFilter::POST),
    ("/admin/sso/providers/{idp_id}", CRUD),
    ("/admin/custom-providers/{identifier}", CRUD),
    ("/scim/v2/ServiceProviderConfig", MethodFilter::GET),
    ("/scim/v2/ResourceTypes", MethodFilter::GET),
    ("/scim/v2/Schemas", MethodFilter::GET),
];

/// The paths that GoTrue mounts as a router of their own (`r.Route` in its `api.go`), without the names of the
/// parameters.
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

/// The paths of all endpoints, also of those that the mock answers with status 501.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    PRESENT.into_iter().chain(MISSING.into_iter().map(|(path, _)| path))
}

/// Whether GoTrue mounts the path with this pattern.
pub(crate) fn is_mounted(pattern: &str) -> bool {
    let segment = |segment| if str::starts_with(segment, '{') { "{}" } else { segment };
    let pattern = pattern.split('/').map(segment).collect::<Vec<_>>().join("/");
    MOUNTED.contains(&&*pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The patterns of paths in the table of `docs/ci.md`: `…` at the end stands for any rest.
    fn documented_paths() -> Vec<&'static str> {
        let page = include_str!("../../../docs/ci.md");
        let (_, section) = page.split_once("\n## Not in the mock\n").unwrap();
        section.split('`').filter(|text| text.starts_with('/')).collect()
    }

    #[test]
    fn every_missing_endpoint_stands_on_the_page_for_tests() {
        let documented = documented_paths();
        for (path, _) in MISSING {
            let is_documented = documented.iter().any(|pattern| match pattern.strip_suffix('…') {
                Some(prefix) => path.starts_with(prefix),
                None => *pattern == path,
            });
            assert!(is_documented, "docs/ci.md does not list {path}");
        }
    }
}
