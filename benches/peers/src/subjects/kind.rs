//! The right answers of each subject. A subject that answers otherwise has not done the work that is measured.

use super::{gateway, nginx, node, oauth2_proxy};
use crate::exchange::Exchange;

pub(crate) const SUCCESS: &[u8] = br#"{"data":{"success":true}}"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gateway,
    Nginx,
    Node,
    Oauth2Proxy,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gateway => gateway::NAME,
            Self::Nginx => nginx::NAME,
            Self::Node => node::NAME,
            Self::Oauth2Proxy => oauth2_proxy::NAME,
        }
    }

    /// A logout with these header lines.
    pub(crate) fn logout(self, headers: &str) -> Exchange {
        let deletes_cookie = headers.contains("Cookie: ");
        let exchange = |status| Exchange::new("POST", "/api/auth/logout", headers, status);
        match self {
            Self::Gateway => {
                let revoked =
                    exchange(200).with_body(SUCCESS).with_head("x-logout-outcome: revoked\r\n");
                if deletes_cookie {
                    revoked.with_head("set-cookie: sb-127-auth-token=; ")
                } else {
                    revoked
                }
            }
            Self::Node => {
                exchange(200).with_body(SUCCESS).with_head("Set-Cookie: sb-127-auth-token=; ")
            }
            // nginx passes the stub's answer on.
            Self::Nginx | Self::Oauth2Proxy => exchange(204),
        }
    }

    /// A check of a session of the user `user_id`, with these header lines.
    pub(crate) fn verify(self, headers: &str, user_id: &str) -> Exchange {
        let exchange = |path, status| Exchange::new("GET", path, headers, status);
        match self {
            Self::Gateway => exchange("/api/auth/verify", 200)
                .with_body(b"")
                .with_head(format!("x-auth-user-id: {user_id}\r\n")),
            Self::Node => exchange("/api/auth/verify", 200)
                .with_head(format!("X-Auth-User-Id: {user_id}\r\n")),
            Self::Oauth2Proxy => exchange("/oauth2/auth", 202)
                .with_head(format!("X-Auth-Request-User: {user_id}\r\n")),
            Self::Nginx => exchange("/api/auth/verify", 200),
        }
    }

    /// Whether a logout by cookie needs a CSRF token of this subject.
    pub(crate) const fn has_csrf_token(self) -> bool {
        matches!(self, Self::Gateway | Self::Node)
    }
}
