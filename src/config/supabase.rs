//! The Supabase project and how its tokens are judged.

use std::ffi::OsString;

use clap::Args;
use jsonwebtoken::Algorithm;
use secrecy::SecretString;
use url::Url;

use super::{
    error::{ConfigErrors, Noted, Rule},
    rules::{base_url, list, one_of, secret, unless_empty},
};

/// The Supabase project and how its tokens are judged.
#[derive(Clone, Debug)]
pub struct Supabase {
    /// `SUPABASE_URL`, without a trailing slash in its path.
    pub url: Url,
    /// `GOTRUE_URL`, default `<SUPABASE_URL>/auth/v1`; without a trailing slash in its path.
    pub gotrue_url: Url,
    /// `SUPABASE_PUBLISHABLE_KEY`, else `SUPABASE_ANON_KEY`: sent as `apikey`.
    pub api_key: Option<SecretString>,
    /// `SUPABASE_JWT_SECRET`, 32 bytes or more.
    pub jwt_secret: Option<SecretString>,
    /// `GATEWAY_JWT_ALGORITHMS`; never empty. A token signed by another algorithm is refused.
    pub algorithms: Vec<Algorithm>,
    /// `GATEWAY_JWT_ISSUER`; never empty.
    pub issuers: Vec<String>,
    /// `GATEWAY_JWT_AUDIENCE`; never empty.
    pub audiences: Vec<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Supabase")]
pub(super) struct SupabaseArgs {
    /// The project's URL, `http://` or `https://`. Required
    #[arg(long, env = "SUPABASE_URL", value_name = "URL")]
    supabase_url: Option<OsString>,
    /// The project's publishable key, sent as `apikey`; hosted Supabase and the self-hosted API
    /// gateway ask for it. Default: none
    #[arg(long, env = "SUPABASE_PUBLISHABLE_KEY", value_name = "KEY")]
    supabase_publishable_key: Option<OsString>,
    /// The project's older anon key, sent as `apikey` when there is no publishable key. Default: none
    #[arg(long, env = "SUPABASE_ANON_KEY", value_name = "KEY")]
    supabase_anon_key: Option<OsString>,
    /// Where GoTrue itself is. Default: `<SUPABASE_URL>/auth/v1`
    #[arg(long, env = "GOTRUE_URL", value_name = "URL")]
    gotrue_url: Option<OsString>,
    /// The secret of projects that sign tokens with HS256, 32 bytes or more; without it GoTrue judges
    /// such tokens. Better given in the environment: others can read a process's flags. Default: none
    #[arg(long, env = "SUPABASE_JWT_SECRET", value_name = "SECRET")]
    supabase_jwt_secret: Option<OsString>,
    /// Algorithms that access tokens may be signed with, separated by commas: `ES256`, `RS256`,
    /// `EdDSA`, `HS256`. Leave out `HS256` once the project signs with keys alone: nobody can then send
    /// tokens that only GoTrue can judge. Default: all four
    #[arg(long, env = "GATEWAY_JWT_ALGORITHMS", value_name = "ALGORITHMS")]
    jwt_algorithms: Option<OsString>,
    /// Expected issuers (`iss`) of access tokens, separated by commas.
    /// Default: `<SUPABASE_URL>/auth/v1`
    #[arg(long, env = "GATEWAY_JWT_ISSUER", value_name = "ISSUERS")]
    jwt_issuer: Option<OsString>,
    /// Expected audiences (`aud`) of access tokens, separated by commas. Default: `authenticated`
    #[arg(long, env = "GATEWAY_JWT_AUDIENCE", value_name = "AUDIENCES")]
    jwt_audience: Option<OsString>,
}

impl SupabaseArgs {
    /// Reads the one variable that others take their defaults from.
    pub(super) fn project(&mut self, faults: &mut ConfigErrors) -> Result<Project, Noted> {
        faults.required("SUPABASE_URL", self.supabase_url.take(), |text| {
            Ok(Project { url: base_url(text)?, issuer: issuer(text) })
        })
    }
}

/// What `SUPABASE_URL` tells.
pub(super) struct Project {
    pub(super) url: Url,
    /// As text, for a token's `iss` is compared as text: GoTrue does not normalise its URL.
    issuer: String,
}

impl Project {
    fn gotrue_url(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(&issuer(self.url.path()));
        url
    }
}

impl Supabase {
    pub(super) fn read(
        args: SupabaseArgs,
        project: Result<&Project, Noted>,
        faults: &mut ConfigErrors,
    ) -> Result<Self, Noted> {
        let publishable = unless_empty(args.supabase_publishable_key);
        let publishable = faults.optional("SUPABASE_PUBLISHABLE_KEY", publishable, api_key);
        let anon = unless_empty(args.supabase_anon_key);
        let anon = faults.optional("SUPABASE_ANON_KEY", anon, api_key);
        let gotrue_url = faults.optional("GOTRUE_URL", args.gotrue_url, base_url);
        let jwt_secret = faults.optional("SUPABASE_JWT_SECRET", args.supabase_jwt_secret, secret);
        let algorithms = faults.or(
            "GATEWAY_JWT_ALGORITHMS",
            args.jwt_algorithms,
            ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec(),
            list(one_of(&ALGORITHMS)),
        );
        let issuers = faults.optional("GATEWAY_JWT_ISSUER", args.jwt_issuer, list(claim));
        let audiences = vec!["authenticated".to_owned()];
        let audiences =
            faults.or("GATEWAY_JWT_AUDIENCE", args.jwt_audience, audiences, list(claim));
        let project = project?;
        let anon = anon?;
        Ok(Self {
            url: project.url.clone(),
            gotrue_url: gotrue_url?.unwrap_or_else(|| project.gotrue_url()),
            api_key: publishable?.or(anon),
            jwt_secret: jwt_secret?,
            algorithms: algorithms?,
            issuers: issuers?.unwrap_or_else(|| vec![project.issuer.clone()]),
            audiences: audiences?,
        })
    }
}

impl Supabase {
    /// Whether access tokens of that algorithm count.
    #[must_use]
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether tokens can be judged without any key of the project: HS256 tokens by the secret, or by GoTrue
    /// where no other algorithm counts.
    #[must_use]
    pub fn needs_no_keys(&self) -> bool {
        let hs256_alone = self.algorithms.iter().all(|allowed| *allowed == Algorithm::HS256);
        self.allows(Algorithm::HS256) && (self.jwt_secret.is_some() || hs256_alone)
    }
}

/// What Supabase projects sign with.
const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("ES256", Algorithm::ES256),
    ("RS256", Algorithm::RS256),
    ("EdDSA", Algorithm::EdDSA),
    ("HS256", Algorithm::HS256),
];

/// Where GoTrue is below a project's URL, which is also the issuer of its tokens.
fn issuer(project: &str) -> String {
    format!("{}/auth/v1", project.trim_end_matches('/'))
}

fn api_key(text: &str) -> Result<SecretString, Rule> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(SecretString::from(text));
    }
    Err("must be visible ASCII characters, as an HTTP header takes them".into())
}

#[expect(clippy::unnecessary_wraps, reason = "a rule like any other, that every entry keeps")]
fn claim(entry: &str) -> Result<String, Rule> {
    Ok(entry.to_owned())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use rstest::rstest;
    use secrecy::ExposeSecret;

    use super::super::tests::{faults_of, parse};

    #[rstest]
    #[case("https://abc.supabase.co", "https://abc.supabase.co/auth/v1")]
    #[case("http://localhost:80/", "http://localhost:80/auth/v1")]
    #[case("https://example.com/supabase//", "https://example.com/supabase/auth/v1")]
    fn the_issuer_is_the_url_as_it_is_written(#[case] url: &str, #[case] issuer: &str) {
        assert_eq!(parse(&[("SUPABASE_URL", url)]).supabase.issuers, [issuer]);
    }

    #[rstest]
    #[case("https://abc.supabase.co", "https://abc.supabase.co/auth/v1")]
    #[case("https://example.com/supabase/", "https://example.com/supabase/auth/v1")]
    fn gotrue_is_below_the_project(#[case] url: &str, #[case] gotrue_url: &str) {
        assert_eq!(parse(&[("SUPABASE_URL", url)]).supabase.gotrue_url.as_str(), gotrue_url);
    }

    #[test]
    fn another_gotrue_leaves_the_issuer_alone() {
        let supabase = parse(&[("GOTRUE_URL", "http://auth:9999/")]).supabase;
        assert_eq!(supabase.gotrue_url.as_str(), "http://auth:9999/");
        assert_eq!(supabase.issuers, ["https://abc.supabase.co/auth/v1"]);
        assert_eq!(supabase.audiences, ["authenticated"]);
    }

    #[rstest]
    #[case(&[], None)]
    #[case(&[("SUPABASE_ANON_KEY", "anon")], Some("anon"))]
    #[case(&[("SUPABASE_ANON_KEY", "anon"), ("SUPABASE_PUBLISHABLE_KEY", "sb")], Some("sb"))]
    #[case(&[("SUPABASE_ANON_KEY", "anon"), ("SUPABASE_PUBLISHABLE_KEY", "")], Some("anon"))]
    #[case(&[("SUPABASE_ANON_KEY", ""), ("SUPABASE_PUBLISHABLE_KEY", "")], None)]
    fn the_first_api_key_wins(#[case] given: &[(&str, &str)], #[case] expected: Option<&str>) {
        let key = parse(given).supabase.api_key;
        assert_eq!(key.as_ref().map(ExposeSecret::expose_secret), expected);
    }

    #[rstest]
    #[case(&[], &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA, Algorithm::HS256])]
    #[case(&[("GATEWAY_JWT_ALGORITHMS", "EdDSA, ES256")], &[Algorithm::EdDSA, Algorithm::ES256])]
    fn the_algorithms_are_a_list(#[case] given: &[(&str, &str)], #[case] expected: &[Algorithm]) {
        assert_eq!(parse(given).supabase.algorithms, expected);
    }

    #[rstest]
    #[case("")]
    #[case("none")]
    #[case("ES256,HS512")]
    #[case("es256")]
    fn an_algorithm_that_no_project_signs_with_is_refused(#[case] algorithms: &str) {
        assert_eq!(faults_of(&[("GATEWAY_JWT_ALGORITHMS", algorithms)]).len(), 1);
    }

    #[test]
    fn an_unused_api_key_is_judged_too() {
        let given = [("SUPABASE_ANON_KEY", "an on"), ("SUPABASE_PUBLISHABLE_KEY", "sb")];
        assert_eq!(faults_of(&given).len(), 1);
    }
}
