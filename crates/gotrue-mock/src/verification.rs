//! What a code or a token hash proves, and what it changes: GoTrue's `verifyTokenHash`, `verifyUserAndToken` and the
//! functions that follow them.

use std::time::SystemTime;

use serde_json::json;
use uuid::Uuid;

use crate::{
    accepted::Accepted,
    address_change::{accept_email_code, change_phone},
    audit_log::{AuditAction, AuditEvent},
    credentials::new_password,
    database::Database,
    error::GotrueError,
    one_time_tokens::{CodeKind, token_hash},
    settings::Settings,
    user::User,
};

/// The member `type` of a request to `/verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerificationType {
    /// `email`: a sign-up or a magic link, whichever the code belongs to.
    Email,
    /// `signup` and `invite`.
    Confirmation,
    /// `recovery` and `magiclink`, which share one code.
    Recovery,
    /// `email_change`.
    EmailChange,
    /// `sms`.
    Text,
    /// `phone_change`.
    PhoneChange,
    Unknown,
}

impl VerificationType {
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "email" => Self::Email,
            "signup" | "invite" => Self::Confirmation,
            "recovery" | "magiclink" => Self::Recovery,
            "email_change" => Self::EmailChange,
            "sms" => Self::Text,
            "phone_change" => Self::PhoneChange,
            _ => Self::Unknown,
        }
    }

    /// The method in the `amr` claim of a session that a link of PKCE brings. `None` for a type that GoTrue cannot
    /// parse there.
    pub(crate) fn authentication_method(text: &str) -> Option<&'static str> {
        match text {
            "signup" => Some("email/signup"),
            "magiclink" => Some("magiclink"),
            "recovery" => Some("recovery"),
            "invite" => Some("invite"),
            "email_change" => Some("email_change"),
            _ => None,
        }
    }

    fn kinds(self) -> &'static [CodeKind] {
        match self {
            Self::Email => &[CodeKind::Confirmation, CodeKind::Recovery],
            Self::Confirmation | Self::Text => &[CodeKind::Confirmation],
            Self::Recovery => &[CodeKind::Recovery],
            Self::EmailChange => &CodeKind::EMAIL_CHANGE,
            Self::PhoneChange => &[CodeKind::PhoneChange],
            Self::Unknown => &[],
        }
    }
}

/// Sets a random password for an invited user, who has none, as GoTrue does. This clears the codes and the times at
/// which they were sent, and ends the user's sessions.
fn set_password_of_invited(database: &mut Database, id: Uuid, now: SystemTime) {
    let is_invited = |user: &User| user.password.is_none() && user.invited_at.is_some();
    if database.user(id).is_some_and(is_invited) {
        let password = new_password(database.rng()).into();
        database.set_password(id, password, now);
        database.delete_sessions_of(id, None);
    }
}

/// A code or a token hash to be verified.
pub(crate) struct Verification {
    kind: VerificationType,
    proof: Proof,
}

enum Proof {
    Hash(String),
    EmailCode { email: String, code: String },
    PhoneCode { phone: String, code: String },
}

impl Verification {
    pub(crate) fn by_hash(kind: VerificationType, hash: &str) -> Self {
        Self { kind, proof: Proof::Hash(hash.to_owned()) }
    }

    pub(crate) fn by_email(kind: VerificationType, email: &str, code: &str) -> Self {
        Self { kind, proof: Proof::EmailCode { email: email.to_owned(), code: code.to_owned() } }
    }

    pub(crate) fn by_phone(kind: VerificationType, phone: &str, code: &str) -> Self {
        Self { kind, proof: Proof::PhoneCode { phone: phone.to_owned(), code: code.to_owned() } }
    }

    /// Uses the code up, and confirms the address that it was sent to.
    pub(crate) fn accept(
        &self,
        database: &mut Database,
        settings: &Settings,
        now: SystemTime,
    ) -> Result<Accepted, GotrueError> {
        let (id, code) = self.find(database, settings, now)?;
        let accepted = match code {
            CodeKind::EmailChangeCurrent | CodeKind::EmailChangeNew => {
                accept_email_code(database, id, &self.token_hash(), settings, now)?
            }
            CodeKind::PhoneChange => {
                change_phone(database, id, now)?;
                Accepted::User { id, code }
            }
            _ => {
                self.confirm_address(database, id, code, now)?;
                Accepted::User { id, code }
            }
        };
        if matches!(accepted, Accepted::User { .. })
            && let Some(user) = database.user_mut(id)
        {
            user.update_providers();
        }
        Ok(accepted)
    }

    /// Confirms the address of a sign-up or a sign-in, and writes the audit log's entry.
    fn confirm_address(
        &self,
        database: &mut Database,
        id: Uuid,
        code: CodeKind,
        now: SystemTime,
    ) -> Result<(), GotrueError> {
        let is_text = matches!(self.proof, Proof::PhoneCode { .. });
        if code == CodeKind::Confirmation && !is_text {
            set_password_of_invited(database, id, now);
        }
        let user = database.user(id).ok_or_else(GotrueError::unexpected)?;
        database.audit(id, self.event(user, code), now);
        let user = database.user_mut(id).ok_or_else(GotrueError::unexpected)?;
        match code {
            _ if is_text => user.confirm_phone(now),
            CodeKind::Recovery => {
                user.codes.use_up(CodeKind::Recovery);
                if user.email_confirmed_at.is_none() {
                    user.confirm_email(now);
                }
            }
            _ => {
                user.confirm_email(now);
                let email = user.email.clone();
                for identity in &mut user.identities {
                    if identity.email().is_some() && identity.email() == email.as_deref() {
                        identity.data.insert("email_verified".to_owned(), json!(true));
                    }
                }
            }
        }
        Ok(())
    }

    /// What GoTrue's `signupVerify`, `recoverVerify` and `smsVerify` write into the audit log. A change of an address
    /// writes its own entry.
    fn event(&self, user: &User, code: CodeKind) -> AuditEvent {
        let provider = match (&self.proof, code) {
            (Proof::PhoneCode { .. }, _) => "phone",
            (_, CodeKind::Recovery) if user.email_confirmed_at.is_some() => {
                return AuditAction::Login.into();
            }
            _ => "email",
        };
        AuditAction::UserSignedup.with(json!({ "provider": provider }))
    }

    /// The hash of the address and the code, or the hash that the client sent.
    fn token_hash(&self) -> String {
        match &self.proof {
            Proof::Hash(hash) => hash.clone(),
            Proof::EmailCode { email: address, code }
            | Proof::PhoneCode { phone: address, code } => token_hash(address, code),
        }
    }

    /// The user whose address the client names. For a change it is the user who has not changed the address yet.
    fn find_by_address<'d>(&self, database: &'d Database, settings: &Settings) -> Option<&'d User> {
        match (self.kind, &self.proof) {
            (VerificationType::EmailChange, Proof::EmailCode { email, .. }) => {
                let hash = self.token_hash();
                let is_current = |user: &&User| {
                    settings.confirms_both_addresses
                        && user.codes.has_column(CodeKind::EmailChangeCurrent, &hash)
                };
                let is_new = |user: &&User| user.codes.has_column(CodeKind::EmailChangeNew, &hash);
                let current = database.user_by_email(email).filter(is_current);
                current.or_else(|| database.users_changing_email(email).into_iter().find(is_new))
            }
            (VerificationType::PhoneChange, Proof::PhoneCode { phone, .. }) => {
                database.users_changing_phone(phone).first().copied()
            }
            (VerificationType::Text, Proof::PhoneCode { phone, .. }) => {
                database.user_by_phone(phone)
            }
            (
                VerificationType::Email
                | VerificationType::Confirmation
                | VerificationType::Recovery
                | VerificationType::Unknown,
                Proof::EmailCode { email, .. },
            ) => database.user_by_email(email),
            // A code of one kind of address with the type of the other.
            _ => None,
        }
    }

    /// The user, and the code that matches.
    fn find(
        &self,
        database: &Database,
        settings: &Settings,
        now: SystemTime,
    ) -> Result<(Uuid, CodeKind), GotrueError> {
        let kinds = self.kind.kinds();
        let (user, message) = match &self.proof {
            Proof::Hash(_)
                if matches!(
                    self.kind,
                    VerificationType::Unknown
                        | VerificationType::Text
                        | VerificationType::PhoneChange
                ) =>
            {
                let message = "Invalid email verification type";
                return Err(GotrueError::bad_request("validation_failed", message));
            }
            Proof::Hash(hash) => {
                (database.user_by_token_hash(kinds, hash), "Email link is invalid or has expired")
            }
            _ => (self.find_by_address(database, settings), "Token has expired or is invalid"),
        };
        let expired = || GotrueError::forbidden("otp_expired", message);
        let user = user.ok_or_else(expired)?;
        if user.is_banned(now) {
            return Err(GotrueError::forbidden("user_banned", "User is banned"));
        }
        let is_valid = |kind: &&CodeKind| self.is_valid(user, **kind, settings, now);
        let code = kinds.iter().find(is_valid).ok_or_else(expired)?;
        Ok((user.id, *code))
    }

    fn is_valid(&self, user: &User, kind: CodeKind, settings: &Settings, now: SystemTime) -> bool {
        let lifetime = match &self.proof {
            Proof::PhoneCode { .. } => settings.text_code_lifetime,
            Proof::Hash(_) | Proof::EmailCode { .. } => settings.code_lifetime,
        };
        let is_fresh = user.codes.is_fresh(kind, lifetime, now);
        match &self.proof {
            Proof::Hash(hash) => is_fresh && user.codes.has_row(&[kind], hash),
            Proof::EmailCode { email, code } => {
                is_fresh && user.codes.has_column(kind, &token_hash(email, code))
            }
            Proof::PhoneCode { phone, code } => {
                settings.fixed_codes.get(phone).is_some_and(|fixed| fixed == code)
                    || is_fresh && user.codes.has_column(kind, &token_hash(phone, code))
            }
        }
    }
}
