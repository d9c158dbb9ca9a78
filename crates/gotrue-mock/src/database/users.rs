//! The users, with an index of what requests look for in their rows.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
};

use uuid::Uuid;

use super::{Database, table::Table};
use crate::user::User;

/// What a request may know of a user, beside id and address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum UserKey {
    Identity {
        provider: String,
        subject: String,
    },
    /// In lower case.
    IdentityEmail(String),
    /// The token hash of a row in `auth.one_time_tokens`.
    TokenHash(String),
    /// The new address, which is not confirmed yet.
    EmailChange(String),
    /// The new number, which is not confirmed yet.
    PhoneChange(String),
}

impl Database {
    pub(crate) fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }
}

/// The users by their ids.
#[derive(Default)]
pub(super) struct UserTable {
    rows: Table<Uuid, User>,
    index: RefCell<Index>,
}

/// The ids of the users by their keys. A changed row is indexed again before the next look-up.
#[derive(Default)]
struct Index {
    ids: HashMap<UserKey, Vec<Uuid>>,
    keys: HashMap<Uuid, Vec<UserKey>>,
    changed: HashSet<Uuid>,
}

impl UserTable {
    pub(super) fn get(&self, id: &Uuid) -> Option<&User> {
        self.rows.get(id)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &User> {
        self.rows.values()
    }

    /// The users with this key.
    pub(super) fn find(&self, key: &UserKey) -> Vec<&User> {
        let mut index = self.index.borrow_mut();
        for id in std::mem::take(&mut index.changed) {
            index.update(id, self.rows.get(&id));
        }
        index.ids.get(key).into_iter().flatten().filter_map(|id| self.rows.get(id)).collect()
    }

    pub(super) fn get_mut(&mut self, id: &Uuid) -> Option<&mut User> {
        self.index.get_mut().changed.insert(*id);
        self.rows.get_mut(id)
    }

    pub(super) fn insert(&mut self, id: Uuid, user: User) {
        self.index.get_mut().changed.insert(id);
        self.rows.insert(id, user);
    }

    pub(super) fn remove(&mut self, id: &Uuid) -> Option<User> {
        self.index.get_mut().changed.insert(*id);
        self.rows.remove(id)
    }

    pub(super) fn begin(&mut self) {
        self.rows.begin();
    }

    pub(super) fn commit(&mut self) {
        self.rows.commit();
    }

    pub(super) fn roll_back(&mut self) {
        self.index.get_mut().changed.extend(self.rows.changed_keys());
        self.rows.roll_back();
    }
}

impl Index {
    fn update(&mut self, id: Uuid, user: Option<&User>) {
        for key in self.keys.remove(&id).unwrap_or_default() {
            if let Some(ids) = self.ids.get_mut(&key) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.ids.remove(&key);
                }
            }
        }
        let Some(user) = user else { return };
        let keys = keys_of(user);
        for key in keys.iter().cloned() {
            let ids = self.ids.entry(key).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        self.keys.insert(id, keys);
    }
}

fn keys_of(user: &User) -> Vec<UserKey> {
    let mut keys = Vec::new();
    for identity in &user.identities {
        let (provider, subject) = (identity.provider.clone(), identity.provider_id.clone());
        keys.push(UserKey::Identity { provider, subject });
        keys.extend(identity.email().map(|email| UserKey::IdentityEmail(email.to_lowercase())));
    }
    keys.extend(user.codes.row_hashes().map(|hash| UserKey::TokenHash(hash.to_owned())));
    keys.extend(user.email_change.clone().map(UserKey::EmailChange));
    keys.extend(user.phone_change.clone().map(UserKey::PhoneChange));
    keys
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn changing_to(table: &UserTable, phone: &str) -> usize {
        table.find(&UserKey::PhoneChange(phone.to_owned())).len()
    }

    #[test]
    fn the_index_follows_changes_deletions_and_rollbacks() {
        let mut table = UserTable::default();
        let id = Uuid::from_u128(1);
        let set = |table: &mut UserTable, phone: &str| {
            table.get_mut(&id).unwrap().phone_change = Some(phone.to_owned());
        };
        table.insert(id, User::new(id, UNIX_EPOCH));
        set(&mut table, "1");
        assert_eq!((changing_to(&table, "1"), changing_to(&table, "2")), (1, 0));
        set(&mut table, "2");
        assert_eq!((changing_to(&table, "1"), changing_to(&table, "2")), (0, 1));
        table.begin();
        set(&mut table, "3");
        assert_eq!((changing_to(&table, "2"), changing_to(&table, "3")), (0, 1));
        table.roll_back();
        assert_eq!((changing_to(&table, "2"), changing_to(&table, "3")), (1, 0));
        table.remove(&id);
        assert_eq!(changing_to(&table, "2"), 0);
        assert!(table.index.borrow().ids.is_empty());
    }
}
