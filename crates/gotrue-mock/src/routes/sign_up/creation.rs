//! Creates the user of a sign-up, and confirms the address or sends a code to it.

use std::time::SystemTime;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    audit_log::{AuditAction, AuditEvent},
    database::{Database, add_identity},
    error::GotrueError,
    flow_state::Challenge,
    mailer::{self, Redirect},
    mock::Mock,
    rate_limit_checks,
    user::User,
};

/// A sign-up whose form is valid.
pub(crate) struct SignUp {
    pub(crate) address: Address,
    pub(crate) password: String,
    /// The channel of a text message.
    pub(crate) channel: String,
    pub(crate) data: Map<String, Value>,
    pub(crate) challenge: Challenge,
}

/// How a user can be reached.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// In lower case.
    Email(String),
    /// Digits only.
    Phone(String),
}

/// What a sign-up did.
pub(crate) enum SignedUp {
    /// The user was confirmed at once.
    Confirmed(Uuid),
    /// A mail or a text message was sent.
    ToConfirm(Uuid),
    /// The address belongs to this user, who has confirmed it.
    Exists(Uuid),
}

/// Creates the user, or finds the unconfirmed one of the same address, and confirms the address or sends a code. An
/// error changes no row, because GoTrue does this in one transaction (recorded: `signup-method-unknown`).
pub(crate) fn create(
    mock: &Mock,
    database: &mut Database,
    sign_up: &SignUp,
    redirect: &Redirect,
) -> Result<SignedUp, GotrueError> {
    database.transaction(|database| create_rows(mock, database, sign_up, redirect))
}

fn create_rows(
    mock: &Mock,
    database: &mut Database,
    sign_up: &SignUp,
    redirect: &Redirect,
) -> Result<SignedUp, GotrueError> {
    let now = mock.now();
    let id = match sign_up.address.find(database) {
        Some(user) if sign_up.address.is_confirmed(user) => {
            let id = user.id;
            database.audit(id, sign_up.event(AuditAction::UserRepeatedSignup), now);
            return Ok(SignedUp::Exists(id));
        }
        // The password and the metadata are not taken: the address may belong to another person.
        Some(user) => user.id,
        None => insert_new(database, sign_up, now),
    };
    ensure_identity(database, id, sign_up.address.provider(), &sign_up.data, now);
    let settings = mock.settings();
    let is_confirmed_at_once = match sign_up.address {
        Address::Email(_) => settings.confirms_emails,
        Address::Phone(_) => settings.confirms_phones,
    };
    if is_confirmed_at_once {
        database.audit(id, sign_up.event(AuditAction::UserSignedup), now);
        if let Some(user) = database.user_mut(id) {
            sign_up.address.confirm(user, now);
        }
        return Ok(SignedUp::Confirmed(id));
    }
    database.audit(id, sign_up.event(AuditAction::UserConfirmationRequested), now);
    send_code(mock, database, id, sign_up, redirect)?;
    Ok(SignedUp::ToConfirm(id))
}

/// Sends the mail or the text message of a sign-up, unless a rate limit refuses it.
fn send_code(
    mock: &Mock,
    database: &mut Database,
    id: Uuid,
    sign_up: &SignUp,
    redirect: &Redirect,
) -> Result<(), GotrueError> {
    match &sign_up.address {
        Address::Email(_) => {
            let challenge = &sign_up.challenge;
            let flow = database.begin_pkce(id, "email/signup", challenge, mock.now())?;
            if let Some(flow) = flow {
                sign_up.address.provider().clone_into(&mut flow.provider_type);
            }
            let sent_at = database.user(id).and_then(|user| user.confirmation_sent_at);
            rate_limit_checks::count_mail(mock, database, sent_at)?;
            mailer::send_confirmation(mock, database, id, redirect, challenge.is_given());
        }
        Address::Phone(phone) => {
            mailer::send_text(mock, database, id, phone)?;
        }
    }
    Ok(())
}

impl SignUp {
    fn event(&self, action: AuditAction) -> AuditEvent {
        let provider = self.address.provider();
        action.with(match (action, &self.address) {
            (AuditAction::UserSignedup, Address::Phone(_)) => {
                json!({ "provider": provider, "channel": self.channel })
            }
            _ => json!({ "provider": provider }),
        })
    }
}

impl Address {
    fn find<'a>(&self, database: &'a Database) -> Option<&'a User> {
        match self {
            Self::Email(email) => database.duplicated_email(email, None),
            Self::Phone(phone) => database.user_by_phone(phone),
        }
    }

    fn is_confirmed(&self, user: &User) -> bool {
        match self {
            Self::Email(_) => user.email_confirmed_at.is_some(),
            Self::Phone(_) => user.phone_confirmed_at.is_some(),
        }
    }

    fn confirm(&self, user: &mut User, now: SystemTime) {
        match self {
            Self::Email(_) => user.confirm_email(now),
            Self::Phone(_) => user.confirm_phone(now),
        }
    }

    pub(super) fn provider(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Phone(_) => "phone",
        }
    }
}

fn insert_new(database: &mut Database, sign_up: &SignUp, now: SystemTime) -> Uuid {
    let mut user = User::new(database.new_uuid(), now);
    match &sign_up.address {
        Address::Email(email) => user.email = Some(email.clone()),
        Address::Phone(phone) => user.phone = Some(phone.clone()),
    }
    user.password = Some(sign_up.password.clone().into());
    let id = user.id;
    database.insert_user(user);
    id
}

fn ensure_identity(
    database: &mut Database,
    id: Uuid,
    provider: &str,
    data: &Map<String, Value>,
    now: SystemTime,
) {
    let identity = database.new_identity(id, provider, now);
    if let Some(user) = database.user_mut(id)
        && user.identity(provider).is_none()
    {
        user.user_metadata.clone_from(data);
        add_identity(user, identity);
    }
}
