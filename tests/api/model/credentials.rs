//! Makes the credentials of one logout in a sequence of steps.

use gotrue_mock::Tokens;
use serde_json::json;

use super::{
    gateway::GatewayUnderTest,
    step::{Credential, OtherBearer},
};
use crate::harness::{Browser, Request, claims_of, forged_token};

impl GatewayUnderTest {
    /// A logout request with the credential, in a browser that has the session's cookies.
    pub(super) fn request(
        &self,
        browser: &mut Browser,
        target: &str,
        credential: Credential,
        tokens: &Tokens,
    ) -> Request {
        use Credential as S;
        let token = &tokens.access_token;
        match credential {
            S::CookieBesideOtherBearer(other) => {
                browser.logout_request(target).bearer(&self.other_bearer(other, tokens))
            }
            S::CookieBesideOtherBearerWithoutCsrf(other) => {
                browser.request("POST", target).bearer(&self.other_bearer(other, tokens))
            }
            S::CookieFromOtherSite => {
                browser.headers = vec![("Sec-Fetch-Site".to_owned(), "cross-site".to_owned())];
                browser.logout_request(target)
            }
            S::CookieWithoutCsrf | S::Missing => browser.request("POST", target),
            S::CookieWithWrongCsrf => {
                browser.request("POST", target).header("X-CSRF-Token", "wrong")
            }
            S::Cookie | S::CookieWithMadeUpRefreshToken | S::LargeCookie | S::TamperedCookie => {
                browser.logout_request(target)
            }
            S::OtherBearerAlone => browser.request("POST", target).bearer("undefined"),
            S::BearerBesideCookie
            | S::Bearer
            | S::LargeBearer
            | S::TamperedBearer
            | S::UnknownScope => browser.request("POST", target).bearer(token),
            S::TwoBearerTokens => browser.request("POST", target).bearer(token).bearer(token),
        }
    }

    /// The session's tokens, changed as the credential requires.
    pub(super) fn tokens_for(&self, session: usize, credential: Credential) -> Tokens {
        let mut tokens = self.sessions[session].tokens.clone();
        if credential.is_tampered() {
            let (signed, signature) = tokens.access_token.rsplit_once('.').unwrap();
            let changed = if signature.starts_with('A') { "B" } else { "A" };
            tokens.access_token = format!("{signed}.{changed}{}", &signature[1..]);
        }
        if credential.is_large() {
            let mut claims = claims_of(&tokens.access_token);
            claims["user_metadata"] = json!({"picture": "x".repeat(20_000)});
            tokens.access_token = self.app.mock.sign(&claims).unwrap();
        }
        if credential == Credential::CookieWithMadeUpRefreshToken {
            tokens.refresh_token = format!("made-up-{}", fastrand::u64(..));
        }
        tokens
    }

    /// A Bearer token that is no access token of this project's sessions.
    fn other_bearer(&self, other: OtherBearer, tokens: &Tokens) -> String {
        let issuer = self.app.mock.issuer();
        match other {
            OtherBearer::Undefined => "undefined".to_owned(),
            OtherBearer::ApiKey => {
                self.app.mock.sign(&json!({"iss": "supabase", "role": "anon"})).unwrap()
            }
            OtherBearer::WithoutSession => {
                let claims = json!({"iss": issuer, "aud": "authenticated", "sub": tokens.user_id,
                    "role": "service_role", "exp": self.app.clock.now() + 600});
                self.app.mock.sign(&claims).unwrap()
            }
            OtherBearer::OtherIssuer => {
                let mut claims = claims_of(&tokens.access_token);
                claims["iss"] = json!("https://accounts.google.com");
                forged_token(r#"{"alg":"RS256","kid":"google"}"#, &claims.to_string())
            }
        }
    }
}
