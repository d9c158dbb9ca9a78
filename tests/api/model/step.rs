//! The steps of which the model test makes its random sequences.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::reference::LIFETIME;
use crate::harness::LOGOUT_PATHS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Local,
    Others,
    Global,
}

impl Scope {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Others => "others",
            Self::Global => "global",
        }
    }

    /// Whether a logout of `session` with this scope ends `other`, a session of the same user.
    pub(super) fn includes(self, session: usize, other: usize) -> bool {
        match self {
            Self::Local => other == session,
            Self::Others => other != session,
            Self::Global => true,
        }
    }
}

/// A Bearer token that is no access token of this project's sessions. Beside a session cookie the gateway
/// must ignore it, as it ignores another scheme than `Bearer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OtherBearer {
    /// The text `undefined`, which a page sends that has no token.
    Undefined,
    /// The project's API key: a JWT with the issuer `supabase` and without a session.
    ApiKey,
    /// A token of the project's issuer without `session_id`.
    WithoutSession,
    /// The session's own claims under the issuer of a hosting platform.
    OtherIssuer,
}

/// The credentials with which a logout is sent, and what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    Bearer,
    Cookie,
    /// The Bearer token of the session beside its cookie, without a CSRF token. The gateway must use the Bearer
    /// token and ignore the cookie.
    BearerBesideCookie,
    /// The cookie and its CSRF token, beside a Bearer token that the gateway must ignore.
    CookieBesideOtherBearer(OtherBearer),
    /// The same without a CSRF token. The ignored Bearer token must not make the CSRF token needless.
    CookieBesideOtherBearerWithoutCsrf(OtherBearer),
    /// The Bearer token `undefined` and no cookie.
    OtherBearerAlone,
    /// A cookie with a valid access token and with a refresh token that GoTrue never issued.
    CookieWithMadeUpRefreshToken,
    /// A bearer token with the same claims and 20 KB of user metadata.
    LargeBearer,
    LargeCookie,
    TamperedBearer,
    TamperedCookie,
    CookieWithoutCsrf,
    CookieWithWrongCsrf,
    CookieFromOtherSite,
    TwoBearerTokens,
    UnknownScope,
    Missing,
}

impl Credential {
    pub(super) fn is_cookie(self) -> bool {
        use Credential as S;
        matches!(
            self,
            S::Cookie
                | S::CookieBesideOtherBearer(_)
                | S::CookieBesideOtherBearerWithoutCsrf(_)
                | S::CookieWithMadeUpRefreshToken
                | S::LargeCookie
                | S::TamperedCookie
                | S::CookieWithoutCsrf
                | S::CookieWithWrongCsrf
                | S::CookieFromOtherSite
        )
    }

    pub(super) fn is_tampered(self) -> bool {
        matches!(self, Self::TamperedBearer | Self::TamperedCookie)
    }

    pub(super) fn is_large(self) -> bool {
        matches!(self, Self::LargeBearer | Self::LargeCookie)
    }

    pub(super) fn lacks_csrf(self) -> bool {
        matches!(
            self,
            Self::CookieWithoutCsrf
                | Self::CookieWithWrongCsrf
                | Self::CookieBesideOtherBearerWithoutCsrf(_)
        )
    }

    /// The status with which the gateway refuses the request before it reads the token; `None` if it reads
    /// the token.
    pub(super) fn status_before_token_check(self) -> Option<u16> {
        match self {
            Self::TwoBearerTokens | Self::UnknownScope => Some(400),
            Self::Missing | Self::OtherBearerAlone => Some(401),
            Self::CookieFromOtherSite => Some(403),
            _ => None,
        }
    }
}

/// A logout by an attacker who does not have the victim's session, but knows the session's ids or has an old
/// token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    /// An HS256 token with the victim's claims, signed with the attacker's secret.
    Forged,
    /// Like `Forged`, but the token has expired and is in a cookie with a made-up refresh token.
    ForgedAndExpired,
    /// An expired token that GoTrue issued, found in an old log for example, in a cookie with a made-up
    /// refresh token.
    Stale,
}

/// One step of a sequence. Users and sessions are numbered in the order of their creation.
#[derive(Clone, Debug)]
pub(super) enum Step {
    SignUp,
    SignInAgain {
        user: usize,
    },
    Refresh {
        session: usize,
    },
    Logout {
        session: usize,
        route: &'static str,
        scope: Scope,
        credential: Credential,
    },
    HangUp {
        session: usize,
    },
    Attack {
        victim: usize,
        attack: Attack,
        scope: Scope,
    },
    /// Many logouts with the scope `others` in a row, each with another made-up refresh token.
    Flood {
        session: usize,
    },
    Verify {
        session: usize,
    },
    Fault(Value),
    ClearFaults,
    Ban {
        user: usize,
    },
    DeleteUser {
        user: usize,
    },
    DeleteSession {
        session: usize,
    },
    RotateKeys,
    Restart,
    AdvanceTime {
        seconds: i64,
    },
}

pub(super) fn fault() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        16 => prop::sample::select(vec![200, 401, 403, 429, 500, 502, 503, 504])
            .prop_map(|status| json!({"kind": "status", "status": status})),
        8 => prop::sample::select(vec!["reset", "garbage", "truncate", "oversize", "redirect"])
            .prop_map(|kind| json!({"kind": kind})),
        1 => Just(json!({"kind": "hang"})),
        2 => Just(json!({"kind": "delay", "seconds": 0.02})),
    ];
    let operation =
        prop::sample::select(vec!["logout", "logout", "logout", "token", "token", "jwks", "user"]);
    (kind, operation, 1..4, any::<bool>()).prop_map(|(mut fault, operation, times, effect)| {
        fault["operation"] = json!(operation);
        // Let the fault `hang` occur only once, because each occurrence lasts until the gateway's timeout.
        fault["times"] = json!(if fault["kind"] == "hang" { 1 } else { times });
        fault["effect"] = json!(effect);
        Step::Fault(fault)
    })
}

pub(super) fn logout(session: usize) -> impl Strategy<Value = Step> {
    use Credential as S;
    let scope = prop::sample::select(vec![Scope::Local, Scope::Others, Scope::Global]);
    let other_bearer = || {
        use OtherBearer::{ApiKey, OtherIssuer, Undefined, WithoutSession};
        prop::sample::select(vec![Undefined, ApiKey, WithoutSession, OtherIssuer])
    };
    let credential = prop_oneof![
        4 => Just(S::Bearer),
        8 => Just(S::Cookie),
        1 => Just(S::BearerBesideCookie),
        2 => other_bearer().prop_map(S::CookieBesideOtherBearer),
        1 => other_bearer().prop_map(S::CookieBesideOtherBearerWithoutCsrf),
        2 => Just(S::CookieWithMadeUpRefreshToken),
        2 => prop::sample::select(vec![S::LargeBearer, S::LargeCookie]),
        4 => prop::sample::select(vec![
            S::TamperedBearer,
            S::TamperedCookie,
            S::CookieWithoutCsrf,
            S::CookieWithWrongCsrf,
            S::CookieFromOtherSite,
            S::TwoBearerTokens,
            S::UnknownScope,
            S::Missing,
            S::OtherBearerAlone,
        ]),
    ];
    (prop::sample::select(LOGOUT_PATHS.to_vec()), scope, credential).prop_map(
        move |(route, scope, credential)| Step::Logout { session, route, scope, credential },
    )
}

pub(super) fn attack(victim: usize) -> impl Strategy<Value = Step> {
    let attack =
        prop::sample::select(vec![Attack::Forged, Attack::ForgedAndExpired, Attack::Stale]);
    let scope = prop::sample::select(vec![Scope::Local, Scope::Others, Scope::Global]);
    (attack, scope).prop_map(move |(attack, scope)| Step::Attack { victim, attack, scope })
}

pub(super) fn advance_time() -> impl Strategy<Value = Step> {
    let forward = prop::sample::select(vec![1, 1, 59, LIFETIME - 1, LIFETIME, 8 * 86_400]);
    let backward = prop::sample::select(vec![-1, -3, -29, -31, -60]);
    prop_oneof![3 => forward, 2 => backward].prop_map(|seconds| Step::AdvanceTime { seconds })
}
