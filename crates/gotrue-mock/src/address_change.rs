//! A user's new e-mail address or phone number: the codes that confirm it, and the change itself.

use std::time::SystemTime;

use uuid::Uuid;

use crate::{
    accepted::Accepted,
    audit_log::AuditAction,
    database::{AddressClaims, Database},
    error::GotrueError,
    mailer::Redirect,
    mock::Mock,
    one_time_tokens::{CodeKind, PKCE_PREFIX, new_code, token_hash},
    outbox::Mail,
    settings::Settings,
};

/// Sends a code to the new e-mail address and, if both addresses must confirm the change, another to the current one.
pub(crate) fn send_email_codes(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    new_email: &str,
    redirect: &Redirect,
    is_pkce: bool,
) {
    let now = mock.now();
    let codes = [new_code(database.rng()), new_code(database.rng())];
    let Some(user) = database.user_mut(user_id) else { return };
    user.email_change = Some(new_email.to_owned());
    user.has_confirmed_one_address = false;
    let mut recipients = vec![(CodeKind::EmailChangeNew, new_email.to_owned())];
    if mock.settings().confirms_both_addresses && !user.email().is_empty() {
        recipients.push((CodeKind::EmailChangeCurrent, user.email().to_owned()));
    }
    let prefix = if is_pkce { PKCE_PREFIX } else { "" };
    let mut mails = Vec::new();
    for ((code_kind, to), token) in recipients.into_iter().zip(codes) {
        let hash = format!("{prefix}{}", token_hash(&to, &token));
        user.codes.issue(code_kind, hash.clone(), now);
        let kind = "email_change";
        let link = Some(redirect.link(mock, &hash, kind));
        mails.push(Mail { to, kind, token, token_hash: Some(hash), link });
    }
    for mail in mails {
        database.send(mail);
    }
}

/// A code for a new e-mail address was right. If both addresses must confirm the change, the first code only counts,
/// and the second one changes the address.
pub(crate) fn accept_email_code(
    database: &mut Database,
    user_id: Uuid,
    token_hash: &str,
    settings: &Settings,
    now: SystemTime,
) -> Result<Accepted, GotrueError> {
    let Some(user) = database.user_mut(user_id) else { return Err(GotrueError::unexpected()) };
    let needs_both =
        !settings.confirms_emails && settings.confirms_both_addresses && !user.email().is_empty();
    if needs_both && !user.has_confirmed_one_address {
        user.has_confirmed_one_address = true;
        user.codes.clear_first(&CodeKind::EMAIL_CHANGE, token_hash);
        return Ok(Accepted::FirstOfTwo);
    }
    change_email(database, user_id, now)?;
    Ok(Accepted::User { id: user_id, code: CodeKind::EmailChangeNew })
}

/// Gives the user the new e-mail address, which counts as confirmed. An anonymous user becomes permanent.
///
/// # Errors
/// Another user has taken the address since the codes were sent.
pub(crate) fn change_email(
    database: &mut Database,
    user_id: Uuid,
    now: SystemTime,
) -> Result<(), GotrueError> {
    let new_email = database.user(user_id).and_then(|user| user.email_change.clone());
    let new_email = new_email.ok_or_else(GotrueError::unexpected)?;
    if database.user_by_email(&new_email).is_some_and(|other| other.id != user_id) {
        return Err(GotrueError::unexpected_failure("Error confirm email"));
    }
    database.audit(user_id, AuditAction::UserModified, now);
    confirm_address(database, user_id, ("email", &new_email), now);
    if let Some(user) = database.user_mut(user_id) {
        (user.email_change, user.has_confirmed_one_address) = (None, false);
        for kind in CodeKind::EMAIL_CHANGE {
            user.codes.use_up(kind);
        }
        if user.email_confirmed_at.is_none() {
            user.confirm_email(now);
        }
    }
    database.set_email(user_id, new_email);
    Ok(())
}

/// Gives the user the new phone number, which counts as confirmed. An anonymous user becomes permanent.
///
/// # Errors
/// Another user has taken the number since the code was sent.
pub(crate) fn change_phone(
    database: &mut Database,
    user_id: Uuid,
    now: SystemTime,
) -> Result<(), GotrueError> {
    let new_phone = database.user(user_id).and_then(|user| user.phone_change.clone());
    let new_phone = new_phone.ok_or_else(GotrueError::unexpected)?;
    if database.user_by_phone(&new_phone).is_some_and(|other| other.id != user_id) {
        return Err(GotrueError::unexpected_failure("Error confirming user"));
    }
    database.audit(user_id, AuditAction::UserModified, now);
    confirm_address(database, user_id, ("phone", &new_phone), now);
    if let Some(user) = database.user_mut(user_id) {
        (user.phone_change, user.phone_confirmed_at) = (None, Some(now));
        user.codes.use_up(CodeKind::PhoneChange);
    }
    database.set_phone(user_id, new_phone);
    Ok(())
}

/// Writes a confirmed address into the user's identity at `email` or `phone`. An anonymous user becomes permanent.
fn confirm_address(
    database: &mut Database,
    user_id: Uuid,
    (provider, address): (&'static str, &str),
    now: SystemTime,
) {
    let claims = AddressClaims { provider, address, is_verified: true };
    database.write_address_identity(user_id, claims, now);
    if let Some(user) = database.user_mut(user_id) {
        user.is_anonymous = false;
        user.updated_at = now;
    }
}
