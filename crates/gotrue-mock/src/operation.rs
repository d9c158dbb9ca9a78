//! The names of GoTrue's endpoints, by which a fault says on which endpoint it acts.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::endpoints::{is_mounted, paths};

/// One of GoTrue's endpoints, with any method. Its name is the path without the parameters: `factors_verify` is
/// `/factors/{id}/verify`, `admin_users` is `/admin/users` and `/admin/users/{id}`, `jwks` is `/.well-known/jwks.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Operation(String);

impl Operation {
    /// The operation of a request's path; `None` if the path is none of GoTrue's endpoints.
    pub(crate) fn from_path(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/auth/v1")?;
        let pattern = Self::pattern_of(path).or_else(|| {
            let path = path.strip_suffix('/')?;
            Self::pattern_of(path).filter(|pattern| is_mounted(pattern))
        });
        pattern.map(Self::of_pattern)
    }

    fn pattern_of(path: &str) -> Option<&'static str> {
        // A path without parameters goes before one that it also matches: `/user/identities/authorize`.
        let exact = paths().find(|pattern| *pattern == path);
        exact.or_else(|| paths().find(|pattern| matches(pattern, path)))
    }

    /// The names of all operations, sorted.
    pub(crate) fn names() -> Vec<String> {
        let mut names: Vec<_> = paths().map(|path| Self::of_pattern(path).0).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn from_name(name: &str) -> Option<Self> {
        paths().map(Self::of_pattern).find(|operation| operation.0 == name)
    }

    fn of_pattern(pattern: &str) -> Self {
        let pattern = pattern.trim_start_matches("/.well-known").trim_end_matches(".json");
        let names = pattern.split('/').filter(|name| !name.is_empty() && !name.starts_with('{'));
        Self(names.collect::<Vec<_>>().join("_").replace('-', "_"))
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| {
            let names = Self::names().join(", ");
            D::Error::custom(format!("unknown operation; the operations are: {names}"))
        })
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(known), Some(given)) if known == given => {}
            (Some(known), Some(given)) if known.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> Option<String> {
        Operation::from_path(path).map(|operation| operation.0)
    }

    #[test]
    fn an_operation_is_the_path_without_its_parameters() {
        for (path, operation) in [
            ("/auth/v1/token", "token"),
            ("/auth/v1/user", "user"),
            ("/auth/v1/user/", "user"),
            ("/auth/v1/admin/users/1/factors/2/", "admin_users_factors"),
            ("/auth/v1/.well-known/jwks.json", "jwks"),
            ("/auth/v1/.well-known/openid-configuration", "openid_configuration"),
            ("/auth/v1/factors/1", "factors"),
            ("/auth/v1/factors/1/verify", "factors_verify"),
            ("/auth/v1/user/identities/1", "user_identities"),
            ("/auth/v1/user/identities/authorize", "user_identities_authorize"),
            ("/auth/v1/admin/users/1", "admin_users"),
            ("/auth/v1/admin/generate_link", "admin_generate_link"),
            ("/auth/v1/sso", "sso"),
        ] {
            assert_eq!(name(path).as_deref(), Some(operation), "{path}");
            assert!(Operation::from_name(operation).is_some(), "{operation}");
        }
        for path in ["/auth/v1/nothing", "/auth/v1/otp/", "/auth/v1/factors//verify", "/otp"] {
            assert_eq!(name(path), None, "{path}");
        }
        assert!(Operation::from_name("nothing").is_none());
    }

    #[test]
    fn every_recorded_endpoint_is_an_operation() {
        let recordings = include_str!("../../../fixtures/gotrue/scenarios.json");
        let recordings: serde_json::Value = serde_json::from_str(recordings).unwrap();
        let exchanges = recordings["exchanges"].as_array().unwrap();
        let mut count = 0;
        for exchange in exchanges {
            let is_known = exchange["response"]["status"] != 404 && exchange["topic"] != "routes";
            let path = exchange["request"]["path"].as_str().unwrap().split('?').next().unwrap();
            let path = format!("/auth/v1{path}");
            if is_known && exchange["request"]["method"] != "OPTIONS" {
                assert!(name(&path).is_some(), "{path}");
                count += 1;
            }
        }
        assert!(count > 900, "{count}");
    }
}
