//! The rules for the Supabase project's URL and API keys and for the access tokens that the gateway accepts.

use std::fmt;

use jsonwebtoken::Algorithm;
use secrecy::SecretString;
use url::Url;

use super::{Supabase, choice::Choice, error::Rule, rules::base_url};

/// The algorithms with which Supabase projects sign access tokens.
pub(super) const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("ES256", Algorithm::ES256),
    ("RS256", Algorithm::RS256),
    ("EdDSA", Algorithm::EdDSA),
    ("HS256", Algorithm::HS256),
];

impl Choice for Algorithm {
    const CHOICES: &'static [(&'static str, Self)] = &ALGORITHMS;
}

/// The value of `SUPABASE_URL`.
#[derive(Clone, Debug)]
pub struct Project {
    /// The project's URL without trailing slashes in its path.
    pub(crate) url: Url,
    /// The issuers that Supabase's own configurations of GoTrue write into tokens: `<URL>/auth/v1`, and `<URL>`
    /// in self-hosted stacks of May and June 2026. They are made from the unparsed text of the setting, because
    /// GoTrue does not normalise its URL, and a token's `iss` is compared as text.
    pub(crate) default_issuers: [String; 2],
}

impl Project {
    pub(super) fn parse(text: &str) -> Result<Self, Rule> {
        let without_slash = text.trim_end_matches('/').to_owned();
        Ok(Self { url: base_url(text)?, default_issuers: [below_auth(text), without_slash] })
    }

    /// A project that stands in for a missing or invalid `SUPABASE_URL`, so that errors of the other settings
    /// are found as well.
    pub(super) fn placeholder() -> Option<Self> {
        Self::parse("https://project.invalid").ok()
    }

    /// The default URL of GoTrue: `<SUPABASE_URL>/auth/v1`.
    pub(super) fn gotrue_url(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(&below_auth(self.url.path()));
        url
    }
}

impl Supabase {
    /// The value of the header `apikey` in requests to GoTrue: the publishable key, or the anon key if there
    /// is none.
    pub(crate) fn api_key(&self) -> Option<&SecretString> {
        self.publishable_key.as_ref().or(self.anon_key.as_ref())
    }

    /// The variable from which GoTrue's address comes: `SUPABASE_URL` if `GOTRUE_URL` is not set.
    pub(crate) fn gotrue_variable(&self) -> &'static str {
        if self.gotrue_url == self.project.gotrue_url() { "SUPABASE_URL" } else { "GOTRUE_URL" }
    }

    /// Whether `GATEWAY_JWT_ALGORITHMS` contains `algorithm`.
    pub(crate) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether the gateway can be ready without a key set: it can verify HS256 tokens with
    /// `SUPABASE_JWT_SECRET`, or no other algorithm is allowed, so that GoTrue verifies all tokens.
    pub(crate) fn needs_no_keys(&self) -> bool {
        let only_hs256 = self.algorithms.iter().all(|allowed| *allowed == Algorithm::HS256);
        self.allows(Algorithm::HS256) && (self.jwt_secret.is_some() || only_hs256)
    }
}

/// Appends GoTrue's path to the project's URL or path. GoTrue's URL is also the issuer of its tokens.
fn below_auth(project: &str) -> String {
    format!("{}/auth/v1", project.trim_end_matches('/'))
}

pub(super) fn api_key(text: &str) -> Result<SecretString, Rule> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(SecretString::from(text));
    }
    Err("must be visible ASCII characters, as an HTTP header takes them".into())
}

/// An entry of `GATEWAY_JWT_ISSUER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// Accepts a token with this `iss`.
    Named(String),
    /// Accepts a token without `iss`. The entry is the word `none`.
    Absent,
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Named(issuer) => issuer,
            Self::Absent => "none",
        })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a rule")]
pub(super) fn issuer(entry: &str) -> Result<Issuer, Rule> {
    Ok(if entry == "none" { Issuer::Absent } else { Issuer::Named(entry.to_owned()) })
}

/// Reads one expected value of a claim, which may be any text.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a rule")]
pub(super) fn claim(entry: &str) -> Result<String, Rule> {
    Ok(entry.to_owned())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use rstest::rstest;
    use secrecy::ExposeSecret;

    use super::{
        super::tests::{errors_of, parse},
        Issuer,
    };

    #[rstest]
    #[case("https://abc.supabase.co", "https://abc.supabase.co")]
    #[case("http://localhost:80/", "http://localhost:80")]
    #[case("https://example.com/supabase//", "https://example.com/supabase")]
    fn the_default_issuers_are_made_from_the_url_as_it_is_written(
        #[case] url: &str,
        #[case] bare: &str,
    ) {
        let supabase = parse(&[("SUPABASE_URL", url)]).supabase;
        let expected = [format!("{bare}/auth/v1"), bare.to_owned()];
        assert_eq!(supabase.project.default_issuers, expected);
        assert_eq!(supabase.issuers, []);
    }

    #[test]
    fn the_word_none_in_the_list_of_issuers_accepts_a_token_without_an_issuer() {
        let supabase = parse(&[("GATEWAY_JWT_ISSUER", "https://a.example/auth/v1, none")]).supabase;
        let named = Issuer::Named("https://a.example/auth/v1".to_owned());
        assert_eq!(supabase.issuers, [named, Issuer::Absent]);
    }

    #[rstest]
    #[case("https://abc.supabase.co", "https://abc.supabase.co/auth/v1")]
    #[case("https://example.com/supabase/", "https://example.com/supabase/auth/v1")]
    fn the_default_gotrue_url_is_below_the_project(#[case] url: &str, #[case] gotrue_url: &str) {
        assert_eq!(parse(&[("SUPABASE_URL", url)]).supabase.gotrue_url.as_str(), gotrue_url);
    }

    #[test]
    fn a_gotrue_url_does_not_change_the_issuer() {
        let supabase = parse(&[("GOTRUE_URL", "http://auth:9999/")]).supabase;
        assert_eq!(supabase.gotrue_url.as_str(), "http://auth:9999/");
        assert_eq!(supabase.project.default_issuers[0], "https://abc.supabase.co/auth/v1");
        assert_eq!(supabase.audiences, ["authenticated"]);
    }

    #[rstest]
    #[case(&[], None)]
    #[case(&[("SUPABASE_ANON_KEY", "anon")], Some("anon"))]
    #[case(&[("SUPABASE_ANON_KEY", "anon"), ("SUPABASE_PUBLISHABLE_KEY", "sb")], Some("sb"))]
    #[case(&[("SUPABASE_ANON_KEY", "anon"), ("SUPABASE_PUBLISHABLE_KEY", "")], Some("anon"))]
    #[case(&[("SUPABASE_ANON_KEY", ""), ("SUPABASE_PUBLISHABLE_KEY", "")], None)]
    fn the_first_api_key_wins(#[case] given: &[(&str, &str)], #[case] expected: Option<&str>) {
        let supabase = parse(given).supabase;
        assert_eq!(supabase.api_key().map(ExposeSecret::expose_secret), expected);
    }

    #[rstest]
    #[case(&[], &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA, Algorithm::HS256])]
    #[case(&[("GATEWAY_JWT_ALGORITHMS", "EdDSA, ES256")], &[Algorithm::EdDSA, Algorithm::ES256])]
    fn the_algorithms_are_a_list(#[case] given: &[(&str, &str)], #[case] expected: &[Algorithm]) {
        assert_eq!(parse(given).supabase.algorithms, expected);
    }

    #[rstest]
    #[case("none")]
    #[case("ES256,HS512")]
    #[case("es256")]
    fn an_algorithm_that_no_project_signs_with_is_refused(#[case] algorithms: &str) {
        assert_eq!(errors_of(&[("GATEWAY_JWT_ALGORITHMS", algorithms)]).len(), 1);
    }

    #[test]
    fn an_unused_api_key_is_checked_too() {
        let given = [("SUPABASE_ANON_KEY", "an on"), ("SUPABASE_PUBLISHABLE_KEY", "sb")];
        assert_eq!(errors_of(&given).len(), 1);
    }
}
