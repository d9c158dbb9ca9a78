//! `POST /admin/generate_link`: the link of a mail that the administrator sends instead of GoTrue.
//!
//! `hashed_token` is the hash of the current address. That of `email_change_new` is therefore of no use: the link has
//! another one, of the new address (recorded: `link-email-change-first`).

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    audit_log::{AuditAction, AuditActor},
    authentication::require_administrator,
    credentials::{check_password, new_password, parse_email},
    database::Database,
    error::GotrueError,
    mailer::Redirect,
    metadata::merge,
    mock::Mock,
    one_time_tokens::{CodeKind, new_code, token_hash},
    request::parse_json_object,
    routes::invite::{audit_invitation, insert_unconfirmed, unconfirmed_user},
    user::UserView,
    user_creation::email_exists,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    email: String,
    new_email: String,
    password: String,
    data: Option<Map<String, Value>>,
    redirect_to: String,
    /// GoTrue's generated password has characters of each usual set, so that the rules for passwords do not refuse it.
    #[serde(skip)]
    has_generated_password: bool,
}

pub(crate) async fn generate(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let administrator = require_administrator(&mock, &headers)?;
    let mut body: Body = parse_json_object(&body, "GenerateLinkParams")?;
    body.email = parse_email(&body.email)?;
    let redirect = Redirect::of(&mock, query.as_deref(), &headers).or(&body.redirect_to, &mock);
    let mut database = mock.database();
    if database.user_by_email(&body.email).is_none() {
        body.prepare_for_unknown(&mut database)?;
    }
    let code = new_code(database.rng());
    let hash = token_hash(&body.email, &code);
    let link_hash = match &*body.kind {
        "email_change_new" => token_hash(&body.new_email.to_lowercase(), &code),
        _ => hash.clone(),
    };
    let id = match &*body.kind {
        "magiclink" | "recovery" => body.recover(&mock, &mut database, &hash)?,
        "invite" => body.invite(&mock, &mut database, &hash, &administrator)?,
        "signup" => body.sign_up(&mock, &mut database, &hash)?,
        "email_change_current" | "email_change_new" => {
            body.change_email(&mock, &mut database, &link_hash)?
        }
        kind => {
            let message = format!("Invalid email action link type requested: {kind}");
            return Err(GotrueError::bad_request("validation_failed", message));
        }
    };
    let user = database.user(id).ok_or_else(GotrueError::unexpected)?;
    let mut response = user.to_json(UserView::Stored);
    let members = [
        ("action_link", json!(redirect.link(&mock, &link_hash, body.link_type()))),
        ("email_otp", json!(code)),
        ("hashed_token", json!(hash)),
        ("verification_type", json!(body.kind)),
        ("redirect_to", json!(redirect.as_str())),
    ];
    if let Some(response) = response.as_object_mut() {
        response.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(Json(response))
}

impl Body {
    /// A magic link for a new address becomes a sign-up with a random password (recorded: `link-magiclink-new`).
    fn prepare_for_unknown(&mut self, database: &mut Database) -> Result<(), GotrueError> {
        match &*self.kind {
            "magiclink" => {
                "signup".clone_into(&mut self.kind);
                self.password = new_password(database.rng());
                self.has_generated_password = true;
            }
            "recovery" | "email_change_current" | "email_change_new" => {
                let message = "User with this email not found";
                return Err(GotrueError::not_found("user_not_found", message));
            }
            _ => {}
        }
        Ok(())
    }

    fn recover(
        &self,
        mock: &Mock,
        database: &mut Database,
        hash: &str,
    ) -> Result<Uuid, GotrueError> {
        let user = database.user_by_email(&self.email).ok_or_else(GotrueError::unexpected)?;
        let id = user.id;
        database.audit(id, AuditAction::UserRecoveryRequested, mock.now());
        if let Some(user) = database.user_mut(id) {
            user.codes.issue(CodeKind::Recovery, hash.to_owned(), mock.now());
            user.recovery_sent_at = Some(mock.now());
        }
        Ok(id)
    }

    fn invite(
        &self,
        mock: &Mock,
        database: &mut Database,
        hash: &str,
        administrator: &AuditActor,
    ) -> Result<Uuid, GotrueError> {
        let id = match unconfirmed_user(database, &self.email)? {
            Some(id) => id,
            None => insert_unconfirmed(mock, database, &self.email, self.data()),
        };
        audit_invitation(mock, database, administrator, (id, &self.email));
        issue_confirmation(mock, database, id, hash);
        if let Some(user) = database.user_mut(id) {
            user.invited_at = Some(mock.now());
        }
        Ok(id)
    }

    /// A new user needs a password; of a known one the metadata change and the password stays.
    fn sign_up(
        &self,
        mock: &Mock,
        database: &mut Database,
        hash: &str,
    ) -> Result<Uuid, GotrueError> {
        let id = if let Some(id) = unconfirmed_user(database, &self.email)? {
            if let Some(user) = database.user_mut(id) {
                merge(&mut user.user_metadata, self.data());
            }
            id
        } else {
            if self.password.is_empty() {
                let message = "Signup requires a valid password";
                return Err(GotrueError::bad_request("validation_failed", message));
            }
            if !self.has_generated_password {
                check_password(&self.password, mock.settings())?;
            }
            let id = insert_unconfirmed(mock, database, &self.email, self.data());
            if let Some(user) = database.user_mut(id) {
                user.password = Some(self.password.clone().into());
            }
            id
        };
        issue_confirmation(mock, database, id, hash);
        Ok(id)
    }

    /// Begins a change of the address, or begins it again: each link is the first of the two that confirm it (recorded:
    /// `link-email-change-late`).
    fn change_email(
        &self,
        mock: &Mock,
        database: &mut Database,
        hash: &str,
    ) -> Result<Uuid, GotrueError> {
        let is_current = self.kind == "email_change_current";
        if is_current && !mock.settings().confirms_both_addresses {
            let message = "Enable secure email change to generate link for current email";
            return Err(GotrueError::bad_request("validation_failed", message));
        }
        let new_email = parse_email(&self.new_email)?;
        let id = database.user_by_email(&self.email).map(|user| user.id);
        if database.duplicated_email(&new_email, id).is_some() {
            return Err(email_exists());
        }
        let user = id.and_then(|id| database.user_mut(id)).ok_or_else(GotrueError::unexpected)?;
        let kind = if is_current { CodeKind::EmailChangeCurrent } else { CodeKind::EmailChangeNew };
        user.codes.issue(kind, hash.to_owned(), mock.now());
        user.email_change = Some(new_email);
        user.has_confirmed_one_address = false;
        Ok(user.id)
    }

    /// The member `type` of the link's query.
    fn link_type(&self) -> &str {
        match &*self.kind {
            "email_change_current" | "email_change_new" => "email_change",
            kind => kind,
        }
    }

    fn data(&self) -> Map<String, Value> {
        self.data.clone().unwrap_or_default()
    }
}

fn issue_confirmation(mock: &Mock, database: &mut Database, id: Uuid, hash: &str) {
    if let Some(user) = database.user_mut(id) {
        user.codes.issue(CodeKind::Confirmation, hash.to_owned(), mock.now());
        user.confirmation_sent_at = Some(mock.now());
    }
}
