//! A revocation that GoTrue could not be asked for, as it is kept until it can.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One postponed revocation. Nothing in it tells a secret: the credentials are sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Made here.
    pub id: Uuid,
    /// `X-Request-Id` of the logout.
    pub request_id: String,
    /// The route that was asked, `/api/auth/logout` for one.
    pub route: String,
    /// `local`, `others` or `global`.
    pub scope: String,
    /// Whose session.
    pub user_id: Uuid,
    /// Which session.
    pub session_id: Uuid,
    /// Whether the access token was verified when it came.
    pub verified: bool,
    /// Whether a try may have had its effect without our hearing of it.
    pub tried: bool,
    /// When the logout was asked for; milliseconds since the Unix epoch.
    pub queued_at: i64,
    /// When GoTrue is to be asked, or a lease ends; milliseconds since the Unix epoch.
    pub due: i64,
    /// How often GoTrue was asked since.
    pub attempts: u32,
    /// Why it did not do it the last time.
    pub reason: String,
    /// Which secret's key sealed the credentials.
    pub key_id: String,
    /// The credentials, encrypted; base64url.
    pub sealed: String,
}

impl Entry {
    /// What does not change while it waits, for the credentials to be bound to.
    #[must_use]
    pub fn asked(&self) -> String {
        let Self { id, scope, user_id, session_id, verified, .. } = self;
        format!("{id} {scope} {user_id} {session_id} {verified}")
    }
}
