//! What happens in a history.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::LIFETIME;
use crate::harness::LOGOUT_PATHS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Local,
    Others,
    Global,
}

impl Scope {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Others => "others",
            Self::Global => "global",
        }
    }

    /// Whether a logout of `session` names `other`, a session of the same user.
    pub(super) fn names(self, session: usize, other: usize) -> bool {
        match self {
            Self::Local => other == session,
            Self::Others => other != session,
            Self::Global => true,
        }
    }
}

/// What a logout shows, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Showing {
    Bearer,
    Cookie,
    /// A good access token in a cookie, and beside it a refresh token that GoTrue never issued.
    CookieWithMadeUpRefreshToken,
    /// An access token of the same claims and 20 KB of user metadata.
    LargeBearer,
    LargeCookie,
    TamperedBearer,
    TamperedCookie,
    CookieWithoutCsrf,
    CookieWithWrongCsrf,
    CookieFromForeignPage,
    TwoBearers,
    UnknownScope,
    Nothing,
}

impl Showing {
    pub(super) fn by_cookie(self) -> bool {
        use Showing as S;
        matches!(
            self,
            S::Cookie
                | S::CookieWithMadeUpRefreshToken
                | S::LargeCookie
                | S::TamperedCookie
                | S::CookieWithoutCsrf
                | S::CookieWithWrongCsrf
                | S::CookieFromForeignPage
        )
    }

    pub(super) fn tampered(self) -> bool {
        matches!(self, Self::TamperedBearer | Self::TamperedCookie)
    }

    pub(super) fn is_large(self) -> bool {
        matches!(self, Self::LargeBearer | Self::LargeCookie)
    }

    pub(super) fn without_csrf(self) -> bool {
        matches!(self, Self::CookieWithoutCsrf | Self::CookieWithWrongCsrf)
    }

    /// The status that refuses it before anybody looks at the token.
    pub(super) fn refused_unseen(self) -> Option<u16> {
        match self {
            Self::TwoBearers | Self::UnknownScope => Some(400),
            Self::Nothing => Some(401),
            Self::CookieFromForeignPage => Some(403),
            _ => None,
        }
    }
}

/// A request of a client that has no session of the victim, but knows its ids or has an old token of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    /// An HS256 token with the victim's claims, signed with a secret of the attacker's.
    Forged,
    /// The same, expired, in a cookie with a made-up refresh token.
    ForgedAndExpired,
    /// An expired token that GoTrue issued, from an old log, in a cookie with a made-up refresh token.
    Stale,
}

/// One step; users and sessions by their number.
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
        showing: Showing,
    },
    HangUp {
        session: usize,
    },
    Attack {
        victim: usize,
        attack: Attack,
        scope: Scope,
    },
    /// Many `others` in a row, each with another made-up refresh token.
    Flood {
        session: usize,
    },
    Verify {
        session: usize,
    },
    Fault(Value),
    FaultsPass,
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
    Pass {
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
        // Each time takes the gateway's whole patience.
        fault["times"] = json!(if fault["kind"] == "hang" { 1 } else { times });
        fault["effect"] = json!(effect);
        Step::Fault(fault)
    })
}

pub(super) fn logout(session: usize) -> impl Strategy<Value = Step> {
    use Showing as S;
    let scope = prop::sample::select(vec![Scope::Local, Scope::Others, Scope::Global]);
    let showing = prop_oneof![
        4 => Just(S::Bearer),
        8 => Just(S::Cookie),
        2 => Just(S::CookieWithMadeUpRefreshToken),
        2 => prop::sample::select(vec![S::LargeBearer, S::LargeCookie]),
        4 => prop::sample::select(vec![
            S::TamperedBearer,
            S::TamperedCookie,
            S::CookieWithoutCsrf,
            S::CookieWithWrongCsrf,
            S::CookieFromForeignPage,
            S::TwoBearers,
            S::UnknownScope,
            S::Nothing,
        ]),
    ];
    (prop::sample::select(LOGOUT_PATHS.to_vec()), scope, showing)
        .prop_map(move |(route, scope, showing)| Step::Logout { session, route, scope, showing })
}

pub(super) fn attack(victim: usize) -> impl Strategy<Value = Step> {
    let attack =
        prop::sample::select(vec![Attack::Forged, Attack::ForgedAndExpired, Attack::Stale]);
    let scope = prop::sample::select(vec![Scope::Local, Scope::Others, Scope::Global]);
    (attack, scope).prop_map(move |(attack, scope)| Step::Attack { victim, attack, scope })
}

pub(super) fn pass() -> impl Strategy<Value = Step> {
    let forward = prop::sample::select(vec![1, 1, 59, LIFETIME - 1, LIFETIME, 8 * 86_400]);
    let backward = prop::sample::select(vec![-1, -3, -29, -31, -60]);
    prop_oneof![3 => forward, 2 => backward].prop_map(|seconds| Step::Pass { seconds })
}
