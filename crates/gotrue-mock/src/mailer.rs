//! Sends codes: each is a mail or a text message in the outbox.

use axum::{
    Json,
    http::{HeaderMap, header::REFERER},
};
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use crate::{
    database::Database,
    error::GotrueError,
    mock::Mock,
    one_time_tokens::{CodeKind, PKCE_PREFIX, new_code, token_hash},
    outbox::Mail,
    rate_limit_checks,
    redirect_rules::is_allowed,
    request::query_parameter,
};

/// The address to which the link of a mail leads back.
pub(crate) struct Redirect(String);

impl Redirect {
    /// The first allowed address of the header `redirect_to`, the query's `redirect_to`, and the `Referer`; else the
    /// site.
    pub(crate) fn of(mock: &Mock, query: Option<&str>, headers: &HeaderMap) -> Self {
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let requested = header("redirect_to").filter(|text| !text.is_empty());
        let requested = requested.unwrap_or_else(|| query_parameter(query, "redirect_to"));
        let referer = header(REFERER.as_str());
        let mut addresses = [Some(requested), referer].into_iter().flatten();
        let allowed = addresses.find(|address| is_allowed(address, mock.settings()));
        Self(allowed.unwrap_or_else(|| mock.settings().site_url.clone()))
    }

    /// Leads to `address` if it is allowed, else to the same place as before.
    pub(crate) fn or(self, address: &str, mock: &Mock) -> Self {
        if is_allowed(address, mock.settings()) { Self(address.to_owned()) } else { self }
    }

    /// The site.
    pub(crate) fn to_site(mock: &Mock) -> Self {
        Self(mock.settings().site_url.clone())
    }

    /// The link of a mail. Like GoTrue, it encodes only an address that has a query.
    pub(crate) fn link(&self, mock: &Mock, token_hash: &str, kind: &str) -> String {
        let address = if self.0.contains('?') {
            form_urlencoded::byte_serialize(self.0.as_bytes()).collect()
        } else {
            self.0.clone()
        };
        let url = mock.url();
        format!("{url}/auth/v1/verify?token={token_hash}&type={kind}&redirect_to={address}")
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Sends the mail of a sign-up.
pub(crate) fn send_confirmation(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    redirect: &Redirect,
    is_pkce: bool,
) {
    send(mock, database, user_id, (CodeKind::Confirmation, "signup"), redirect, is_pkce);
}

/// Sends the mail of an invitation.
pub(crate) fn send_invitation(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    redirect: &Redirect,
) {
    send(mock, database, user_id, (CodeKind::Confirmation, "invite"), redirect, false);
    if let Some(user) = database.user_mut(user_id) {
        user.invited_at = Some(mock.now());
    }
}

/// Sends the mail with a link by which a user signs in.
pub(crate) fn send_magic_link(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    redirect: &Redirect,
    is_pkce: bool,
) {
    send(mock, database, user_id, (CodeKind::Recovery, "magiclink"), redirect, is_pkce);
}

/// Sends the mail with a link by which a user sets a new password.
pub(crate) fn send_recovery(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    redirect: &Redirect,
    is_pkce: bool,
) {
    send(mock, database, user_id, (CodeKind::Recovery, "recovery"), redirect, is_pkce);
}

fn send(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    (code_kind, kind): (CodeKind, &'static str),
    redirect: &Redirect,
    is_pkce: bool,
) {
    let (now, code) = (mock.now(), new_code(database.rng()));
    let Some(user) = database.user_mut(user_id) else { return };
    let prefix = if is_pkce { PKCE_PREFIX } else { "" };
    let hash = format!("{prefix}{}", token_hash(user.email(), &code));
    user.codes.issue(code_kind, hash.clone(), now);
    match code_kind {
        CodeKind::Confirmation => user.confirmation_sent_at = Some(now),
        _ => user.recovery_sent_at = Some(now),
    }
    let to = user.email().to_owned();
    let link = redirect.link(mock, &hash, kind);
    let (token_hash, link) = (Some(hash), Some(link));
    database.send(Mail { to, kind, token: code, token_hash, link });
}

/// Sends the mail with the code by which a user confirms a new password. It has no link.
pub(crate) fn send_reauthentication(mock: &Mock, database: &mut Database, user_id: Uuid) {
    let (now, token) = (mock.now(), new_code(database.rng()));
    let Some(user) = database.user_mut(user_id) else { return };
    let to = user.email().to_owned();
    user.codes.issue(CodeKind::Reauthentication, token_hash(&to, &token), now);
    let kind = "reauthentication";
    database.send(Mail { to, kind, token, token_hash: None, link: None });
}

/// Sends the text message with the code of a sign-up or a sign-in. Returns the message's id, which only a fixed code
/// has.
pub(crate) fn send_text(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    phone: &str,
) -> Result<Option<&'static str>, GotrueError> {
    send_text_of_kind(mock, database, user_id, phone, CodeKind::Confirmation)
}

/// Counts a text message. Fails with GoTrue's error if the user may have none yet, or if none can be sent to this
/// number.
pub(crate) fn count_text_of_kind(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    phone: &str,
    code_kind: CodeKind,
) -> Result<(), GotrueError> {
    let sent_at = database.user(user_id).and_then(|user| match code_kind {
        CodeKind::Confirmation => user.confirmation_sent_at,
        other => user.codes.sent_at(other),
    });
    rate_limit_checks::check_text_interval(mock, sent_at)?;
    if mock.settings().fixed_codes.contains_key(phone) {
        return Ok(());
    }
    rate_limit_checks::count_text(mock, database)?;
    if mock.settings().sends_texts {
        return Ok(());
    }
    Err(GotrueError::unexpected_failure("Unable to get SMS provider"))
}

/// Sends the text message with a code of this kind. Returns the message's id, which only a fixed code has.
pub(crate) fn send_text_of_kind(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    phone: &str,
    code_kind: CodeKind,
) -> Result<Option<&'static str>, GotrueError> {
    count_text_of_kind(mock, database, user_id, phone, code_kind)?;
    Ok(send_counted_text(mock, database, user_id, phone, code_kind))
}

/// Sends the text message that [`count_text_of_kind`] has counted. Returns its id, which only a fixed code has.
pub(crate) fn send_counted_text(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    phone: &str,
    code_kind: CodeKind,
) -> Option<&'static str> {
    let now = mock.now();
    let fixed = mock.settings().fixed_codes.get(phone).cloned();
    let message_id = fixed.is_some().then_some("test-otp");
    let is_sent = fixed.is_none();
    let code = fixed.unwrap_or_else(|| new_code(database.rng()));
    if let Some(user) = database.user_mut(user_id) {
        user.codes.issue(code_kind, token_hash(phone, &code), now);
        if code_kind == CodeKind::Confirmation {
            user.confirmation_sent_at = Some(now);
        }
    }
    if is_sent {
        let to = phone.to_owned();
        database.send(Mail { to, kind: "sms", token: code, token_hash: None, link: None });
    }
    message_id
}

/// The response after a text message: its id, if it has one.
pub(crate) fn text_response(message_id: Option<&'static str>) -> Json<Value> {
    Json(message_id.map_or_else(|| json!({}), |id| json!({ "message_id": id })))
}
