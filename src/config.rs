//! Reads the configuration: every flag and environment variable is checked before the gateway binds an
//! address.
//!
//! [`Args`] holds the raw values. [`Config::parse`] makes a [`Config`] from them, or returns every error at
//! once. No error contains a value, because the value may be a secret.

mod args;
mod choice;
mod cookies;
mod csrf;
mod define;
mod egress_proxy;
mod error;
mod flags;
mod limits;
mod listen_address;
mod log_value;
mod logout;
mod logs;
mod redirects;
#[cfg(test)]
mod reference;
mod rules;
mod server;
mod settings;
mod store;
mod supabase;
#[cfg(test)]
pub(crate) mod tests;
mod warnings;

pub use cookies::{CSRF_COOKIE, CookieSameSite, CookieSecure};
pub(crate) use csrf::{CsrfMode, serialised_origin};
pub use error::ConfigErrors;
pub use flags::Args;
pub use listen_address::ListenAddress;
pub(crate) use listen_address::SocketMode;
pub(crate) use logout::SessionNotFound;
pub use logs::LogFormat;
pub(crate) use redirects::Destination;
pub(crate) use supabase::Issuer;

pub use settings::{Config, Cookies, Secrets, Supabase};
pub(crate) use settings::{Limits, Redirects, ServerConfig};
pub(crate) use store::RedisAddress;
pub use store::StoreAddress;
pub(crate) use warnings::{Warning, is_open_to_all, unused_proxies};

impl Config {
    /// Parses the raw values and checks every rule.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every variable whose value breaks a rule.
    pub fn parse(args: Args) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        if !args.contains("SUPABASE_URL") {
            errors.add("SUPABASE_URL", "is required");
        }
        let config = Self::read(args, &mut errors);
        if let Some(config) = &config {
            config.check_combinations(&mut errors);
        }
        config.filter(|_| errors.is_empty()).ok_or(errors)
    }

    /// Checks the rules that concern several settings.
    fn check_combinations(&self, errors: &mut ConfigErrors) {
        let Self { server, secrets, cookies, store, .. } = self;
        if server.admin_bind.as_ref().is_some_and(|admin| server::overlap(&server.bind, admin)) {
            let rule = "must be another address than that of the public listener, or `off`";
            errors.add_conflict(["GATEWAY_ADMIN_BIND", "GATEWAY_BIND", "PORT"], rule);
        }
        if secrets.current.is_none() && secrets.previous.is_some() {
            let rule = "requires GATEWAY_SECRET to be set as well";
            errors.add_conflict(["GATEWAY_SECRET_PREVIOUS", "GATEWAY_SECRET"], rule);
        }
        if cookies::token(&cookies.name).is_err() {
            let rule = "is required: the host of SUPABASE_URL gives no valid cookie name";
            errors.add_conflict(["GATEWAY_COOKIE_NAME"], rule);
        }
        if store.address.is_durable() && secrets.current.is_none() {
            let rule = "is required with this GATEWAY_STORE: the key that encrypts the queue is derived from it";
            errors.add_conflict(["GATEWAY_SECRET"], rule);
        }
    }
}
