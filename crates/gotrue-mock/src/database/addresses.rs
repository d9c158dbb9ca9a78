//! Finds users by what they are changing, and gives a user another address.

use uuid::Uuid;

use crate::{database::Database, user::User};

impl Database {
    /// The first user for whom `matches` returns true.
    pub(crate) fn find_user(&self, matches: impl Fn(&User) -> bool) -> Option<&User> {
        self.users.values().find(|user| matches(user))
    }

    /// Replaces a user's e-mail address. It must be in lower case, and no other user may have it.
    pub(crate) fn set_email(&mut self, user_id: Uuid, email: String) {
        let Some(user) = self.users.get_mut(&user_id) else { return };
        if let Some(old) = user.email.replace(email.clone()) {
            self.emails.remove(&old);
        }
        self.emails.insert(email, user_id);
    }

    /// Replaces a user's phone number. It must consist of digits only, and no other user may have it.
    pub(crate) fn set_phone(&mut self, user_id: Uuid, phone: String) {
        let Some(user) = self.users.get_mut(&user_id) else { return };
        if let Some(old) = user.phone.replace(phone.clone()) {
            self.phones.remove(&old);
        }
        self.phones.insert(phone, user_id);
    }
}
