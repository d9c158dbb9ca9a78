//! A GoTrue in the same process and on the same runtime as the gateway, whose responses are part of the
//! input.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use seeds::recorded::{Jar, jars};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::message::{headers, split};

/// GoTrue's responses to a logout and to a refresh, parsed from a line of the input such as `204;same` or
/// `late 403 session_not_found;foreign`.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Whether the time is so late that the recorded tokens have expired.
    pub expired: bool,
    /// Whether the request goes to the gateway with the other configuration instead of the default one.
    pub other_configuration: bool,
    logout: (u16, String),
    refresh: Refresh,
}

#[derive(Clone, Debug, Default)]
enum Refresh {
    #[default]
    Same,
    Foreign,
    Refused(u16, String),
}

/// A call that this GoTrue received, and the response that it sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// The path of the call below `/auth/v1`, with the query.
    pub target: String,
    /// The bearer token of the call; `None` if the call has none.
    pub token: Option<String>,
    /// The HTTP status of the response.
    pub status: u16,
    /// The error code of the response; empty if it has none.
    pub code: String,
}

/// Finds a recorded access token by the refresh token of the same session.
static SESSIONS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let tokens = |jar: &Jar| (jar.refresh_token().to_owned(), jar.access_token().to_owned());
    jars().iter().map(tokens).collect()
});

/// The GoTrue server. A clone is the same server.
#[derive(Clone, Debug, Default)]
pub struct GoTrue(Arc<Mutex<(Script, Vec<Call>)>>);

impl Script {
    /// Parses a line of the input; returns `None` if the line is malformed.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (line, refresh) = std::str::from_utf8(line).ok()?.split_once(';')?;
        let (expired, line) = line.strip_prefix("late ").map_or((false, line), |rest| (true, rest));
        let (other_configuration, line) =
            line.strip_prefix("other ").map_or((false, line), |rest| (true, rest));
        let refresh = match refresh {
            "same" => Refresh::Same,
            "foreign" => Refresh::Foreign,
            refused => {
                let (status, code) = status_and_code(refused)?;
                Refresh::Refused(status, code)
            }
        };
        Some(Self { expired, other_configuration, logout: status_and_code(line)?, refresh })
    }
}

/// Parses a status and an optional error code. 502 to 504 become 500, because the gateway waits and retries
/// after 502 to 504, which would make the target slow.
fn status_and_code(text: &str) -> Option<(u16, String)> {
    let (status, code) = text.split_once(' ').unwrap_or((text, ""));
    let status = status.parse().ok().filter(|status| (200..600).contains(status))?;
    let status = if (502..=504).contains(&status) { 500 } else { status };
    Some((status, code.chars().filter(char::is_ascii_graphic).collect()))
}

impl GoTrue {
    /// Sets the script of all responses from now on; returns the calls since `set_script` was called before.
    pub fn set_script(&self, script: Script) -> Vec<Call> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = script;
        std::mem::take(&mut state.1)
    }

    /// Accepts connections and serves calls as long as the listener works.
    pub async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve_connection(stream));
        }
    }

    async fn serve_connection(self, mut stream: TcpStream) -> Option<()> {
        let mut received = Vec::new();
        loop {
            let (head, body) = match split(&received, b"\r\n\r\n") {
                Some((head, rest)) if rest.len() >= length(head) => (head.to_vec(), rest.to_vec()),
                _ => match stream.read_buf(&mut received).await {
                    Ok(1..) => continue,
                    _ => return None,
                },
            };
            received.clear();
            stream.write_all(self.answer(&head, &body)?.as_bytes()).await.ok()?;
        }
    }

    fn answer(&self, head: &[u8], body: &[u8]) -> Option<String> {
        let (line, head) = split(head, b"\r\n")?;
        let target = std::str::from_utf8(line).ok()?.split(' ').nth(1)?;
        let target = target.strip_prefix("/auth/v1")?.to_owned();
        let token = headers(head)
            .get("authorization")
            .and_then(|value| Some(value.to_str().ok()?.strip_prefix("Bearer ")?.to_owned()));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, code, body) = state.0.respond(&target, body);
        let retry = if status == 429 { "Retry-After: 7\r\n" } else { "" };
        let named =
            if code.is_empty() { String::new() } else { format!("x-sb-error-code: {code}\r\n") };
        let length = match status {
            204 | 304 => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let body = if length.is_empty() { "" } else { &body };
        state.1.push(Call { target, token, status, code });
        Some(format!("HTTP/1.1 {status} X\r\n{named}{retry}{length}\r\n{body}"))
    }
}

impl Script {
    fn respond(&self, target: &str, body: &[u8]) -> (u16, String, String) {
        let (status, code) = self.logout.clone();
        if !target.starts_with("/token") {
            let user = target.starts_with("/user") && status == 204;
            return (if user { 200 } else { status }, code, "{}".to_owned());
        }
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let refresh_token = body["refresh_token"].as_str().unwrap_or_default();
        let token = match &self.refresh {
            Refresh::Refused(status, code) => return (*status, code.clone(), "{}".to_owned()),
            Refresh::Same => SESSIONS.get(refresh_token),
            Refresh::Foreign => {
                SESSIONS.iter().find(|(token, _)| *token != refresh_token).map(|(_, token)| token)
            }
        };
        match token {
            Some(token) => {
                (200, String::new(), serde_json::json!({ "access_token": token }).to_string())
            }
            None => (400, "refresh_token_not_found".to_owned(), "{}".to_owned()),
        }
    }
}

fn length(head: &[u8]) -> usize {
    let length = headers(head).get("content-length").and_then(|l| l.to_str().ok()?.parse().ok());
    length.unwrap_or_default()
}
