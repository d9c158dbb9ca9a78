//! Authenticates a request: reads the session of its Bearer token or cookie, and asks GoTrue about tokens
//! that only GoTrue can verify.

use axum::http::HeaderMap;
use futures_util::{StreamExt as _, stream};
use secrecy::{ExposeSecret, SecretString};
use tokio::{task::yield_now, time::Instant};
use tracing::Instrument as _;

use super::{context::RequestContext, in_flight_limit::OverLimitError, state::AppState};
use crate::{
    gotrue::Refusal,
    session::{
        AuthenticationError, Carrier, Credential, Proof, Session,
        cookies::{JarSessions, OtherProject, RequestCookies, StoredSession},
        introspection::{self, Introspection},
        token::TokenError,
        verifier::SignatureStatus,
    },
    telemetry::traces,
};

/// How many calls to GoTrue the gateway makes at the same time for the sessions of one request. The request takes
/// only one place among the requests in flight, so it must not cause many calls at once.
pub(super) const SESSIONS_AT_ONCE: usize = 4;

/// The sessions of a request's credentials.
#[derive(Debug, Default)]
pub(super) struct Authenticated {
    /// The sessions whose access tokens the gateway accepts, expired or not, in the order of the request. A
    /// session that is in two cookies occurs once.
    pub(super) sessions: Vec<Session>,
    /// The error to report if there is no session: the first error that a wrong configuration may cause, or else
    /// the first error.
    refused: Option<AuthenticationError>,
    /// Whether the gateway may accept more of the credentials with a newer key set or issuer of GoTrue.
    pub(super) may_be_outdated: bool,
}

impl Authenticated {
    /// Returns the sessions, of which there is at least one, or the error to report.
    pub(super) fn sessions(self) -> Result<Vec<Session>, AuthenticationError> {
        if self.sessions.is_empty() {
            return Err(self.refused.unwrap_or(AuthenticationError::Missing));
        }
        Ok(self.sessions)
    }

    fn add(&mut self, result: Result<Session, AuthenticationError>) {
        match result {
            Ok(session) => {
                match self.sessions.iter_mut().find(|known| known.is_same_as(&session)) {
                    Some(known) => known.merge(session),
                    None => self.sessions.push(session),
                }
            }
            Err(error) => self.record_error(error),
        }
    }

    /// Remembers the error to report. The error of a genuine token that the configuration refuses takes
    /// precedence: because of it the browser keeps its cookies, and the log names the setting.
    fn record_error(&mut self, error: AuthenticationError) {
        let is_mismatch =
            |error: &AuthenticationError| matches!(error, AuthenticationError::ClaimNotAccepted(_));
        match &self.refused {
            Some(known) if is_mismatch(known) || !is_mismatch(&error) => {}
            Some(_) | None => self.refused = Some(error),
        }
    }
}

/// Reads the sessions of `credential`. If the gateway may accept more of them with a newer key set or issuer of
/// GoTrue, it fetches both and reads the sessions again.
pub(super) async fn authenticate_or_refetch(
    app: &AppState,
    credential: &Credential,
    cookies: &RequestCookies<'_>,
) -> Authenticated {
    let reading = async {
        let authenticated = authenticate(app, credential, cookies).await;
        if !authenticated.may_be_outdated {
            return authenticated;
        }
        app.verifier.refetch_keys().await;
        authenticate(app, credential, cookies).await
    };
    reading.instrument(traces::token_check()).await
}

/// Reads the sessions of `credential` without fetching the key set.
pub(super) async fn authenticate(
    app: &AppState,
    credential: &Credential,
    cookies: &RequestCookies<'_>,
) -> Authenticated {
    match credential {
        Credential::Missing => {
            let refused = report_other_project(app, cookies)
                .map(|other| AuthenticationError::OtherProject(Box::new(other)));
            Authenticated { refused, ..Authenticated::default() }
        }
        Credential::Bearer(token) => {
            let mut authenticated = Authenticated::default();
            let session = read_session(app, token, &[], Carrier::Bearer);
            authenticated.may_be_outdated = app.verifier.may_be_outdated(&session);
            authenticated.add(session.map(|mut session| {
                if session.expired {
                    session.take_refresh_tokens(cookies.sessions(&app.config.cookies));
                }
                session
            }));
            if authenticated.sessions.is_empty() {
                // The Bearer token may belong to another program, and the gateway may have missed the session
                // cookie because `SUPABASE_URL` is wrong.
                report_other_project(app, cookies);
            }
            authenticated
        }
        Credential::Jar(jar) => read_jar(app, jar).await,
    }
}

/// Returns the session cookie of another project, if the request has one, and warns of it in the log.
fn report_other_project(app: &AppState, cookies: &RequestCookies<'_>) -> Option<OtherProject> {
    let other = cookies.of_other_project(&app.config.cookies)?;
    app.other_project_log.report(&other);
    Some(other)
}

/// Reads the sessions of the cookies without fetching the key set.
pub(super) async fn read_jar(app: &AppState, jar: &JarSessions) -> Authenticated {
    let mut authenticated = Authenticated::default();
    for (index, stored) in jar.sessions.iter().enumerate() {
        if index > 0 {
            // The cookies may hold hundreds of forged tokens. Let the thread serve other requests between their
            // checks.
            yield_now().await;
        }
        let StoredSession { access_token, refresh_tokens } = stored;
        let session = read_session(app, access_token, refresh_tokens, Carrier::Cookie);
        authenticated.may_be_outdated |= app.verifier.may_be_outdated(&session);
        authenticated.add(session);
    }
    if authenticated.sessions.is_empty() && jar.has_undecodable {
        authenticated.add(Err(AuthenticationError::Invalid(TokenError::Undecodable)));
    }
    authenticated
}

/// The session of an access token. A session that the gateway cannot verify itself is proven while the cache has
/// GoTrue's answer that it lives.
fn read_session(
    app: &AppState,
    access_token: &SecretString,
    refresh_tokens: &[SecretString],
    carrier: Carrier,
) -> Result<Session, AuthenticationError> {
    let now = app.logout.clock.unix_seconds();
    let mut session = app.verifier.session(access_token, refresh_tokens, carrier, now)?;
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

/// GoTrue's answer about a session that only GoTrue can verify, or an error at `deadline`. The call takes a place
/// among the requests in flight. A request that waits for the call of another request takes no place.
pub(super) async fn introspect(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
    deadline: Instant,
) -> Result<Introspection, IntrospectionError> {
    let token = session.access_token.expose_secret();
    if let Some(answer) = app.introspections.get(token) {
        return Ok(answer);
    }
    let (user, caller) = (session.claims.sub, context.on_behalf_of(headers));
    let ask = async {
        let _permit = app.in_flight.take(Proof::Unproven)?;
        Ok(introspection::introspect(token, user, &app.logout.gotrue, &caller, deadline).await?)
    };
    // Boxed to keep the future of `verify` small for requests without a call to GoTrue, because futures are
    // moved often.
    Box::pin(app.introspections.get_or_call(token, deadline, ask)).await
}

/// If a request has several sessions, asks GoTrue about those that only GoTrue can verify, and removes those
/// whose token GoTrue refuses. So a cookie that another site planted does not prevent the logout of the other
/// sessions. If GoTrue refuses all tokens, all sessions stay, so that the response reports GoTrue's answer.
pub(super) async fn remove_forged(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    sessions: Vec<Session>,
) -> Vec<Session> {
    let needs_no_check =
        |session: &Session| session.signature != SignatureStatus::LeftToGoTrue || session.expired;
    if sessions.len() < 2 || sessions.iter().all(needs_no_check) {
        return sessions;
    }
    // Leave half of the time for the logouts.
    let deadline = Instant::now() + app.config.upstream.timeout / 2;
    let ask = async |session: Session| {
        if needs_no_check(&session) {
            return (session, None);
        }
        let answer = introspect(app, context, headers, &session, deadline).await.ok();
        (session, answer)
    };
    let (mut genuine, mut forged) = (Vec::new(), Vec::new());
    let mut answers = stream::iter(sessions.into_iter().map(ask)).buffered(SESSIONS_AT_ONCE);
    while let Some((mut session, answer)) = answers.next().await {
        match answer {
            Some(Introspection::Forged) => forged.push(session),
            Some(Introspection::Live) => {
                session.proof = Proof::Proven;
                genuine.push(session);
            }
            Some(Introspection::Ended | Introspection::Banned) | None => genuine.push(session),
        }
    }
    if genuine.is_empty() { forged } else { genuine }
}
