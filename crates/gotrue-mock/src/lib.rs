//! A GoTrue in memory to test against: no PostgreSQL, faults on demand.
//!
//! 1. Under `/auth/v1` the mock answers as the recordings in `fixtures/gotrue/` do: status, error
//!    codes, body shapes in both API versions, and the effect on sessions.
//! 2. Under `/mock` a test reads the call log, ends sessions, advances the clock, and injects
//!    faults. [`Mock`] offers the same to a test in the same process.
//!    `GET /mock/project` shows the URLs and the API keys of the project, as [`Mock::project_keys`] does.
//! 3. The mock keeps nothing on disk. [`Mock::reset`] returns it to its state at the start.
//! 4. With [`Options::fallback`], requests for other paths are passed on to another server, such as `PostgREST`.
//! 5. The caller of [`Mock::new`] supplies the time, which a test can advance further. The `Date` header shows this
//!    time, except on answers to CORS preflights, of `/mock/worlds` itself and of the fallback.
//! 6. Under `/mock/worlds/<name>` stands a world: a mock of its own, with all paths of this one. The first request
//!    for a name begins it.
//!
//! # Not in the mock
//!
//! GoTrue's endpoints that the mock does not have are answered with status 501 and the code `not_implemented`.
//! `docs/ci.md` lists them by feature, each with the reason. [`Settings::disabled`] switches a feature off, then the
//! answer is that of a GoTrue without it. Other unknown paths are 404. A second factor of the type `webauthn` is
//! refused as GoTrue refuses it by default.

mod accepted;
mod access_token;
mod access_token_hook;
mod address_change;
mod algorithm;
mod audit_log;
mod authentication;
mod calls;
mod client_addr;
mod clock;
mod control;
mod cors;
mod credentials;
mod database;
mod endpoints;
mod error;
mod error_codes;
mod external_flow;
mod factor;
mod fallback;
mod faults;
mod flow_state;
mod go_duration;
mod go_json;
mod identity;
mod ilike;
mod initial_users;
mod jwk;
mod keys;
mod linking;
mod lock;
mod mailer;
mod metadata;
mod mock;
mod mounted;
mod one_time_tokens;
mod operation;
mod options;
mod outbox;
mod pagination;
mod path;
mod person;
mod project_keys;
mod rate_limit_checks;
mod rate_limits;
mod redirect;
mod redirect_rules;
mod refresh_token;
mod request;
mod router;
mod routes;
mod server;
mod session;
mod session_expiry;
mod session_limits;
mod session_response;
mod settings;
mod totp;
mod user;
mod user_creation;
mod user_form;
mod user_rows;
mod verification;
mod worlds;

pub use access_token_hook::AccessTokenHook;
pub use algorithm::Algorithm;
pub use calls::Call;
pub use clock::ClockLimitError;
pub use control::Tokens;
pub use faults::Fault;
pub use initial_users::{InitialUsers, UserError};
pub use jwk::JwkError;
pub use keys::{SigningKeys, TEST_SECRET};
pub use mock::{Mock, StartError};
pub use options::Options;
pub use outbox::Mail;
pub use person::Person;
pub use project_keys::ProjectKeys;
pub use server::serve;
pub use session_expiry::SessionExpiry;
pub use session_limits::SessionLimits;
pub use settings::{Feature, Settings};
pub use totp::totp_code;
pub use user_rows::{RefreshTokenRows, UserRows};
