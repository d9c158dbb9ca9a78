//! The identities of a user's own addresses that a change of the address or an administrator writes.

use std::time::SystemTime;

use serde_json::{Value, json};
use uuid::Uuid;

use super::Database;
use crate::identity::unverified_claims;

/// What an identity of an address says: the address, and whether its user has confirmed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressClaims<'a> {
    /// `email` or `phone`, which is the provider and the name of the member.
    pub(crate) provider: &'static str,
    pub(crate) address: &'a str,
    pub(crate) is_verified: bool,
}

impl AddressClaims<'_> {
    /// The members that change when an address changes.
    fn update(&self) -> [(String, Value); 2] {
        [
            (self.provider.to_owned(), json!(self.address)),
            (format!("{}_verified", self.provider), json!(self.is_verified)),
        ]
    }
}

impl Database {
    /// Updates the identity of an address, or adds one. Unlike the identity of a sign-up, a new one has nothing of the
    /// user's metadata.
    pub(crate) fn write_address_identity(
        &mut self,
        user_id: Uuid,
        claims: AddressClaims<'_>,
        now: SystemTime,
    ) {
        let mut identity = self.new_identity(user_id, claims.provider, now);
        let Some(user) = self.users.get_mut(&user_id) else { return };
        if let Some(known) = user.identity(claims.provider) {
            known.data.extend(claims.update());
            known.updated_at = now;
            return;
        }
        identity.data = unverified_claims(user_id);
        identity.data.extend(claims.update());
        user.identities.push(identity);
    }
}
