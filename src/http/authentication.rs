//! Authenticates a request: reads the session of its Bearer token or cookie, and asks GoTrue about tokens
//! that only GoTrue can verify.

use std::{sync::Arc, time::Duration};

use axum::http::HeaderMap;
use futures_util::{StreamExt as _, stream};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    task::yield_now,
    time::{Instant, timeout},
};
use tracing::Instrument as _;

use super::{context::RequestContext, in_flight_limit::OverLimitError, state::AppState};
use crate::{
    gotrue::Refusal,
    session::{
        AuthenticationError, Carrier, Credential, Proof, Session,
        cookies::{JarSessions, OtherProject, RequestCookies, StoredSession},
        introspection::{self, Introspection},
        token::{ClaimMismatch, TokenError},
        verifier::SignatureStatus,
    },
    telemetry::traces,
};

/// How many calls to GoTrue the gateway makes at the same time for the sessions of one request. The request takes
/// only one place among the requests in flight, so it must not cause many calls at once.
pub(super) const SESSIONS_AT_ONCE: usize = 4;

/// The most unproven sessions that one request may have. The gateway asks GoTrue about each of them, and an attacker
/// can put any number of forged tokens into one request.
const MOST_UNPROVEN: usize = 16;

/// The longest time that a request with a proven session waits for the keys of its other cookies.
const REFETCH_LIMIT_BESIDE_A_SESSION: Duration = Duration::from_millis(500);

/// The sessions that a request shows.
#[derive(Debug, Default)]
pub(super) struct Authenticated {
    /// The sessions whose access tokens the gateway accepts, expired or not, in the order of the request. A
    /// session that is in two cookies occurs once.
    pub(super) sessions: Vec<Session>,
    /// Why another credential shows no session: the first error, unless another one may be due to the configuration.
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

    /// Leaves out all but the first [`MOST_UNPROVEN`] unproven sessions.
    fn leave_out_unproven(&mut self) {
        let mut unproven = 0;
        self.sessions.retain(|session| {
            unproven += usize::from(session.proof == Proof::Unproven);
            session.proof != Proof::Unproven || unproven <= MOST_UNPROVEN
        });
    }

    /// The claim for which the configuration refuses a genuine token, if there is one.
    pub(super) fn mismatch(&self) -> Option<&ClaimMismatch> {
        match &self.refused {
            Some(AuthenticationError::ClaimNotAccepted(mismatch)) => Some(mismatch),
            _ => None,
        }
    }

    fn add(&mut self, result: Result<Session, AuthenticationError>) {
        match result {
            Ok(session) => {
                add_session(&mut self.sessions, session);
            }
            Err(error) => self.record_error(error),
        }
    }

    /// Keeps the error that may be due to the configuration: the error of another cookie must not replace it.
    fn record_error(&mut self, error: AuthenticationError) {
        let precedence = |error: &AuthenticationError| {
            let is_genuine = matches!(error, AuthenticationError::ClaimNotAccepted(_));
            (is_genuine, error.may_be_misconfiguration())
        };
        if self.refused.as_ref().is_none_or(|known| precedence(&error) > precedence(known)) {
            self.refused = Some(error);
        }
    }
}

/// Adds a session, unless it is there already.
fn add_session(sessions: &mut Vec<Session>, session: Session) {
    match sessions.iter_mut().find(|known| known.is_same_as(&session)) {
        Some(known) => known.merge(session),
        None => sessions.push(session),
    }
}

/// The sessions that the request's Bearer token or its cookies show. If a newer key set may show more, it is fetched
/// first.
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
        // A request with a proven session waits only briefly for the key of another cookie, which another site may have
        // planted.
        let has_proven = authenticated.sessions.iter().any(|s| s.proof == Proof::Proven);
        let limit = if has_proven { REFETCH_LIMIT_BESIDE_A_SESSION } else { Duration::MAX };
        let _ = timeout(limit, app.verifier.refetch_keys()).await;
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
            let is_refused = session.is_err();
            authenticated.add(session.map(|mut session| {
                if session.expired {
                    session.take_refresh_tokens(cookies.sessions(&app.config.cookies));
                }
                session
            }));
            // If SUPABASE_URL is wrong, even the project's own token does not count as one of this project. So report
            // the cookie of the other project.
            if is_refused
                && !app.verifier.is_of_project(token.expose_secret())
                && let Some(other) = report_other_project(app, cookies)
            {
                let error = AuthenticationError::BearerBesideOtherProject(Box::new(other));
                authenticated.refused = Some(error);
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
    authenticated.leave_out_unproven();
    if authenticated.sessions.is_empty() && jar.has_undecodable {
        authenticated.add(Err(AuthenticationError::Invalid(TokenError::Undecodable)));
    }
    authenticated
}

/// The session of an access token. A session that the gateway cannot verify itself is proven while the cache has
/// GoTrue's answer that it lives.
fn read_session(
    app: &AppState,
    access_token: &Arc<SecretString>,
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
            // GoTrue verifies the signature before it looks for the session and the user.
            Some(Introspection::Live | Introspection::Ended | Introspection::Banned) => {
                session.proof = Proof::Proven;
                add_session(&mut genuine, session);
            }
            None => genuine.push(session),
        }
    }
    if genuine.is_empty() { forged } else { genuine }
}
