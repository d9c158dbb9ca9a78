//! The address of a listener: an IP address and a port, or the path of a unix socket; and the permissions of the
//! socket's file.

use std::{
    fmt,
    net::SocketAddr,
    os::unix::net::SocketAddr as UnixAddress,
    path::{Path, PathBuf},
};

use super::error::Rule;

/// What the text of a unix socket's address begins with.
const UNIX: &str = "unix:";

/// The address of a listener. `Display` writes the form in which an operator sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and a TCP port.
    Tcp(SocketAddr),
    /// The absolute path of a unix socket, written `unix:/path`.
    Unix(PathBuf),
}

impl ListenAddress {
    /// The IP address and the port; `None` for a unix socket.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path of a unix socket; `None` for TCP.
    pub(crate) fn unix(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// Parses `ip:port` or `unix:/path`. The path is absolute and short enough for a socket's address (unix(7)).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some(path) = text.strip_prefix(UNIX) else { return text.parse().ok().map(Self::Tcp) };
        let path = PathBuf::from(path);
        let is_valid = path.is_absolute() && UnixAddress::from_pathname(&path).is_ok();
        is_valid.then_some(Self::Unix(path))
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

pub(super) fn address(text: &str) -> Result<ListenAddress, Rule> {
    let rule = "must be `ip:port`, an IPv6 address in brackets, or `unix:` and an absolute path of at most 107 bytes";
    ListenAddress::parse(text).ok_or(rule.into())
}

pub(super) fn address_or_off(text: &str) -> Result<Option<ListenAddress>, Rule> {
    if text == "off" {
        return Ok(None);
    }
    let rule = "must be `ip:port`, an IPv6 address in brackets, `unix:` and an absolute path of at most 107 bytes, or \
                `off`";
    ListenAddress::parse(text).map(Some).ok_or(rule.into())
}

/// The permissions of the file of a unix socket. A process needs the permission to write to connect (unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(u32);

impl SocketMode {
    /// The owner and the group may connect.
    pub(super) const DEFAULT: Self = Self(0o660);

    /// The permission bits.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

pub(super) fn socket_mode(text: &str) -> Result<SocketMode, Rule> {
    // Check the digits, because `from_str_radix` would accept a leading `+`.
    let is_octal = text.len() <= 4 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    mode.map(SocketMode).ok_or("must be octal permissions from `0000` to `0777`".into())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::tests::{errors_of, parse},
        *,
    };

    #[rstest]
    #[case("127.0.0.1:80", Some("127.0.0.1:80"))]
    #[case("[::1]:80", Some("[::1]:80"))]
    #[case("unix:/run/gateway/public.sock", Some("unix:/run/gateway/public.sock"))]
    #[case("unix:public.sock", None)]
    #[case("unix:", None)]
    #[case("unix://run/gateway/public.sock", Some("unix://run/gateway/public.sock"))]
    #[case("unix:@abstract", None)]
    #[case("unix:/a\0b", None)]
    #[case("/run/gateway/public.sock", None)]
    #[case("UNIX:/run/gateway/public.sock", None)]
    fn an_address_is_an_ip_address_or_the_path_of_a_socket(
        #[case] text: &str,
        #[case] address: Option<&str>,
    ) {
        let parsed = ListenAddress::parse(text).map(|address| address.to_string());
        assert_eq!(parsed.as_deref(), address);
    }

    #[test]
    fn a_path_fits_into_a_socket_address() {
        let path = |length: usize| format!("unix:/{}", "a".repeat(length - 1));
        assert!(ListenAddress::parse(&path(107)).is_some());
        assert!(ListenAddress::parse(&path(108)).is_none());
    }

    #[rstest]
    #[case("0660", Some("0660"))]
    #[case("600", Some("0600"))]
    #[case("0", Some("0000"))]
    #[case("0777", Some("0777"))]
    #[case("1777", None)]
    #[case("0680", None)]
    #[case("00660", None)]
    #[case("+660", None)]
    #[case("0o660", None)]
    #[case("rw-rw----", None)]
    fn a_mode_is_octal(#[case] text: &str, #[case] mode: Option<&str>) {
        assert_eq!(socket_mode(text).ok().map(|mode| mode.to_string()).as_deref(), mode);
    }

    #[test]
    fn the_owner_and_the_group_may_connect_by_default() {
        assert_eq!(parse(&[]).server.socket_mode.bits(), 0o660);
    }

    #[rstest]
    #[case("unix:/run/a", "unix:/run/a", false)]
    #[case("unix:/run/a", "unix:/run//a", false)]
    #[case("unix:/run/a", "unix:/run/b", true)]
    #[case("unix:/run/a", "127.0.0.1:8080", true)]
    fn the_two_listeners_must_have_different_paths(
        #[case] bind: &str,
        #[case] admin: &str,
        #[case] good: bool,
    ) {
        let errors = errors_of(&[("GATEWAY_BIND", bind), ("GATEWAY_ADMIN_BIND", admin)]);
        assert_eq!(errors.is_empty(), good, "{errors:?}");
    }
}
