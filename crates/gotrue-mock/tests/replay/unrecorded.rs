//! Texts that no reply brings, for which the recordings have placeholders: the keys of the project, and ID tokens.

use std::time::UNIX_EPOCH;

use gotrue_mock::{Algorithm, Mock, Options};
use serde_json::json;

use crate::{id_tokens, template::Bindings};

/// The bindings at the beginning of a scenario. The placeholders of another scenario have nothing to do with them.
pub(crate) fn bindings(mock: &Mock, scenario: &str) -> Bindings {
    let mut bindings = Bindings::new(mock.url().to_owned());
    bind_keys(&mut bindings);
    bind_id_tokens(&mut bindings, mock, scenario);
    bindings
}

/// The keys of the project. Like the recorded ones they are signed with the shared secret.
fn bind_keys(bindings: &mut Bindings) {
    let options = Options { algorithm: Algorithm::Hs256, ..Options::default() };
    let signer = Mock::new(options, ([127, 0, 0, 1], 9999).into(), || UNIX_EPOCH).unwrap();
    let key = |role| {
        let claims = json!({"role": role, "iss": "supabase", "exp": 4_000_000_000_u64});
        signer.sign(&claims).unwrap()
    };
    let (service_role, anon) = (key("service_role"), key("anon"));
    let (unsigned, _) = service_role.rsplit_once('.').unwrap();
    let (_, signature) = anon.rsplit_once('.').unwrap();
    let forged = format!("{unsigned}.{signature}");
    bindings.bind("<service-role-key with another signature>", &forged);
    bindings.bind("<service-role-key>", &service_role);
    bindings.bind("<anon-key>", &anon);
}

/// The ID tokens of the identity provider.
fn bind_id_tokens(bindings: &mut Bindings, mock: &Mock, scenario: &str) {
    let now = mock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let issuer = format!("{}/mock/consent/keycloak", mock.url());
    for (index, claims) in id_tokens::claims(scenario, &issuer, now).iter().enumerate() {
        let placeholder = format!("<id-token:{}>", index + 1);
        bindings.bind(&placeholder, &mock.sign(claims).unwrap());
    }
}
