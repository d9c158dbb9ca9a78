//! Authenticates a request: reads the session of its Bearer token or cookie, and asks GoTrue about tokens
//! that only GoTrue can verify.

use axum::http::HeaderMap;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::{context::RequestContext, in_flight_limit::OverLimitError, state::AppState};
use crate::{
    gotrue::Refusal,
    session::{
        AuthenticationError, Credential, Proof, Session, UnknownKey,
        cookies::RequestCookies,
        introspection::{self, Introspection},
    },
};

/// The session of the request's Bearer token or cookie. An expired access token is no error.
pub(super) async fn authenticate(
    app: &AppState,
    headers: &HeaderMap,
    cookies: &RequestCookies<'_>,
) -> Result<Session, AuthenticationError> {
    let credential = Credential::of(headers, cookies, &app.config.cookies.name);
    read_session(app, credential, cookies, UnknownKey::Refetch).await
}

/// The session of a credential. A session that the gateway cannot verify itself is proven while the cache has
/// GoTrue's answer that it lives.
pub(super) async fn read_session(
    app: &AppState,
    credential: Credential,
    cookies: &RequestCookies<'_>,
    unknown_key: UnknownKey,
) -> Result<Session, AuthenticationError> {
    let now = app.logout.clock.unix_seconds();
    let key = &app.config.cookies.name;
    let mut session = app.verifier.session(credential, cookies, key, now, unknown_key).await?;
    if session.proof == Proof::Unproven && !session.expired {
        let answer = app.introspections.get(session.access_token.expose_secret());
        if answer == Some(Introspection::Live) {
            session.proof = Proof::Proven;
        }
    }
    Ok(session)
}

/// Why the gateway has no answer of GoTrue about a token.
pub(super) enum IntrospectionError {
    /// Requests of unproven sessions already hold all the places that they may take among the requests in
    /// flight.
    Overloaded,
    /// GoTrue did not answer the question: it is down, slow or rate-limiting.
    Refused(Refusal),
}

impl From<OverLimitError> for IntrospectionError {
    fn from(OverLimitError: OverLimitError) -> Self {
        Self::Overloaded
    }
}

impl From<Refusal> for IntrospectionError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// GoTrue's answer about a session that only GoTrue can verify. The call takes a place among the requests in
/// flight. A request that waits for the call of another request takes no place.
pub(super) async fn introspect(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
) -> Result<Introspection, IntrospectionError> {
    let token = session.access_token.expose_secret();
    if let Some(answer) = app.introspections.get(token) {
        return Ok(answer);
    }
    let deadline = Instant::now() + app.config.upstream.timeout;
    let (user, caller) = (session.claims.sub, context.on_behalf_of(headers));
    let ask = async {
        let _permit = app.in_flight.take(Proof::Unproven)?;
        Ok(introspection::introspect(token, user, &app.logout.gotrue, &caller, deadline).await?)
    };
    // Boxed to keep the future of `verify` small for requests without a call to GoTrue, because futures are
    // moved often.
    Box::pin(app.introspections.get_or_call(token, deadline, ask)).await
}
