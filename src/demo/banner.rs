//! What the demo prints once everything listens: addresses, and three commands to paste.
//!
//! Each command is one line for bash, zsh and any POSIX shell, and needs curl and sed alone. No line
//! between them is a command, nor a comment: an interactive zsh would run it.

use std::{
    fmt::{Display, Formatter, Result},
    net::SocketAddr,
};

use super::User;

/// The whole text.
#[derive(Debug)]
pub(super) struct Announcement<'a> {
    /// Where page and gateway listen.
    pub(super) gateway: SocketAddr,
    /// Addresses asked for, each with the one that was got.
    pub(super) wanted: [(SocketAddr, SocketAddr); 2],
    /// `http://<address>`.
    pub(super) gotrue: &'a str,
    /// Who can sign in.
    pub(super) user: User,
}

impl Display for Announcement<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { gateway, wanted, gotrue, user: User { email, password } } = self;
        for (wanted, got) in wanted {
            if ![0, got.port()].contains(&wanted.port()) {
                writeln!(f, "port {} is taken, using {}", wanted.port(), got.port())?;
            }
        }
        write!(
            f,
            r#"
The page      http://{gateway}/
The gateway   http://{gateway}
GoTrue        {gotrue}  (a mock: everything in memory)
A user        {email}, password {password}

Or paste these into a shell.

Sign in at GoTrue; it answers an access token, good for an hour:

  TOKEN=$(curl -sS '{gotrue}/auth/v1/token?grant_type=password' -H 'Content-Type: application/json' -d '{{"email":"{email}","password":"{password}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/'); echo "$TOKEN"

Log out at the gateway; see X-Logout-Outcome:

  curl -sS -i -X POST 'http://{gateway}/api/auth/logout' -H "Authorization: Bearer $TOKEN"; echo

Try the token again; it has most of its hour left, and is refused:

  curl -sS -i 'http://{gateway}/api/auth/verify' -H "Authorization: Bearer $TOKEN"; echo

Ctrl-C stops it.
"#
        )
    }
}
