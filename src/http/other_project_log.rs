//! Warns of requests whose only session cookie has another name than the gateway expects. The usual reason is
//! that the browser's Supabase client and the gateway are configured with different URLs of one project.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use crate::session::cookies::OtherProject;

/// The most names that are logged. Clients choose the names of cookies, so they could cause any number of lines.
const MOST_NAMES: usize = 5;

/// The names that were logged already.
#[derive(Debug, Default)]
pub(crate) struct OtherProjectLog(Mutex<BTreeSet<String>>);

impl OtherProjectLog {
    /// Logs one line for each name, and [`MOST_NAMES`] lines at most.
    pub(super) fn report(&self, other: &OtherProject) {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < MOST_NAMES && logged.insert(other.found.clone()) {
            tracing::warn!(variable = "SUPABASE_URL", "{other}");
        }
    }
}
