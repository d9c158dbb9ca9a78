//! What the audit log says: GoTrue's `NewAuditLogEntry`.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{client_addr::ClientAddr, user::User};

/// What was done: the member `action` of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuditAction {
    ChallengeCreated,
    FactorDeleted,
    FactorInProgress,
    FactorUnenrolled,
    FactorUpdated,
    IdentityLinked,
    IdentityUnlinked,
    InviteAccepted,
    Login,
    Logout,
    TokenRefreshed,
    TokenRevoked,
    UserConfirmationRequested,
    UserDeleted,
    UserInvited,
    UserModified,
    UserReauthenticateRequested,
    UserRecoveryRequested,
    UserRepeatedSignup,
    UserSignedup,
    UserUpdatedPassword,
    VerificationAttempted,
}

impl AuditAction {
    /// The member `log_type`: GoTrue's `ActionLogTypeMap`.
    fn log_type(self) -> &'static str {
        match self {
            Self::InviteAccepted | Self::Login | Self::Logout => "account",
            Self::UserDeleted | Self::UserInvited | Self::UserSignedup => "team",
            Self::TokenRefreshed | Self::TokenRevoked => "token",
            Self::IdentityLinked
            | Self::IdentityUnlinked
            | Self::UserConfirmationRequested
            | Self::UserModified
            | Self::UserReauthenticateRequested
            | Self::UserRecoveryRequested
            | Self::UserRepeatedSignup
            | Self::UserUpdatedPassword => "user",
            Self::ChallengeCreated
            | Self::FactorDeleted
            | Self::FactorInProgress
            | Self::FactorUnenrolled
            | Self::FactorUpdated
            | Self::VerificationAttempted => "factor",
        }
    }

    /// This action with the member `traits`.
    pub(crate) fn with(self, traits: Value) -> AuditEvent {
        AuditEvent { traits: Some(traits), ..self.into() }
    }
}

/// An action with its details.
pub(crate) struct AuditEvent {
    action: AuditAction,
    traits: Option<Value>,
    /// Empty for most actions, of which GoTrue does not write the client's address.
    pub(crate) ip_address: String,
}

impl From<AuditAction> for AuditEvent {
    fn from(action: AuditAction) -> Self {
        Self { action, traits: None, ip_address: String::new() }
    }
}

impl AuditEvent {
    /// This event of a client whose address GoTrue writes.
    pub(crate) fn with_client(self, client: &ClientAddr) -> Self {
        Self { ip_address: client.as_str().to_owned(), ..self }
    }

    /// The member `payload`.
    pub(crate) fn payload(self, actor: &AuditActor) -> Value {
        let mut payload = json!({
            "action": self.action,
            "actor_id": actor.id,
            "actor_username": actor.username,
            "actor_via_sso": false,
            "log_type": self.action.log_type(),
        });
        if let Some(members) = payload.as_object_mut() {
            members.extend(actor.name.clone().map(|name| ("actor_name".to_owned(), name)));
            members.extend(self.traits.map(|traits| ("traits".to_owned(), traits)));
        }
        payload
    }
}

/// The user or the administrator who acts.
pub(crate) struct AuditActor {
    id: Uuid,
    username: String,
    name: Option<Value>,
}

impl AuditActor {
    /// GoTrue makes a user without an id, whose address is the role.
    pub(crate) fn administrator(role: String) -> Self {
        Self { id: Uuid::nil(), username: role, name: None }
    }
}

impl From<&User> for AuditActor {
    fn from(user: &User) -> Self {
        let username = if user.phone().is_empty() { user.email() } else { user.phone() };
        let name = user.user_metadata.get("full_name").cloned();
        Self { id: user.id, username: username.to_owned(), name }
    }
}

/// The traits by which an administrator's action names the user.
pub(crate) fn user_traits(user: &User) -> Map<String, Value> {
    let mut traits = Map::new();
    traits.insert("user_id".to_owned(), json!(user.id));
    traits.insert("user_email".to_owned(), json!(user.email()));
    traits.insert("user_phone".to_owned(), json!(user.phone()));
    traits
}
