//! Finds users by their identities, and keeps a user's address among those of the identities.

use std::time::SystemTime;

use serde_json::json;
use uuid::Uuid;

use super::{Database, UserKey};
use crate::{
    identity::{Identity, unverified_claims},
    one_time_tokens::CodeKind,
    person::ExternalIdentity,
    user::User,
};

impl Database {
    /// The user who has this identity.
    pub(crate) fn user_id_by_identity(&self, provider: &str, subject: &str) -> Option<Uuid> {
        let key = UserKey::Identity { provider: provider.to_owned(), subject: subject.to_owned() };
        self.users.find(&key).first().map(|user| user.id)
    }

    /// The users one of whose identities has this address, which is in lower case.
    pub(crate) fn user_ids_by_identity_email(&self, email: &str) -> Vec<Uuid> {
        let users = self.users.find(&UserKey::IdentityEmail(email.to_owned()));
        users.into_iter().map(|user| user.id).collect()
    }

    /// The user who has this address, which is in lower case: GoTrue's `IsDuplicatedEmail`. The identities of other
    /// users than `except` come first, then the addresses of all users.
    pub(crate) fn duplicated_email(&self, email: &str, except: Option<Uuid>) -> Option<&User> {
        let others = self.user_ids_by_identity_email(email);
        let other = others.into_iter().find(|id| Some(*id) != except);
        other.and_then(|id| self.user(id)).or_else(|| self.user_by_email(email))
    }

    /// The user whose column of the confirmation code has this token hash.
    pub(crate) fn user_id_by_confirmation(&self, token_hash: &str) -> Option<Uuid> {
        let kinds = [CodeKind::Confirmation];
        self.user_by_token_hash(&kinds, token_hash).map(|user| user.id)
    }

    /// The row of an identity at a provider.
    pub(crate) fn external_identity(
        &mut self,
        external: &ExternalIdentity,
        now: SystemTime,
    ) -> Identity {
        Identity {
            id: self.new_uuid(),
            provider: external.provider.clone(),
            provider_id: external.subject.clone(),
            data: external.data.clone(),
            created_at: now,
            last_sign_in_at: now,
            updated_at: now,
        }
    }

    /// Keeps a user's address if an identity has it, and else takes that of an identity: one that its provider has
    /// verified before one that it has not. A new address voids every code. Returns whether there was such an address
    /// that no other user has.
    pub(crate) fn update_email_from_identities(&mut self, id: Uuid, confirms_emails: bool) -> bool {
        let Some(user) = self.users.get(&id) else { return false };
        let email_of = |identity: &Identity| identity.email().unwrap_or_default().to_lowercase();
        if user.identities.iter().any(|identity| email_of(identity) == user.email()) {
            return true;
        }
        let rank = |identity: &&Identity| match identity.email() {
            None => 2,
            Some(_) => u8::from(!identity.is_email_verified()),
        };
        let mut identities: Vec<_> = user.identities.iter().collect();
        identities.sort_by_key(rank);
        let mut free = identities
            .into_iter()
            .map(|identity| (email_of(identity), identity.is_email_verified()));
        let Some((email, is_verified)) = free.find(|(email, _)| !self.emails.contains_key(email))
        else {
            return false;
        };
        let is_confirmed = !email.is_empty() && (is_verified || confirms_emails);
        let Some(user) = self.users.get_mut(&id) else { return false };
        let new_email = Some(email).filter(|email| !email.is_empty());
        if let Some(old) = std::mem::replace(&mut user.email, new_email.clone()) {
            self.emails.remove(&old);
        }
        if let Some(email) = new_email {
            self.emails.insert(email, id);
        }
        user.clear_pending_tokens();
        if !is_confirmed {
            user.email_confirmed_at = None;
            user.user_metadata.insert("email_verified".to_owned(), false.into());
        }
        true
    }

    /// Removes a user's phone number, whose identity was deleted.
    pub(crate) fn remove_phone(&mut self, id: Uuid) {
        let Some(user) = self.users.get_mut(&id) else { return };
        user.phone_confirmed_at = None;
        if let Some(phone) = user.phone.take() {
            self.phones.remove(&phone);
        }
    }

    /// Makes an identity the only one of an unconfirmed user, and removes the password: an attacker may have signed up
    /// with the person's address before. GoTrue's `RemoveUnconfirmedIdentities`.
    pub(crate) fn replace_unconfirmed_identities(&mut self, id: Uuid, identity: Identity) {
        let Some(user) = self.users.get_mut(&id) else { return };
        user.password = None;
        user.user_metadata.clone_from(&identity.data);
        user.identities = vec![identity];
        user.update_providers();
    }
}

/// Adds the identity of an address of the user's own. Its data are the address and the user's metadata, and become the
/// user's metadata: GoTrue's `RemoveUnconfirmedIdentities`.
pub(crate) fn add_identity(user: &mut User, mut identity: Identity) {
    let mut data = user.user_metadata.clone();
    data.extend(unverified_claims(user.id));
    data.extend(user.email.as_ref().map(|email| ("email".to_owned(), json!(email))));
    user.user_metadata.clone_from(&data);
    identity.data = data;
    user.identities = vec![identity];
    user.update_providers();
}
