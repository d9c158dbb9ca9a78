//! Which user a sign-in at an identity provider belongs to: GoTrue's `DetermineAccountLinking` and the functions around
//! it.

mod invitation;

pub(crate) use invitation::accept_invitation;

use std::time::SystemTime;

use serde_json::json;
use uuid::Uuid;

use crate::{
    audit_log::AuditAction,
    client_addr::ClientAddr,
    database::Database,
    error::GotrueError,
    identity::Identity,
    mailer::{self, Redirect},
    mock::Mock,
    person::ExternalIdentity,
    rate_limit_checks,
    user::User,
};

/// The user of an identity that signs in.
pub(crate) struct SignedIn {
    pub(crate) user_id: Uuid,
    /// The user's identities before the sign-in; `None` if the sign-in has created the user.
    pub(crate) identities_before: Option<Vec<Identity>>,
}

/// What [`sign_in`] and [`link`] need of the request, beside the identity.
pub(crate) struct RequestOrigin<'r> {
    /// Where the link of a mail leads to.
    pub(crate) redirect: &'r Redirect,
    pub(crate) client: &'r ClientAddr,
}

enum Decision {
    /// The identity is known.
    Exists(Uuid),
    /// A user with the same address gets the identity.
    Link(Uuid),
    /// A new user, with the address unless an unverified one belongs to another user.
    Create(Option<String>),
}

/// Finds or creates the user of an identity. The caller runs this in a transaction. The user gets a mail if the
/// provider has not verified the address.
pub(crate) fn sign_in(
    mock: &Mock,
    database: &mut Database,
    external: &ExternalIdentity,
    origin: &RequestOrigin<'_>,
) -> Result<SignedIn, GotrueError> {
    let decision = decide(mock, database, external)?;
    let now = mock.now();
    let known = match decision {
        Decision::Exists(id) | Decision::Link(id) => database.user(id),
        Decision::Create(_) => None,
    };
    // GoTrue notices the ban later, and undoes what it has done until then.
    if known.is_some_and(|user| user.is_banned(now)) {
        return Err(GotrueError::forbidden("user_banned", "User is banned"));
    }
    let identities_before = known.map(|user| user.identities.clone());
    let (user_id, email) = match decision {
        Decision::Exists(id) => {
            update_identity(database, id, external, now);
            (id, database.user(id).and_then(|user| user.email.clone()))
        }
        Decision::Link(id) => {
            if let Some(user) = database.user_mut(id) {
                user.user_metadata.extend(external.data.clone());
            }
            add_identity(database, id, external, origin.client, now);
            if let Some(user) = database.user_mut(id) {
                user.update_providers();
            }
            (id, external.email.clone())
        }
        Decision::Create(email) => {
            mock.settings().check_sign_ups_allowed()?;
            (create(database, external, email.clone(), now), email)
        }
    };
    // Like GoTrue's `IsConfirmed`: the phone number does not count.
    if database.user(user_id).is_none_or(|user| user.email_confirmed_at.is_none()) {
        confirm(mock, database, user_id, external, email.as_deref(), origin.redirect)?;
    } else {
        let login = AuditAction::Login.with(json!({ "provider": external.provider }));
        database.audit(user_id, login, now);
    }
    Ok(SignedIn { user_id, identities_before })
}

fn decide(
    mock: &Mock,
    database: &Database,
    external: &ExternalIdentity,
) -> Result<Decision, GotrueError> {
    if let Some(id) = database.user_id_by_identity(&external.provider, &external.subject) {
        return Ok(Decision::Exists(id));
    }
    let email = external.email.as_deref().unwrap_or_default();
    let user = database.user_by_email(email).map(|user| user.id);
    if email.is_empty() || !(external.email_verified || mock.settings().confirms_emails) {
        let is_free = database.duplicated_email(email, None).is_none();
        return Ok(Decision::Create(external.email.clone().filter(|_| is_free)));
    }
    match (&*database.user_ids_by_identity_email(email), user) {
        (&[id], _) | (&[], Some(id)) => Ok(Decision::Link(id)),
        ([], None) => Ok(Decision::Create(external.email.clone())),
        _ => {
            let message = "Multiple accounts with the same email address in the same linking domain detected: default";
            Err(GotrueError::unexpected_failure(message))
        }
    }
}

/// Adds an identity to a user who exists, and writes this into the audit log.
fn add_identity(
    database: &mut Database,
    user_id: Uuid,
    external: &ExternalIdentity,
    client: &ClientAddr,
    now: SystemTime,
) {
    let identity = database.external_identity(external, now);
    let event = AuditAction::IdentityLinked.with(identity.traits());
    if let Some(user) = database.user_mut(user_id) {
        user.identities.push(identity);
    }
    database.audit(user_id, event.with_client(client), now);
}

/// Replaces the data of a known identity by what the provider says now.
fn update_identity(
    database: &mut Database,
    id: Uuid,
    external: &ExternalIdentity,
    now: SystemTime,
) {
    let Some(user) = database.user_mut(id) else { return };
    user.user_metadata.extend(external.data.clone());
    let is_same = |identity: &&mut Identity| {
        identity.provider == external.provider && identity.provider_id == external.subject
    };
    if let Some(identity) = user.identities.iter_mut().find(is_same) {
        identity.data.clone_from(&external.data);
        // GoTrue names the column `last_sign_in_at` in this update, but does not set it.
        identity.updated_at = now;
    }
    user.update_providers();
}

fn create(
    database: &mut Database,
    external: &ExternalIdentity,
    email: Option<String>,
    now: SystemTime,
) -> Uuid {
    let id = database.new_uuid();
    let mut user = User::new(id, now);
    user.email = email;
    user.user_metadata.clone_from(&external.data);
    user.identities = vec![database.external_identity(external, now)];
    user.update_providers();
    database.insert_user(user);
    id
}

/// Confirms the address of an unconfirmed user, or sends a mail.
fn confirm(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    external: &ExternalIdentity,
    email: Option<&str>,
    redirect: &Redirect,
) -> Result<(), GotrueError> {
    keep_only(database, user_id, external);
    if external.email_verified || mock.settings().confirms_emails {
        let event = AuditAction::UserSignedup.with(json!({ "provider": external.provider }));
        database.audit(user_id, event, mock.now());
        if let Some(user) = database.user_mut(user_id) {
            user.confirm_email(mock.now());
        }
        return Ok(());
    }
    let provider = &external.provider;
    let hint = if email.is_some() {
        send_confirmation(mock, database, user_id, redirect)?;
        format!("A confirmation email has been sent to your {provider} email")
    } else {
        format!("Verify the email with {provider} in order to sign in")
    };
    let message = format!("Unverified email with {provider}. {hint}");
    let error = GotrueError::unprocessable("provider_email_needs_verification", message);
    Err(error.with_commit())
}

/// Sends the mail, unless a rate limit refuses it.
fn send_confirmation(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    redirect: &Redirect,
) -> Result<(), GotrueError> {
    let sent_at = database.user(user_id).and_then(|user| user.confirmation_sent_at);
    rate_limit_checks::count_mail(mock, database, sent_at)?;
    mailer::send_confirmation(mock, database, user_id, redirect, false);
    Ok(())
}

/// Removes an unconfirmed user's password and all identities except this one.
fn keep_only(database: &mut Database, user_id: Uuid, external: &ExternalIdentity) {
    let user = database.user_mut(user_id);
    if let Some(identity) = user.and_then(|user| user.identity(&external.provider).cloned()) {
        database.replace_unconfirmed_identities(user_id, identity);
    }
}

/// Adds an identity to the user who began the linking at `GET /user/identities/authorize`. The caller runs this in a
/// transaction.
pub(crate) fn link(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    external: &ExternalIdentity,
    origin: &RequestOrigin<'_>,
) -> Result<SignedIn, GotrueError> {
    let known = database.user_id_by_identity(&external.provider, &external.subject);
    if let Some(known) = known {
        let of = if known == user_id { "" } else { " to another user" };
        let message = format!("Identity is already linked{of}");
        return Err(GotrueError::unprocessable("identity_already_exists", message));
    }
    let Some(user) = database.user(user_id) else {
        let message = "Linking target user not found";
        return Err(GotrueError::unprocessable("user_not_found", message));
    };
    let (has_email, identities_before) = (user.email.is_some(), user.identities.clone());
    add_identity(database, user_id, external, origin.client, mock.now());
    if !has_email {
        take_email(mock, database, user_id, external, origin.redirect)?;
    }
    if let Some(user) = database.user_mut(user_id) {
        user.update_providers();
    }
    Ok(SignedIn { user_id, identities_before: Some(identities_before) })
}

/// Gives a user without an e-mail address that of the identities, and confirms it. If the provider has not verified it,
/// sends a mail and fails.
fn take_email(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    external: &ExternalIdentity,
    redirect: &Redirect,
) -> Result<(), GotrueError> {
    if !database.update_email_from_identities(user_id, mock.settings().confirms_emails) {
        let message = "A user with this email address has already been registered";
        return Err(GotrueError::bad_request("email_exists", message));
    }
    if !external.email_verified {
        send_confirmation(mock, database, user_id, redirect)?;
        let provider = &external.provider;
        let message = format!(
            "Unverified email with {provider}. A confirmation email has been sent to your {provider} email"
        );
        let error = GotrueError::unprocessable("email_not_confirmed", message);
        return Err(error.with_commit());
    }
    if let Some(user) = database.user_mut(user_id) {
        user.confirm_email(mock.now());
        user.is_anonymous = false;
    }
    Ok(())
}
