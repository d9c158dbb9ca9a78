//! Transactions, as GoTrue's `db.Transaction`: after an error, the rows are as before.
//!
//! Sent messages and the counts of the rate limits are not rows, and stay.

use crate::{database::Database, error::GotrueError};

/// An error that ends a transaction.
pub(crate) trait TransactionError {
    /// Whether the changes stay in spite of the error: GoTrue's `CommitWithError`.
    fn commits(&self) -> bool;
}

impl TransactionError for GotrueError {
    fn commits(&self) -> bool {
        GotrueError::commits(self)
    }
}

impl Database {
    /// Runs `change`, and undoes its changes if it returns an error that does not commit. A transaction cannot contain
    /// another one.
    pub(crate) fn transaction<T, E: TransactionError>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        // A transaction that has panicked, in a hook for example, left its changes behind.
        self.roll_back();
        self.begin();
        let result = change(self);
        if result.as_ref().err().is_some_and(|error| !error.commits()) {
            self.roll_back();
        } else {
            self.commit();
        }
        result
    }

    fn begin(&mut self) {
        self.users.begin();
        self.emails.begin();
        self.phones.begin();
        self.sessions.begin();
        self.refresh_tokens.begin();
        self.audit_log.begin();
        self.flow_states_before = Some(self.flow_states.clone());
    }

    fn commit(&mut self) {
        self.users.commit();
        self.emails.commit();
        self.phones.commit();
        self.sessions.commit();
        self.refresh_tokens.commit();
        self.audit_log.commit();
        self.flow_states_before = None;
    }

    fn roll_back(&mut self) {
        self.users.roll_back();
        self.emails.roll_back();
        self.phones.roll_back();
        self.sessions.roll_back();
        self.refresh_tokens.roll_back();
        self.audit_log.roll_back();
        if let Some(before) = self.flow_states_before.take() {
            self.flow_states = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::Map;

    use super::*;
    use crate::session_limits::SessionLimits;

    fn failure() -> Result<(), GotrueError> {
        Err(GotrueError::unexpected())
    }

    #[test]
    fn a_transaction_that_fails_leaves_users_addresses_sessions_and_tokens_as_they_were() {
        let mut database = Database::new(Some(1));
        let now = UNIX_EPOCH;
        let create = |database: &mut Database, email: &str| {
            database.create_user(Some(email.to_owned()), "password".into(), Map::new(), now)
        };
        let ann = create(&mut database, "ann@example.com");
        let (session, token) = database.begin_session(ann, "password", now).unwrap();
        let result = database.transaction(|database| {
            let bob = create(database, "bob@example.com");
            database.begin_session(bob, "password", now).unwrap();
            database.set_email(ann, "new@example.com".to_owned());
            database.set_phone(ann, "4912345".to_owned());
            database.begin_session(ann, "password", now).unwrap();
            database.delete_session(session);
            failure()
        });
        assert!(result.is_err());
        assert_eq!(database.users().count(), 1);
        assert_eq!(database.user_by_email("ann@example.com").unwrap().id, ann);
        assert!(database.user_by_email("bob@example.com").is_none());
        assert!(database.user_by_email("new@example.com").is_none());
        assert!(database.user_by_phone("4912345").is_none());
        assert_eq!(database.user(ann).unwrap().sessions, [session]);
        assert_eq!(database.sessions().len(), 1);
        assert!(database.refresh(&token, &SessionLimits::default(), now).is_ok());
    }

    #[test]
    fn a_transaction_keeps_its_changes_after_success_and_after_an_error_that_commits() {
        let mut database = Database::new(Some(1));
        let create = |database: &mut Database, email: &str| {
            let email = Some(email.to_owned());
            database.create_user(email, "password".into(), Map::new(), UNIX_EPOCH)
        };
        let done: Result<_, GotrueError> =
            database.transaction(|database| Ok(create(database, "ann@example.com")));
        assert!(done.is_ok());
        let committed = database.transaction(|database| {
            create(database, "bob@example.com");
            failure().map_err(GotrueError::with_commit)
        });
        assert!(committed.is_err());
        assert!(database.transaction(|_| failure()).is_err());
        assert_eq!(database.users().count(), 2);
    }

    #[test]
    fn a_transaction_that_panics_is_rolled_back_by_the_next_one() {
        let mut database = Database::new(Some(1));
        let panics = std::panic::AssertUnwindSafe(|| {
            database.transaction(|database| {
                let email = Some("ann@example.com".to_owned());
                database.create_user(email, "password".into(), Map::new(), UNIX_EPOCH);
                if database.users().count() == 1 {
                    std::panic::resume_unwind(Box::new("a hook panics"));
                }
                failure()
            })
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        let done: Result<_, GotrueError> = database.transaction(|_| Ok(()));
        assert!(done.is_ok());
        assert_eq!(database.users().count(), 0);
    }
}
