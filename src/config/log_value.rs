//! How the line `starting` shows the value of a setting: as an operator writes it.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use axum::http::HeaderValue;
use humantime::format_duration;
use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::{
    choice::Choice,
    redirects::{AllowedRedirect, Destination},
    store::StoreAddress,
    supabase::Project,
};
use crate::outcome::Scope;

/// A value of a setting in the log.
pub(super) trait LogValue {
    /// The text for an `Option` without a value.
    const NONE: &'static str = "none";

    /// The text of the value, without secrets.
    fn log_value(&self) -> String;
}

/// Implements the trait for types whose `Display` an operator could have written.
macro_rules! display_log_values {
    ($($type:ty),*) => {
        $(impl LogValue for $type {
            fn log_value(&self) -> String {
                self.to_string()
            }
        })*
    };
}

display_log_values!(
    String,
    u16,
    u64,
    usize,
    NonZeroUsize,
    Url,
    IpNet,
    AllowedRedirect,
    StoreAddress
);

impl<T: Choice> LogValue for T {
    fn log_value(&self) -> String {
        let choice = T::CHOICES.iter().find(|(_, value)| value == self);
        choice.map(|(word, _)| *word).unwrap_or_default().to_owned()
    }
}

impl LogValue for Scope {
    fn log_value(&self) -> String {
        self.as_str().to_owned()
    }
}

/// Only `GATEWAY_ADMIN_BIND` may have no address.
impl LogValue for SocketAddr {
    const NONE: &'static str = "off";

    fn log_value(&self) -> String {
        self.to_string()
    }
}

impl LogValue for Duration {
    fn log_value(&self) -> String {
        format_duration(*self).to_string()
    }
}

impl LogValue for SecretString {
    const NONE: &'static str = "not set";

    fn log_value(&self) -> String {
        "set".to_owned()
    }
}

/// The value of `Clear-Site-Data`, whose types are quoted strings.
impl LogValue for HeaderValue {
    fn log_value(&self) -> String {
        self.to_str().unwrap_or_default().replace(['"', ' '], "")
    }
}

impl LogValue for Project {
    fn log_value(&self) -> String {
        self.url.to_string()
    }
}

impl LogValue for Destination {
    fn log_value(&self) -> String {
        self.location().to_owned()
    }
}

impl<T: LogValue> LogValue for Option<T> {
    fn log_value(&self) -> String {
        self.as_ref().map_or_else(|| T::NONE.to_owned(), T::log_value)
    }
}

impl<T: LogValue> LogValue for Vec<T> {
    fn log_value(&self) -> String {
        if self.is_empty() {
            return "none".to_owned();
        }
        self.iter().map(T::log_value).collect::<Vec<_>>().join(",")
    }
}
