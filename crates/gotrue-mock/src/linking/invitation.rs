//! An invited person signs in at an identity provider: GoTrue's `processInvite`.

use serde_json::json;
use uuid::Uuid;

use crate::{
    audit_log::AuditAction, database::Database, error::GotrueError, mock::Mock,
    person::ExternalIdentity,
};

/// Accepts an invitation by a sign-in at an identity provider. Returns the invited user.
pub(crate) fn accept_invitation(
    mock: &Mock,
    database: &mut Database,
    invite_token: &str,
    external: &ExternalIdentity,
) -> Result<Uuid, GotrueError> {
    let invited = database.user_id_by_confirmation(invite_token);
    let id =
        invited.ok_or_else(|| GotrueError::not_found("invite_not_found", "Invite not found"))?;
    let is_same = database.user(id).is_some_and(|user| user.email == external.email);
    if !is_same {
        let message = "Invited email does not match emails from external provider";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    let identity = database.external_identity(external, mock.now());
    let event = AuditAction::InviteAccepted.with(json!({ "provider": external.provider }));
    database.audit(id, event, mock.now());
    database.replace_unconfirmed_identities(id, identity);
    if let Some(user) = database.user_mut(id) {
        user.confirm_email(mock.now());
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{
        mailer::{self, Redirect},
        options::Options,
        person::Person,
        settings::Settings,
    };

    #[test]
    fn an_invitation_gives_its_user_the_identity_alone() {
        let settings = Settings { confirms_emails: false, ..Settings::default() };
        let options = Options { settings, ..Options::default() };
        let mock = Mock::new(options, ([127, 0, 0, 1], 9999).into(), || UNIX_EPOCH).unwrap();
        let id = mock.create_user("ann@example.com", "password");
        let mut database = mock.database();
        let redirect = Redirect::to_site(&mock);
        database.user_mut(id).unwrap().email_confirmed_at = None;
        mailer::send_confirmation(&mock, &mut database, id, &redirect, false);
        let token = database.outbox.first().unwrap().token_hash.clone().unwrap();
        let external = |email: &str| Person::from_email(email).into_identity("google", "issuer");
        let other = external("bob@example.com");
        accept_invitation(&mock, &mut database, &token, &other).unwrap_err();
        let own = external("ann@example.com");
        assert_eq!(accept_invitation(&mock, &mut database, &token, &own).unwrap(), id);
        let user = database.user(id).unwrap();
        let providers: Vec<_> = user.identities.iter().map(|known| &*known.provider).collect();
        assert_eq!(providers, ["google"]);
        assert!(user.password.is_none() && user.email_confirmed_at.is_some());
        accept_invitation(&mock, &mut database, &token, &own).unwrap_err();
    }
}
