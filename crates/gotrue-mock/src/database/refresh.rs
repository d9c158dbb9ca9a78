//! Refreshes sessions, and issues and deletes refresh tokens.

use std::time::SystemTime;

use uuid::Uuid;

use super::Database;
use crate::{
    refresh_token::{AlreadyUsedError, IssuedToken},
    session::Session,
    session_expiry::SessionExpiry,
    session_limits::SessionLimits,
    user::User,
};

/// Why a refresh is refused.
pub(crate) enum RefreshError {
    NotFound,
    Banned(Uuid),
    SessionExpired { user_id: Uuid, session_id: Uuid, expiry: SessionExpiry },
    AlreadyUsed { user_id: Uuid, session_id: Uuid },
}

impl Database {
    /// GoTrue's clean-up of refresh tokens and flow states. Returns the number of tokens that it deleted.
    pub(crate) fn clean_up(&mut self, now: SystemTime) -> usize {
        self.purge_flow_states(now);
        let ids: Vec<Uuid> = self.sessions.keys().copied().collect();
        let mut deleted = Vec::new();
        for session in ids {
            let session = self.sessions.get_mut(&session);
            deleted.extend(session.map(|session| session.tokens.clean_up(now)).unwrap_or_default());
        }
        for token in &deleted {
            self.refresh_tokens.remove(token);
        }
        deleted.len()
    }

    /// Exchanges a refresh token. Returns the session and the refresh token for the response.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        limits: &SessionLimits,
        now: SystemTime,
    ) -> Result<(&Session, IssuedToken), RefreshError> {
        let id = *self.refresh_tokens.get(token).ok_or(RefreshError::NotFound)?;
        let session = self.session(id).ok_or(RefreshError::NotFound)?;
        let user = self.user(session.user_id).ok_or(RefreshError::NotFound)?;
        if user.is_banned(now) {
            return Err(RefreshError::Banned(user.id));
        }
        let (user_id, session_id) = (user.id, session.id);
        if let Some(expiry) = self.find_expiry(user, session, token, limits, now) {
            return Err(RefreshError::SessionExpired { user_id, session_id, expiry });
        }
        let session = self.sessions.get_mut(&id).ok_or(RefreshError::NotFound)?;
        let user = self.users.get_mut(&user_id).ok_or(RefreshError::NotFound)?;
        let issued = session
            .tokens
            .exchange(token, now, || refresh_token(&mut self.rng))
            .map_err(|AlreadyUsedError| RefreshError::AlreadyUsed { user_id, session_id })?;
        session.refreshed_at = Some(now);
        if let IssuedToken::New(token) = &issued {
            (user.last_sign_in_at, user.updated_at) = (Some(now), now);
            self.refresh_tokens.insert(token.clone(), session.id);
        }
        Ok((session, issued))
    }

    /// Why a session cannot be refreshed with this token; `None` if it can.
    fn find_expiry(
        &self,
        user: &User,
        session: &Session,
        token: &str,
        limits: &SessionLimits,
        now: SystemTime,
    ) -> Option<SessionExpiry> {
        let (highest, token) = (user.highest_aal(), session.tokens.updated_at(token));
        if let Some(expiry) = session.find_expiry(limits, highest, token, now) {
            return Some(expiry);
        }
        if !limits.single_per_user {
            return None;
        }
        let others = user.sessions.iter().filter(|id| **id != session.id);
        let has_newer = others.filter_map(|id| self.session(*id)).any(|other| {
            other.find_expiry(limits, highest, None, now).is_none()
                && other.last_refreshed_at(None) > session.last_refreshed_at(token)
        });
        has_newer.then_some(SessionExpiry::NewerLogin)
    }

    /// Revokes the active refresh token of a session and issues its successor. `None` if the
    /// session has no active token.
    pub(crate) fn rotate_refresh_token(&mut self, id: Uuid, now: SystemTime) -> Option<String> {
        let session = self.sessions.get_mut(&id)?;
        let token = session.tokens.rotate(now, || refresh_token(&mut self.rng))?;
        self.refresh_tokens.insert(token.clone(), id);
        Some(token)
    }
}

/// Generates a refresh token in GoTrue's form: twelve characters of base32 in lower case.
pub(super) fn refresh_token(rng: &mut fastrand::Rng) -> String {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    (0..12).filter_map(|_| rng.choice(BASE32)).map(|&letter| char::from(letter)).collect()
}
