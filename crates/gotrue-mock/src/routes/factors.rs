//! `/factors`: a user enrols, challenges and deletes second factors.

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::{
    access_token::unix_seconds,
    audit_log::AuditAction,
    authentication::Caller,
    client_addr::ClientAddr,
    credentials::{check_channel, parse_phone},
    database::Database,
    error::GotrueError,
    factor::{Factor, FactorKind},
    mock::Mock,
    one_time_tokens::new_code,
    outbox::Mail,
    path::PathIds,
    rate_limit_checks,
    rate_limits::LimitedRequest,
    request::parse_json_object,
    session::Aal,
    totp,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Enrolment {
    factor_type: String,
    friendly_name: String,
    issuer: String,
    phone: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChallengeRequest {
    channel: String,
}

pub(crate) async fn enrol(
    State(mock): State<Mock>,
    client: ClientAddr,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let mut database = mock.database();
    let caller = authenticate(&mock, &database, &headers)?;
    let session = caller.session_id.and_then(|id| database.session(id));
    let aal = session.map(|session| session.aal).ok_or_else(|| {
        let message = "A valid session and a registered user are required to enroll a factor";
        GotrueError::unexpected_failure(message)
    })?;
    let given: Enrolment = parse_json_object(&body, "EnrollFactorParams")?;
    let disabled = |kind: &str, code| {
        Err(GotrueError::unprocessable(code, format!("MFA enroll is disabled for {kind}")))
    };
    let is_enabled = |kind: &str| mock.settings().factor_types.iter().any(|known| known == kind);
    let enrolled = match &*given.factor_type {
        "phone" if !is_enabled("phone") => disabled("Phone", "mfa_phone_enroll_not_enabled"),
        "totp" if !is_enabled("totp") => disabled("TOTP", "mfa_totp_enroll_not_enabled"),
        "webauthn" => disabled("WebAuthn", "mfa_webauthn_enroll_not_enabled"),
        "phone" => enrol_phone(&mock, &mut database, caller.user_id, aal, &given),
        "totp" => enrol_totp(&mock, &mut database, caller.user_id, aal, &given),
        _ => invalid("factor_type needs to be totp, phone, or webauthn"),
    }?;
    // Only the entry of a phone names the type.
    let traits = match &*given.factor_type {
        "phone" => json!({ "factor_id": enrolled.get("id"), "factor_type": "phone" }),
        _ => json!({ "factor_id": enrolled.get("id") }),
    };
    let event = AuditAction::FactorInProgress.with(traits).with_client(&client);
    database.audit(caller.user_id, event, mock.now());
    Ok(enrolled)
}

fn enrol_totp(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    aal: Aal,
    given: &Enrolment,
) -> Result<Json<Value>, GotrueError> {
    let issuer = match &*given.issuer {
        "" => site_host(&mock.settings().site_url)
            .ok_or_else(|| GotrueError::unexpected_failure("site url is improperly formatted"))?,
        issuer => issuer.to_owned(),
    };
    let secret = totp::new_secret(database.rng());
    let kind = FactorKind::Totp { secret: secret.clone() };
    // GoTrue makes the checks of every factor first.
    if let Some(user) = database.user_mut(user_id).filter(|user| user.email.is_none()) {
        user.check_new_factor(&given.friendly_name, aal, mock.now())?;
        return Err(GotrueError::unexpected_failure("Error generating QR Code"));
    }
    let id = add_factor(mock, database, user_id, aal, (&given.friendly_name, kind))?;
    let account = database.user(user_id).map_or("", |user| user.email());
    let uri = totp::uri(&issuer, account, &secret);
    Ok(Json(json!({
        "id": id,
        "type": "totp",
        "friendly_name": given.friendly_name,
        "totp": {"qr_code": totp::svg(&uri), "secret": secret, "uri": uri},
    })))
}

/// The host and the port of the site, as the name of the issuer.
fn site_host(site_url: &str) -> Option<String> {
    let url = Url::parse(site_url).ok()?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn enrol_phone(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    aal: Aal,
    given: &Enrolment,
) -> Result<Json<Value>, GotrueError> {
    if given.phone.is_empty() {
        return invalid("Phone number required to enroll Phone factor");
    }
    let kind = FactorKind::Phone { phone: parse_phone(&given.phone)? };
    if let Some(user) = database.user_mut(user_id) {
        if user.factors.iter().any(|factor| factor.kind == kind && factor.is_verified) {
            let message = "A verified phone factor already exists, unenroll the existing factor \
                           to continue";
            return Err(GotrueError::unprocessable("mfa_verified_factor_exists", message));
        }
        user.factors.retain(|factor| factor.kind != kind);
    }
    let id = add_factor(mock, database, user_id, aal, (&given.friendly_name, kind))?;
    let (name, phone) = (&given.friendly_name, &given.phone);
    Ok(Json(json!({ "id": id, "type": "phone", "friendly_name": name, "phone": phone })))
}

/// Stores a new factor, which is not verified yet. Returns its id.
fn add_factor(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    aal: Aal,
    (friendly_name, kind): (&str, FactorKind),
) -> Result<Uuid, GotrueError> {
    let (id, now) = (database.new_uuid(), mock.now());
    let user = database.user_mut(user_id).ok_or_else(GotrueError::unexpected)?;
    user.check_new_factor(friendly_name, aal, now)?;
    user.factors.push(Factor::new(id, friendly_name, kind, now));
    Ok(id)
}

pub(crate) async fn challenge(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    client: ClientAddr,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let mut database = mock.database();
    let caller = authenticate(&mock, &database, &headers)?;
    let factor = find_factor(&mut database, caller.user_id, &id)?;
    let (factor_id, kind, sent_at) = (factor.id, factor.kind.clone(), factor.last_challenged_at);
    LimitedRequest::FactorChallenge.count_in(&mock, &mut database, &headers)?;
    let code = match &kind {
        FactorKind::Totp { .. } => None,
        FactorKind::Phone { phone } => {
            let request: ChallengeRequest = parse_json_object(&body, "ChallengeFactorParams")?;
            check_channel(&request.channel, mock.settings())?;
            rate_limit_checks::check_factor_text_interval(&mock, sent_at)?;
            Some(send_code(&mock, &mut database, phone)?)
        }
    };
    let (challenge_id, now) = (database.new_uuid(), mock.now());
    let user = database.user_mut(caller.user_id);
    let factor = user.and_then(|user| user.factor_mut(factor_id)).ok_or_else(not_found)?;
    let expires_at = factor.challenge(challenge_id, code, now);
    let traits = json!({ "factor_id": factor_id, "factor_status": factor.status() });
    let event = AuditAction::ChallengeCreated.with(traits).with_client(&client);
    database.audit(caller.user_id, event, now);
    Ok(Json(json!({
        "id": challenge_id,
        "type": kind.name(),
        "expires_at": unix_seconds(expires_at),
    })))
}

/// Sends the text message of a challenge. Returns its code.
fn send_code(mock: &Mock, database: &mut Database, phone: &str) -> Result<String, GotrueError> {
    if !mock.settings().sends_texts {
        return Err(GotrueError::unexpected_failure("Failed to get SMS provider"));
    }
    let (to, code) = (phone.to_owned(), new_code(database.rng()));
    let token = code.clone();
    database.send(Mail { to, kind: "mfa", token, token_hash: None, link: None });
    Ok(code)
}

pub(crate) async fn delete(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    client: ClientAddr,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    let mut database = mock.database();
    let caller = authenticate(&mock, &database, &headers)?;
    let factor = find_factor(&mut database, caller.user_id, &id)?;
    let (factor_id, is_verified, status) = (factor.id, factor.is_verified, factor.status());
    let session = caller.session_id.and_then(|id| database.session(id)).ok_or_else(|| {
        let message = "A valid session and factor are required to unenroll a factor";
        GotrueError::unexpected_failure(message)
    })?;
    if is_verified && session.aal < Aal::Two {
        let message = "AAL2 required to unenroll verified factor";
        return Err(GotrueError::unprocessable("insufficient_aal", message));
    }
    let session_id = session.id;
    database.delete_factor(caller.user_id, factor_id);
    let traits =
        json!({ "factor_id": factor_id, "factor_status": status, "session_id": session_id });
    let event = AuditAction::FactorUnenrolled.with(traits).with_client(&client);
    database.audit(caller.user_id, event, mock.now());
    Ok(Json(json!({ "id": factor_id })))
}

/// Authenticates a user who is not anonymous according to the access token. GoTrue does not compare the row (recorded:
/// `anonymous-converted-token`).
pub(crate) fn authenticate(
    mock: &Mock,
    database: &Database,
    headers: &HeaderMap,
) -> Result<Caller, GotrueError> {
    let caller = Caller::authenticate(mock, database, headers)?;
    if caller.is_anonymous {
        let message = "Anonymous user not allowed to perform these actions";
        return Err(GotrueError::forbidden("no_authorization", message));
    }
    Ok(caller)
}

/// The factor of a user with the id in the path.
pub(crate) fn find_factor<'d>(
    database: &'d mut Database,
    user_id: Uuid,
    id: &str,
) -> Result<&'d mut Factor, GotrueError> {
    let id = Uuid::try_parse(id)
        .map_err(|_| GotrueError::not_found("validation_failed", "factor_id must be an UUID"))?;
    let user = database.user_mut(user_id);
    user.and_then(|user| user.factor_mut(id)).ok_or_else(not_found)
}

pub(super) fn not_found() -> GotrueError {
    GotrueError::not_found("mfa_factor_not_found", "Factor not found")
}

pub(super) fn invalid<T>(message: &str) -> Result<T, GotrueError> {
    Err(GotrueError::bad_request("validation_failed", message))
}
