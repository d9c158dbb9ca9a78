//! What `logout-gateway demo` serves and prints: the page, the configuration of its gateway, and the banner.

pub(crate) mod banner;
pub(crate) mod page;
pub(crate) mod settings;

/// The demo's user, who exists from the start.
pub(crate) const USER: User = User { email: "demo@example.com", password: "demo-password" };

/// A user of the demo's GoTrue.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct User {
    pub(crate) email: &'static str,
    pub(crate) password: &'static str,
}
