//! Reads the scope and the form of a logout request, and checks whether the client may log out.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout};

use super::{contract::Contract, form::Fields};
use crate::{
    config::CSRF_COOKIE,
    csrf::{Binding, submitted::SubmittedToken},
    http::{
        authentication::{authenticate_or_refetch, remove_forged},
        context::RequestContext,
        error::Error,
        headers::{X_CSRF_TOKEN, has_content_type, refuse_duplicates},
        routes::csrf::Bindings,
        state::AppState,
    },
    outcome::Scope,
    session::{Carrier, Credential, Session, cookies::RequestCookies},
};

const LARGEST_BODY: usize = 8 * 1024;

/// Reads the fields of a form, which are empty for all other contracts, and the scope, unless the request is
/// malformed.
pub(super) async fn read(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    query: Option<&str>,
    body: Body,
    contract: Contract,
) -> (Fields, Result<Scope, Error>) {
    let head = if context.has_valid_host { Ok(()) } else { Err(Error::MalformedRequest) };
    let in_query = head.and_then(|()| refuse_duplicates(headers)).and_then(|()| scope(query));
    // Read the body of a form even after an error, because it says where the error is redirected.
    if contract != Contract::Form
        && let Err(error) = in_query
    {
        return (Fields::default(), Err(error));
    }
    let body = read_body(body, headers, app.config.limits.header_timeout).await;
    let (form, checked) = match (&body, contract) {
        (Err(error), _) => (Fields::default(), Err(error.clone())),
        (Ok(body), Contract::Form) => Fields::read(body),
        (Ok(body), _) => (Fields::default(), check_ignored(body, headers)),
    };
    let scope = in_query.and_then(|in_query| {
        checked?;
        match (in_query, form.scope) {
            (Some(_), Some(_)) => Err(Error::UnsupportedScope),
            (scope, in_form) => Ok(scope.or(in_form).unwrap_or(app.config.logout.default_scope)),
        }
    });
    (form, scope)
}

/// The query's `scope`, given at most once.
fn scope(query: Option<&str>) -> Result<Option<Scope>, Error> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut scopes = pairs.filter(|(name, _)| name == "scope");
    match (scopes.next(), scopes.next()) {
        (None, _) => Ok(None),
        (Some((_, scope)), None) => scope.parse().map(Some).map_err(|_| Error::UnsupportedScope),
        (Some(_), Some(_)) => Err(Error::UnsupportedScope),
    }
}

/// Reads the whole body within `time_limit`, because the next request on the connection begins after it.
async fn read_body(
    body: Body,
    headers: &HeaderMap,
    time_limit: Duration,
) -> Result<Vec<u8>, Error> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(Error::PayloadTooLarge);
    }
    timeout(time_limit, copy(body)).await.unwrap_or(Err(Error::MalformedRequest))
}

/// Copies the frames of `body` into one buffer of [`LARGEST_BODY`] bytes at most. To keep a `Bytes` would
/// keep the whole read buffer that it is a part of, which may be 8 KiB for each octet of the body.
async fn copy(mut body: Body) -> Result<Vec<u8>, Error> {
    let mut copied = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::MalformedRequest)?;
        let Some(data) = frame.data_ref() else { continue };
        if data.len() > LARGEST_BODY - copied.len() {
            return Err(Error::PayloadTooLarge);
        }
        copied.extend_from_slice(data);
    }
    Ok(copied)
}

/// The content of a body that is not a form's is ignored, but it must be empty or of type JSON.
fn check_ignored(body: &[u8], headers: &HeaderMap) -> Result<(), Error> {
    let ignored = body.is_empty() || has_content_type(headers, "application/json");
    if ignored { Ok(()) } else { Err(Error::UnsupportedMediaType) }
}

/// A request for a logout, with its credentials.
pub(super) struct Incoming<'r> {
    pub(super) app: &'r AppState,
    pub(super) context: &'r RequestContext,
    pub(super) headers: &'r HeaderMap,
    pub(super) cookies: &'r RequestCookies<'r>,
    /// The form's field `csrf_token`, which stands for the header `X-CSRF-Token`.
    pub(super) csrf_field: Option<&'r str>,
}

/// The sessions that the client may end.
pub(super) struct Authorized {
    /// At least one session.
    pub(super) sessions: Vec<Session>,
    /// The error of a genuine token whose issuer or audience the configuration does not accept. Its session stays
    /// valid, so the response must not be a success.
    pub(super) refused: Option<Error>,
    /// The time by which the logout must be done. It is counted from after the wait for newer keys.
    pub(super) deadline: Instant,
}

/// Why the client may not log out.
pub(super) struct Unauthorized {
    pub(super) error: Error,
    /// Whether the response deletes the cookies: the gateway read them, and they hold no valid session.
    pub(super) deletes_cookies: bool,
}

impl Incoming<'_> {
    /// Authenticates the client and, for cookies, checks the page's origin and the CSRF token.
    pub(super) async fn authorize(&self) -> Result<Authorized, Unauthorized> {
        let Self { app, headers, cookies, .. } = *self;
        let credential = Credential::of(headers, cookies, &app.config.cookies, &app.verifier);
        let bearer = credential.is_bearer();
        if !bearer {
            self.check_origin()?;
        }
        let refused = |error| Unauthorized { error, deletes_cookies: !bearer };
        let authenticated = authenticate_or_refetch(app, &credential, cookies).await;
        let deadline = Instant::now() + app.config.upstream.timeout;
        let mismatch = authenticated.mismatch().cloned().map(Box::new);
        let sessions = match authenticated.sessions() {
            Ok(sessions) => sessions,
            // The gateway's settings may be wrong while the session lives, so the browser keeps its cookies.
            Err(error) if error.may_be_misconfiguration() => return Err(keeping_cookies(error)),
            Err(error) => return Err(refused(error.into())),
        };
        let mismatch = mismatch.map(Error::ClaimNotAccepted);
        if sessions.iter().all(|session| session.expired && session.refresh_tokens.is_empty()) {
            return Err(mismatch.map_or_else(|| refused(Error::CredentialExpired), keeping_cookies));
        }
        let sessions = self.check_csrf(sessions).await?;
        Ok(Authorized { sessions, refused: mismatch, deadline })
    }

    /// Checks the CSRF token, unless the credential is a Bearer token alone. Returns the sessions without the forged
    /// ones.
    async fn check_csrf(&self, sessions: Vec<Session>) -> Result<Vec<Session>, Unauthorized> {
        let Self { app, context, headers, cookies, .. } = *self;
        let in_header = headers.get(X_CSRF_TOKEN).map(HeaderValue::as_bytes);
        let submitted = self.csrf_field.map(str::as_bytes).or(in_header).map(SubmittedToken::new);
        match sessions.first().map(|session| session.carrier) {
            Some(Carrier::Bearer) => return Ok(sessions),
            Some(Carrier::Cookie) | None => {}
            // Use the cookie beside an expired Bearer token only if the page sends a CSRF token.
            Some(Carrier::BearerAndCookie) if submitted.is_none() => {
                return Err(keeping_cookies(Error::CredentialExpired));
            }
            Some(Carrier::BearerAndCookie) => self.check_origin()?,
        }
        let check = |accepted: &[Binding]| {
            let held = cookies.values(CSRF_COOKIE);
            app.csrf.check_double_submit(submitted, held, accepted).map_err(keeping_cookies)
        };
        // A CSRF token that cannot be valid is refused before GoTrue is asked which sessions are forged.
        if let Some(possible) = Bindings::after_any_removal(&sessions) {
            check(&possible)?;
        }
        let sessions = remove_forged(app, context, headers, sessions).await;
        check(&Bindings::of(&sessions).accepted())?;
        Ok(sessions)
    }

    fn check_origin(&self) -> Result<(), Unauthorized> {
        let own = self.context.client.own_origin.as_deref();
        self.app.csrf.allowed_origins.check(self.headers, own).map_err(keeping_cookies)
    }
}

fn keeping_cookies(error: impl Into<Error>) -> Unauthorized {
    Unauthorized { error: error.into(), deletes_cookies: false }
}
