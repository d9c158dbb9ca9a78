//! Deletes a user and keeps the row, in which nothing personal can be read any more.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::Database;

/// The longest phone number that the column can keep.
const PHONE_LENGTH: usize = 15;

impl Database {
    /// Replaces the addresses of a user and of the user's identities by hashes, and deletes the password, the metadata,
    /// the codes, the second factors and the sessions.
    pub(crate) fn soft_delete_user(&mut self, user_id: Uuid, now: SystemTime) {
        self.delete_sessions_of(user_id, None);
        let Some(mut user) = self.user(user_id).cloned() else { return };
        self.remove_addresses(&user);
        let obfuscated = |text: &str| obfuscate(user_id, text);
        let short = |text: &str| obfuscated(text).chars().take(PHONE_LENGTH).collect::<String>();
        user.email = Some(obfuscated(user.email()));
        user.phone = Some(short(user.phone()));
        user.email_change = Some(obfuscated(user.email_change.as_deref().unwrap_or_default()));
        user.phone_change = Some(short(user.phone_change.as_deref().unwrap_or_default()));
        for identity in &mut user.identities {
            let name = format!("{}:{}", identity.provider, identity.provider_id);
            identity.provider_id = obfuscated(&name);
            identity.data.clear();
        }
        user.password = None;
        user.user_metadata.clear();
        user.app_metadata.clear();
        user.codes.clear_all();
        user.factors.clear();
        user.deleted_at = Some(now);
        self.insert_user(user);
    }
}

/// GoTrue's hash of the user's id and a text: SHA-256 in base64url.
fn obfuscate(user_id: Uuid, text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("{user_id}{text}").as_bytes()))
}
