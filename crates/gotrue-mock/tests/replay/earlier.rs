//! What a scenario finds on its server because other scenarios were recorded before it. Each scenario is played against
//! a mock of its own, which knows nothing of the others.

use gotrue_mock::Mock;

/// The number of users that the recorded server had when it listed them.
const LISTED_USERS: usize = 108;

/// Creates the users whom the scenario expects.
pub(crate) fn create_users(mock: &Mock, scenario: &str) {
    match scenario {
        "admin-users" => {
            mock.create_user("ann@admin.example.com", "secret-password-1");
        }
        "link-refused" => {
            mock.create_user("known-magiclink@links.example.com", "secret-password-1");
        }
        "admin-list" | "admin-list-default" => {
            let first = mock.create_user("issuer@auto.example.com", "secret-password-1");
            mock.sign_in(first).unwrap();
            // The first user is created here, and the two newest by another scenario.
            let others = if scenario == "admin-list" { 3 } else { 1 };
            for number in others..LISTED_USERS {
                mock.create_user(&format!("{number}@auto.example.com"), "secret-password-1");
            }
        }
        _ => {}
    }
}
