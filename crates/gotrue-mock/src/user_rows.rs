//! The rows of one user, by which a test sees what a request changed.

use serde::Serialize;
use uuid::Uuid;

use crate::{database::Database, mock::Mock, one_time_tokens::CodeKind, user::User};

/// What the database has of one user. All members are empty or 0 if there is no such user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UserRows {
    /// 1 if the user exists, else 0.
    pub user_rows: usize,
    /// The number of the user's sessions.
    pub sessions_of_user: usize,
    /// The user's refresh tokens, including those of all sessions.
    pub refresh_tokens: RefreshTokenRows,
    /// The kinds of the user's codes, with GoTrue's names such as `recovery_token`, sorted.
    pub one_time_tokens: Vec<&'static str>,
    /// The providers of the user's identities, sorted.
    pub identities: Vec<String>,
    /// The authentication methods of the sign-ins by PKCE that have begun, sorted.
    pub flow_states: Vec<String>,
}

/// Counts of refresh tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefreshTokenRows {
    /// Tokens that were not used yet.
    pub live: usize,
    /// Tokens that were used, or revoked.
    pub revoked: usize,
}

impl Mock {
    /// The id of the user with this id, e-mail address or phone number.
    #[must_use]
    pub fn find_user_id(&self, user: &str) -> Option<Uuid> {
        find_user(&self.database(), user).map(|user| user.id)
    }

    /// The rows of the user with this id, e-mail address or phone number.
    #[must_use]
    pub fn user_rows(&self, user: &str) -> UserRows {
        let database = self.database();
        find_user(&database, user).map(|user| UserRows::of(&database, user)).unwrap_or_default()
    }
}

fn find_user<'d>(database: &'d Database, user: &str) -> Option<&'d User> {
    match Uuid::try_parse(user) {
        Ok(id) => database.user(id),
        Err(_) => database.user_by_email(user).or_else(|| database.user_by_phone(user)),
    }
}

impl UserRows {
    fn of(database: &Database, user: &User) -> Self {
        let mut refresh_tokens = RefreshTokenRows::default();
        for session in user.sessions.iter().filter_map(|id| database.session(*id)) {
            let (live, revoked) = session.token_counts();
            refresh_tokens.live += live;
            refresh_tokens.revoked += revoked;
        }
        let mut one_time_tokens: Vec<_> = user.codes.row_kinds().map(CodeKind::row_name).collect();
        one_time_tokens.sort_unstable();
        let mut identities: Vec<_> =
            user.identities.iter().map(|identity| identity.provider.clone()).collect();
        identities.sort_unstable();
        let flows = database.flow_states.iter().filter(|flow| flow.user_id == Some(user.id));
        let mut flow_states: Vec<_> =
            flows.map(|flow| flow.authentication_method.to_owned()).collect();
        flow_states.sort_unstable();
        Self {
            user_rows: 1,
            sessions_of_user: user.sessions.len(),
            refresh_tokens,
            one_time_tokens,
            identities,
            flow_states,
        }
    }
}
