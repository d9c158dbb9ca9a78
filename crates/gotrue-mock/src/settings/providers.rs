//! The names of the identity providers that GoTrue knows.

/// Identity providers that GoTrue knows, and does not list at `GET /settings`.
pub(crate) const UNLISTED_PROVIDERS: [&str; 2] = ["vercel_marketplace", "x"];

/// The other identity providers that GoTrue knows.
pub(crate) const PROVIDERS: [&str; 23] = [
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "snapchat",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "kakao",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "spotify",
    "slack",
    "slack_oidc",
    "workos",
    "twitch",
    "twitter",
    "zoom",
];
