//! The text that the demo prints once its servers listen: their addresses, and three commands to paste into a
//! shell.
//!
//! Each command is one line for any POSIX shell and needs only curl and sed. The commands contain no
//! comments, because an interactive zsh does not treat `#` as the start of a comment.

use std::{
    fmt::{Display, Formatter, Result},
    net::SocketAddr,
};

use super::User;

/// The values in the text. `Display` writes the whole text.
#[derive(Debug)]
pub(crate) struct Banner<'a> {
    /// The address of the page and the gateway.
    pub(crate) gateway: SocketAddr,
    /// Pairs of a requested address and the address that is used, which differ if a port was in use.
    pub(crate) addresses: [(SocketAddr, SocketAddr); 2],
    /// The URL of the mock, `http://<address>`.
    pub(crate) gotrue: &'a str,
    /// The user that the printed commands sign in.
    pub(crate) user: User,
}

impl Display for Banner<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { gateway, addresses, gotrue, user: User { email, password } } = self;
        for (requested, used) in addresses {
            if ![0, used.port()].contains(&requested.port()) {
                writeln!(f, "port {} is taken, using {}", requested.port(), used.port())?;
            }
        }
        write!(
            f,
            r#"
The page      http://{gateway}/
The gateway   http://{gateway}
GoTrue        {gotrue}  (a mock: everything in memory)
A user        {email}, password {password}

To try it in a shell, paste these commands.

Sign in at GoTrue; the response has an access token, which is valid for an hour:

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
