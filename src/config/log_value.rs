//! The text of a setting's value in the start-up log line `starting`, in the form in which an operator writes
//! it.

use std::{num::NonZeroUsize, time::Duration};

use axum::http::HeaderValue;
use humantime::format_duration;
use ipnet::IpNet;
use secrecy::SecretString;
use tracing_subscriber::filter::Targets;
use url::Url;

use super::{
    choice::Choice,
    egress_proxy::EgressProxy,
    listen_address::{ListenAddress, SocketMode},
    redirects::{AllowedRedirect, Destination},
    server::Hsts,
    store::StoreAddress,
    supabase::{Issuer, Project},
};
use crate::outcome::Scope;

/// A setting's value that can be logged.
pub(super) trait LogValue {
    /// The text for a setting of this type that has no value. Not "none", which is a value of `GATEWAY_JWT_ISSUER`
    /// and could be the name of a cookie or a host.
    const UNSET: &'static str = "not set";

    /// The value as text. A secret's text says only that it is set.
    fn log_value(&self) -> String;
}

/// Implements [`LogValue`] by `Display`, for types whose `Display` is the form in which an operator writes
/// the value.
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
    Targets,
    IpNet,
    EgressProxy,
    AllowedRedirect,
    Issuer,
    SocketMode,
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

/// The text without a value is `off`, because only `GATEWAY_ADMIN_BIND` may have no address.
impl LogValue for ListenAddress {
    const UNSET: &'static str = "off";

    fn log_value(&self) -> String {
        self.to_string()
    }
}

impl LogValue for Hsts {
    fn log_value(&self) -> String {
        let value = self.header().and_then(|value| value.to_str().ok());
        value.map_or("off", |value| value.trim_start_matches("max-age=")).to_owned()
    }
}

impl LogValue for Duration {
    fn log_value(&self) -> String {
        format_duration(*self).to_string()
    }
}

impl LogValue for SecretString {
    fn log_value(&self) -> String {
        "set".to_owned()
    }
}

/// The header value of `Clear-Site-Data`, without the quotes that the header adds around each type.
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
        self.as_ref().map_or_else(|| T::UNSET.to_owned(), T::log_value)
    }
}

impl<T: LogValue> LogValue for Vec<T> {
    fn log_value(&self) -> String {
        if self.is_empty() {
            return T::UNSET.to_owned();
        }
        self.iter().map(T::log_value).collect::<Vec<_>>().join(",")
    }
}
