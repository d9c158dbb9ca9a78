//! The parts of `logout-gateway demo`: the page, and the text that it prints.

pub(crate) mod banner;
pub(crate) mod page;

/// The user that the demo creates at its start.
pub(crate) const USER: User = User { email: "demo@example.com", password: "demo-password" };

/// A user of the demo's mock of GoTrue.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct User {
    pub(crate) email: &'static str,
    pub(crate) password: &'static str,
}
