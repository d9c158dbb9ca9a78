//! Deletes second factors.

use uuid::Uuid;

use super::Database;
use crate::factor::Factor;

impl Database {
    /// Deletes a factor of a user, and lowers the sessions that it was verified in. Returns the
    /// factor; `None` if the user does not have it.
    pub(crate) fn delete_factor(&mut self, user_id: Uuid, factor_id: Uuid) -> Option<Factor> {
        let user = self.user_mut(user_id)?;
        let index = user.factors.iter().position(|factor| factor.id == factor_id)?;
        let factor = user.factors.remove(index);
        for id in user.sessions.clone() {
            let session = self.session_mut(id);
            if let Some(session) = session.filter(|known| known.factor_id == Some(factor_id)) {
                session.forget_factor(factor.kind.authentication_method());
            }
        }
        Some(factor)
    }
}
