//! The placeholders in recorded texts, and for which texts each may stand.

/// A part of a recorded text.
pub(super) enum Part<'t> {
    Text(&'t str),
    Placeholder(&'t str),
}

/// Splits a recorded text at its placeholders.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((start, end)) = placeholder(rest) {
        let (before, from_start) = rest.split_at(start);
        let (name, after) = from_start.split_at(end - start);
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Placeholder(name));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// The names of placeholders. Other texts in angle brackets, such as `<svg>`, stand for themselves.
const KINDS: [&str; 30] = [
    "access-token",
    "access-token without session_id",
    "anon-key",
    "auth-code",
    "authorization",
    "challenge",
    "client",
    "factor",
    "id-token",
    "identity",
    "jwt",
    "n",
    "obfuscated",
    "otp",
    "passkey",
    "prefix",
    "refresh-token",
    "service-role-key",
    "service-role-key with another signature",
    "session",
    "state",
    "time",
    "token-hash",
    "totp",
    "totp-secret",
    "unix-time",
    "user",
    "uuid",
    "webauthn",
    "webauthn-challenge",
];

/// The first placeholder: where it begins and ends.
fn placeholder(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(start) = text[from..].find('<').map(|at| from + at) {
        let end = text[start..].find('>').map(|at| start + at + 1)?;
        let kind = text[start + 1..end - 1].split(':').next().unwrap_or_default();
        if KINDS.contains(&kind) {
            return Some((start, end));
        }
        from = start + 1;
    }
    None
}

/// Whether a text may be what a placeholder stands for.
pub(super) fn may_stand_for(placeholder: &str, text: &str) -> bool {
    let kind = placeholder.trim_matches(['<', '>']);
    let kind = kind.split(':').next().unwrap_or_default();
    let is_of = |allowed: &str, text: &str| {
        text.bytes().all(|b| b.is_ascii_alphanumeric() || allowed.as_bytes().contains(&b))
    };
    match kind {
        "n" | "unix-time" => text.bytes().all(|b| b.is_ascii_digit()),
        "time" => humantime::parse_rfc3339(text).is_ok(),
        "user" | "session" | "identity" | "factor" | "challenge" | "uuid" | "auth-code" => {
            uuid::Uuid::try_parse(text).is_ok()
        }
        "otp" | "totp" => text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()),
        "prefix" => text.len() == 5 && is_of("", text),
        _ => is_of("-_.", text),
    }
}
