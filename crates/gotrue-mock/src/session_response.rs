//! The response that brings the tokens of a session.

use axum::{
    Json,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    access_token::AccessToken,
    database::Database,
    error::{GotrueError, insert_refresh_token_prefix, insert_session_headers},
    mock::Mock,
    user::UserView,
};

/// The tokens of a session, as the members of a response.
pub(crate) struct SessionTokens {
    pub(crate) body: Value,
    pub(crate) user_id: Uuid,
    pub(crate) session_id: Uuid,
    pub(crate) refresh_token: String,
}

/// Begins a session of a user, whose `amr` claim has this method. A hook can refuse it: the caller runs this in a
/// transaction.
pub(crate) fn begin_session(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    method: &'static str,
    view: UserView,
) -> Result<SessionTokens, GotrueError> {
    let begun = database.begin_session(user_id, method, mock.now());
    let (session_id, refresh_token) =
        begun.ok_or_else(|| GotrueError::unexpected_failure("Database error granting user"))?;
    let tokens = SessionTokens::of(mock, database, session_id, refresh_token.clone(), view, method);
    tokens.map_err(|error| {
        // The transaction rolls the session back, but its headers are set already (recorded: `hook-refused`).
        error.with_session(user_id, Some(session_id)).with_refresh_token(&refresh_token)
    })
}

impl SessionTokens {
    /// The tokens of a session that exists. A hook receives `method`: how the user signed in.
    pub(crate) fn of(
        mock: &Mock,
        database: &Database,
        session_id: Uuid,
        refresh_token: String,
        view: UserView,
        method: &str,
    ) -> Result<Self, GotrueError> {
        let session = database.session(session_id);
        let user = session.and_then(|session| database.user(session.user_id));
        let (Some(session), Some(user)) = (session, user) else {
            return Err(GotrueError::unexpected_failure("Database error finding session"));
        };
        let AccessToken { token, expires_at, expires_in } =
            AccessToken::issue(mock, user, session, method)?;
        let body = json!({
            "access_token": token,
            "token_type": "bearer",
            "expires_in": expires_in,
            "expires_at": expires_at,
            "refresh_token": refresh_token,
            "user": user.to_json(view),
        });
        Ok(Self { body, user_id: user.id, session_id, refresh_token })
    }

    /// Inserts the headers of every response that brings a session.
    pub(crate) fn insert_headers(&self, headers: &mut HeaderMap) {
        insert_session_headers(headers, Some(self.user_id), Some(self.session_id));
        insert_refresh_token_prefix(headers, &self.refresh_token);
    }

    /// The members of the fragment in which a redirect brings the session: GoTrue's `AsRedirectURL`.
    pub(crate) fn redirect_members(&self) -> Vec<(&'static str, String)> {
        let member = |name: &'static str| match self.body.get(name) {
            Some(Value::String(text)) => (name, text.clone()),
            other => (name, other.map(Value::to_string).unwrap_or_default()),
        };
        let names = ["access_token", "expires_at", "expires_in", "refresh_token", "token_type"];
        let mut members: Vec<_> = names.into_iter().map(member).collect();
        members.push(("sb", String::new()));
        members
    }

    /// Adds a member to the body.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        if let Some(members) = self.body.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
        self
    }
}

impl IntoResponse for SessionTokens {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        self.insert_headers(&mut headers);
        (headers, Json(self.body)).into_response()
    }
}
