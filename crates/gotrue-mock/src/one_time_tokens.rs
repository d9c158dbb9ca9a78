//! The codes that GoTrue sends by mail and text message. GoTrue keeps each twice: in a column of the user, by which a
//! code is found with the user's address, and in a row of `auth.one_time_tokens`, by which a token hash is found alone.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA224, digest};

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CodeKind {
    Confirmation,
    Recovery,
    /// A new e-mail address, sent to the current one.
    EmailChangeCurrent,
    /// A new e-mail address, sent to the new one.
    EmailChangeNew,
    PhoneChange,
    Reauthentication,
}

impl CodeKind {
    /// The kinds for a new e-mail address.
    pub(crate) const EMAIL_CHANGE: [Self; 2] = [Self::EmailChangeCurrent, Self::EmailChangeNew];

    /// GoTrue's name of the row's type.
    pub(crate) fn row_name(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation_token",
            Self::Recovery => "recovery_token",
            Self::EmailChangeCurrent => "email_change_token_current",
            Self::EmailChangeNew => "email_change_token_new",
            Self::PhoneChange => "phone_change_token",
            Self::Reauthentication => "reauthentication_token",
        }
    }
}

/// The codes of one user.
#[derive(Clone, Debug, Default)]
pub(crate) struct OneTimeTokens {
    /// The columns of the user: token hashes.
    columns: BTreeMap<CodeKind, String>,
    /// When a code of this kind was sent last.
    sent_at: BTreeMap<CodeKind, SystemTime>,
    /// The rows of `auth.one_time_tokens`: token hashes.
    rows: BTreeMap<CodeKind, String>,
}

impl OneTimeTokens {
    pub(crate) fn issue(&mut self, kind: CodeKind, token_hash: String, now: SystemTime) {
        self.columns.insert(kind, token_hash.clone());
        self.rows.insert(kind, token_hash);
        self.sent_at.insert(kind, now);
    }

    /// Clears the column of this kind, and the rows of all kinds, as GoTrue does when a code was used.
    pub(crate) fn use_up(&mut self, kind: CodeKind) {
        self.columns.remove(&kind);
        self.rows.clear();
    }

    /// Clears column and row of the first of these kinds that has this token hash, and leaves the others.
    pub(crate) fn clear_first(&mut self, kinds: &[CodeKind], token_hash: &str) {
        let has_hash = |kind: &&CodeKind| {
            [&self.columns, &self.rows]
                .iter()
                .any(|hashes| hashes.get(*kind).is_some_and(|known| known == token_hash))
        };
        if let Some(kind) = kinds.iter().find(has_hash) {
            self.columns.remove(kind);
            self.rows.remove(kind);
        }
    }

    /// Clears the codes for a new e-mail address, and the times at which they were sent.
    pub(crate) fn clear_email_change(&mut self) {
        for kind in CodeKind::EMAIL_CHANGE {
            self.columns.remove(&kind);
            self.rows.remove(&kind);
            self.sent_at.remove(&kind);
        }
    }

    /// Clears all codes and the times at which they were sent.
    pub(crate) fn clear_all(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn sent_at(&self, kind: CodeKind) -> Option<SystemTime> {
        self.sent_at.get(&kind).copied()
    }

    /// The kinds of the rows.
    pub(crate) fn row_kinds(&self) -> impl Iterator<Item = CodeKind> {
        self.rows.keys().copied()
    }

    /// The token hashes of the rows.
    pub(crate) fn row_hashes(&self) -> impl Iterator<Item = &str> {
        self.rows.values().map(String::as_str)
    }

    /// Whether a row of one of these kinds has this token hash.
    pub(crate) fn has_row(&self, kinds: &[CodeKind], token_hash: &str) -> bool {
        kinds.iter().any(|kind| self.rows.get(kind).is_some_and(|row| row == token_hash))
    }

    /// Whether the column has this token hash, of the implicit flow or of PKCE.
    pub(crate) fn has_column(&self, kind: CodeKind, token_hash: &str) -> bool {
        self.columns.get(&kind).is_some_and(|column| {
            column == token_hash || column.strip_prefix(PKCE_PREFIX) == Some(token_hash)
        })
    }

    /// Whether a code of this kind was sent at most `lifetime` ago.
    pub(crate) fn is_fresh(&self, kind: CodeKind, lifetime: Duration, now: SystemTime) -> bool {
        self.sent_at(kind).is_some_and(|sent_at| now <= sent_at + lifetime)
    }
}

/// Begins the token hash of a link whose session the client fetches by PKCE.
pub(crate) const PKCE_PREFIX: &str = "pkce_";

/// GoTrue's hash of an address and a code: SHA-224 in hexadecimal.
pub(crate) fn token_hash(address: &str, code: &str) -> String {
    hex::encode(digest(&SHA224, format!("{address}{code}").as_bytes()))
}

/// A code of six digits.
pub(crate) fn new_code(rng: &mut fastrand::Rng) -> String {
    format!("{:06}", rng.u32(0..1_000_000))
}
