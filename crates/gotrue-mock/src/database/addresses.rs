//! Finds users by what they are changing, and gives a user another address.

use uuid::Uuid;

use super::{Database, UserKey};
use crate::user::User;

impl Database {
    /// The users who change their e-mail address to this one.
    pub(crate) fn users_changing_email(&self, email: &str) -> Vec<&User> {
        self.users.find(&UserKey::EmailChange(email.to_owned()))
    }

    /// The users who change their phone number to this one.
    pub(crate) fn users_changing_phone(&self, phone: &str) -> Vec<&User> {
        self.users.find(&UserKey::PhoneChange(phone.to_owned()))
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
