//! The anon key and the service-role key that every Supabase project has.
//!
//! 1. Both are JWTs that the shared secret signs with HS256, whatever algorithm signs access tokens. The mock verifies
//!    them as GoTrue does: by their signature and their `role`.
//! 2. Their claims are fixed, so the keys are the same in every run and can stand in a configuration file.
//! 3. A rotation of an asymmetric signing key leaves the shared secret, so the keys stay valid. A mock that signs
//!    access tokens with HS256 rotates the secret itself: [`Mock::project_keys`] then returns new keys, and the old
//!    ones are void.

use std::fmt;

use serde::Serialize;

use crate::mock::Mock;

/// 2020-01-01T00:00:00Z: before the time of any test, because some servers refuse an `iat` in the future.
const ISSUED_AT: u64 = 1_577_836_800;
/// 2100-01-01T00:00:00Z: after the time of any test.
const EXPIRES_AT: u64 = 4_102_444_800;

/// The claims of a project key, in the order in which Supabase writes them.
#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    role: &'static str,
    iat: u64,
    exp: u64,
}

/// The API keys of the project that the mock stands for.
#[derive(Clone)]
pub struct ProjectKeys {
    /// The key for browsers and apps, with the role `anon`.
    pub anon: String,
    /// The key for servers, with the role `service_role`: it opens the endpoints under `/auth/v1/admin`.
    pub service_role: String,
}

/// Shows no key: with the secret of `--signing-keys` they are credentials.
impl fmt::Debug for ProjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectKeys").finish_non_exhaustive()
    }
}

impl Mock {
    /// The project's API keys, signed with the present shared secret.
    ///
    /// # Errors
    ///
    /// The keys cannot be signed.
    pub fn project_keys(&self) -> jsonwebtoken::errors::Result<ProjectKeys> {
        let keys = self.keys();
        let sign = |role| {
            let claims = Claims { iss: "supabase", role, iat: ISSUED_AT, exp: EXPIRES_AT };
            keys.sign_with_secret(&claims)
        };
        Ok(ProjectKeys { anon: sign("anon")?, service_role: sign("service_role")? })
    }

    /// The URL of the public key set.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("{}/auth/v1/.well-known/jwks.json", self.url())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use axum::http::{HeaderMap, header::AUTHORIZATION};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        algorithm::Algorithm, authentication::require_administrator, keys::SigningKeys,
        options::Options,
    };

    fn mock(algorithm: Algorithm) -> Mock {
        let options = Options { algorithm, ..Options::default() };
        Mock::new(options, ([127, 0, 0, 1], 9999).into(), || UNIX_EPOCH).unwrap()
    }

    fn is_administrator(mock: &Mock, key: &str) -> bool {
        let bearer = format!("Bearer {key}").parse().unwrap();
        require_administrator(mock, &HeaderMap::from_iter([(AUTHORIZATION, bearer)])).is_ok()
    }

    #[test]
    fn the_keys_have_the_roles_of_a_project_and_are_the_same_in_every_run() {
        let keys = mock(Algorithm::Es256).project_keys().unwrap();
        let again = mock(Algorithm::Rs256).project_keys().unwrap();
        assert_eq!((&keys.anon, &keys.service_role), (&again.anon, &again.service_role));
        let claims: Value = mock(Algorithm::EdDsa).keys().verify(&keys.anon).unwrap();
        let times = json!({"iss": "supabase", "role": "anon", "iat": 1_577_836_800, "exp": 4_102_444_800_u64});
        assert_eq!(claims, times);
        let header = jsonwebtoken::decode_header(&keys.anon).unwrap();
        assert_eq!((header.alg, header.kid), (jsonwebtoken::Algorithm::HS256, None));
    }

    #[test]
    fn only_the_service_role_key_opens_the_endpoints_of_administrators() {
        let mock = mock(Algorithm::Es256);
        let keys = mock.project_keys().unwrap();
        assert!(is_administrator(&mock, &keys.service_role));
        assert!(!is_administrator(&mock, &keys.anon));
    }

    #[test]
    fn a_rotation_of_the_signing_key_leaves_the_project_keys_valid() {
        let mock = mock(Algorithm::Es256);
        let keys = mock.project_keys().unwrap();
        mock.rotate_keys().unwrap();
        assert!(is_administrator(&mock, &keys.service_role));
        assert_eq!(mock.project_keys().unwrap().service_role, keys.service_role);
    }

    #[test]
    fn a_rotation_of_the_shared_secret_replaces_the_project_keys() {
        let mock = mock(Algorithm::Hs256);
        let keys = mock.project_keys().unwrap();
        mock.rotate_keys().unwrap();
        assert!(!is_administrator(&mock, &keys.service_role));
        assert!(is_administrator(&mock, &mock.project_keys().unwrap().service_role));
    }

    #[test]
    fn the_secret_of_the_signing_keys_signs_the_project_keys() {
        // `k` is 32 bytes of zero.
        let keys = json!([{"kty": "oct", "kid": "own", "k": "A".repeat(43)}]).to_string();
        let signing_keys = SigningKeys::from_json(&keys).unwrap();
        let options = Options { signing_keys, algorithm: Algorithm::Hs256, ..Options::default() };
        let own = Mock::new(options, ([127, 0, 0, 1], 9999).into(), || UNIX_EPOCH).unwrap();
        let key = own.project_keys().unwrap().service_role;
        assert!(is_administrator(&own, &key));
        assert!(!is_administrator(&mock(Algorithm::Hs256), &key));
    }
}
