//! Section 6 of the contract: cookies whose hostile values could break a parser.
//!
//! The gateway must read or refuse each cookie as the contract requires, must not answer 5xx, and must not
//! repeat any part of the value in its response.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Tokens;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::harness::{
    CookieFormat, Request, TestApp, assert_deletes_cookies, assert_error,
    assert_only_known_headers, session_cookies,
};

const STORAGE_KEY: &str = "sb-127-auth-token";
const FIRST: &str = "sb-127-auth-token.0";
const SECOND: &str = "sb-127-auth-token.1";
const CSRF: &str = "sb-csrf-token";
const KIB: usize = 1024;

/// A genuine session. The tests alter its cookies, or send them together with a hostile value.
struct Genuine {
    tokens: Tokens,
    /// The value of the session cookie, as @supabase/ssr writes it.
    text: String,
    csrf: String,
}

impl Genuine {
    async fn new(app: &TestApp) -> Self {
        let tokens = app.sign_up();
        let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
        let text = session_cookies(STORAGE_KEY, access, refresh, CookieFormat::Base64)[0].1.clone();
        Self { csrf: app.csrf_token(&tokens).await, text, tokens }
    }

    /// The JSON of a session with the access token and the refresh token, followed by the text `members`.
    fn json(&self, members: &str) -> String {
        let Tokens { access_token, refresh_token, .. } = &self.tokens;
        format!(r#"{{"access_token":"{access_token}","refresh_token":"{refresh_token}"{members}}}"#)
    }
}

fn base64(json: impl AsRef<[u8]>) -> Vec<u8> {
    format!("base64-{}", BASE64_URL_SAFE_NO_PAD.encode(json)).into()
}

fn percent(json: &str) -> Vec<u8> {
    utf8_percent_encode(json, NON_ALPHANUMERIC).to_string().into()
}

#[derive(Clone, Copy, PartialEq, Eq)]
/// What the gateway must do with a logout request.
enum Expected {
    /// The gateway must read the session and end it.
    Revoked,
    /// The gateway must find no session: it answers 401 and deletes the cookies.
    NoSession,
    /// The gateway must refuse the request with 400, because the header is not valid HTTP.
    Refused,
}
use Expected::{NoSession, Revoked};

type Row = (&'static str, &'static str, fn(&Genuine) -> Vec<u8>, Expected);

/// Hostile values of the session cookie or of one of its chunks.
#[rustfmt::skip]
const SESSION_VALUES: &[Row] = &[
    ("as it was written", STORAGE_KEY, |g| g.text.clone().into(), Revoked),
    // Quotes are part of a cookie's value (RFC 6265bis, section 5.6). @supabase/ssr reads cookies like that
    // too, with `cookie` 1.x.
    ("in quotes", STORAGE_KEY, |g| format!("\"{}\"", g.text).into(), NoSession),
    ("in single quotes", STORAGE_KEY, |g| format!("'{}'", g.text).into(), NoSession),
    ("behind a quote", STORAGE_KEY, |g| format!("\"{}", g.text).into(), NoSession),
    ("before a quote", STORAGE_KEY, |g| format!("{}\"", g.text).into(), NoSession),
    ("in white space", STORAGE_KEY, |g| format!(" \t{}\t ", g.text).into(), Revoked),
    ("with white space inside", STORAGE_KEY, |g| g.text.replacen('J', " J", 1).into(), NoSession),
    ("before a comma", STORAGE_KEY, |g| format!("{}, x=1", g.text).into(), NoSession),
    ("behind an equals sign", STORAGE_KEY, |g| format!("={}", g.text).into(), NoSession),
    ("prefix in capitals", STORAGE_KEY, |g| g.text.replace("base64-", "BASE64-").into(), NoSession),
    ("percent-encoded prefix", STORAGE_KEY, |g| g.text.replace("base64-", "%62ase64%2d").into(), Revoked),
    ("percent-encoded", STORAGE_KEY, |g| percent(&g.text), Revoked),
    ("percent-encoded twice", STORAGE_KEY, |g| percent(&String::from_utf8(percent(&g.text)).unwrap()), NoSession),
    ("before a percent sign", STORAGE_KEY, |g| format!("{}%", g.text).into(), NoSession),
    ("before %zz", STORAGE_KEY, |g| format!("{}%zz", g.text).into(), NoSession),
    ("before %00", STORAGE_KEY, |g| format!("{}%00", g.text).into(), NoSession),
    ("before %0d%0a", STORAGE_KEY, |g| format!("{}%0d%0aSet-Cookie:%20planted=1", g.text).into(), NoSession),
    ("before junk", STORAGE_KEY, |g| format!("{}!*", g.text).into(), NoSession),
    ("before a byte that is not UTF-8", STORAGE_KEY, |g| [g.text.as_bytes(), b"\xff"].concat(), NoSession),
    ("behind a byte that is not UTF-8", STORAGE_KEY, |g| [b"\xff", g.text.as_bytes()].concat(), NoSession),
    ("behind a byte order mark", STORAGE_KEY, |g| format!("\u{feff}{}", g.text).into(), NoSession),
    ("before a line separator", STORAGE_KEY, |g| format!("{}\u{2028}", g.text).into(), NoSession),
    ("bytes that are not UTF-8", STORAGE_KEY, |_| vec![0xfe; 64], NoSession),
    ("raw JSON", STORAGE_KEY, |g| percent(&g.json("")), Revoked),
    ("raw JSON before a percent sign", STORAGE_KEY, |g| [percent(&g.json("")), b"%".to_vec()].concat(), NoSession),
    ("raw JSON of overlong UTF-8", STORAGE_KEY, |g| [percent(&g.json("")), b"%c0%af".to_vec()].concat(), NoSession),
    ("64 KiB beside the tokens", STORAGE_KEY, |g| base64(g.json(&format!(r#","user":"{}""#, "a".repeat(48 * KIB)))), Revoked),
    ("depth beside the tokens", STORAGE_KEY, |g| base64(g.json(&format!(r#","user":{}{}"#, "[".repeat(20 * KIB), "]".repeat(20 * KIB)))), Revoked),
    ("depth of objects beside the tokens", STORAGE_KEY, |g| base64(g.json(&format!(r#","user":{}1{}"#, r#"{"a":"#.repeat(8 * KIB), "}".repeat(8 * KIB)))), Revoked),
    ("a number with 1,000 digits in its exponent beside the tokens", STORAGE_KEY, |g| base64(g.json(&format!(r#","expires_at":1e{}"#, "9".repeat(1000)))), Revoked),
    ("half a surrogate pair beside the tokens", STORAGE_KEY, |g| base64(g.json(r#","user":"\ud800""#)), Revoked),
    ("`__proto__` beside the tokens", STORAGE_KEY, |g| base64(g.json(r#","__proto__":{"access_token":"x"}"#)), Revoked),
    ("two access tokens", STORAGE_KEY, |g| base64(g.json(r#","access_token":"x""#)), NoSession),
    ("two refresh tokens", STORAGE_KEY, |g| base64(g.json(r#","refresh_token":"x""#)), NoSession),
    ("an unclosed depth", STORAGE_KEY, |g| base64(g.json(&format!(r#","user":{}"#, "[".repeat(40 * KIB)))), NoSession),
    ("the older array with depth", STORAGE_KEY, |g| base64(format!(r#"["{}","x",{}{}]"#, g.tokens.access_token, "[".repeat(8 * KIB), "]".repeat(8 * KIB))), NoSession),
    ("a token with a line break", STORAGE_KEY, |g| base64(g.json("").replacen(r#"","refresh"#, r#"\r\nX-Planted: 1","refresh"#, 1)), NoSession),
    ("a token with NUL", STORAGE_KEY, |g| base64(g.json("").replacen(r#"","refresh"#, r#"\u0000","refresh"#, 1)), NoSession),
    ("a token of half a surrogate pair", STORAGE_KEY, |_| base64(r#"{"access_token":"\ud800","refresh_token":"x"}"#), NoSession),
    ("64 KiB of token", STORAGE_KEY, |_| base64(format!(r#"{{"access_token":"{}","refresh_token":"x"}}"#, "a.".repeat(24 * KIB))), NoSession),
    ("64 KiB of letters", STORAGE_KEY, |_| vec![b'a'; 64 * KIB], NoSession),
    ("64 KiB of quotes", STORAGE_KEY, |_| vec![b'"'; 64 * KIB], NoSession),
    ("64 KiB of backslashes", STORAGE_KEY, |_| vec![b'\\'; 64 * KIB], NoSession),
    ("64 KiB of percent signs", STORAGE_KEY, |_| vec![b'%'; 64 * KIB], NoSession),
    ("64 KiB of %25", STORAGE_KEY, |_| b"%25".repeat(21 * KIB), NoSession),
    ("64 KiB of %00", STORAGE_KEY, |_| b"%00".repeat(21 * KIB), NoSession),
    ("64 KiB of brackets", STORAGE_KEY, |_| vec![b'['; 64 * KIB], NoSession),
    ("64 KiB of braces", STORAGE_KEY, |_| br#"{"a":"#.repeat(12 * KIB), NoSession),
    ("64 KiB of base64", STORAGE_KEY, |_| [b"base64-".to_vec(), vec![b'A'; 64 * KIB]].concat(), NoSession),
    ("64 KiB of padding", STORAGE_KEY, |_| [b"base64-".to_vec(), vec![b'='; 64 * KIB]].concat(), NoSession),
    ("64 KiB of hyphens", STORAGE_KEY, |_| [b"base64-".to_vec(), vec![b'-'; 64 * KIB]].concat(), NoSession),
    ("64 KiB of bytes that are not UTF-8", STORAGE_KEY, |_| vec![0xff; 64 * KIB], NoSession),
    ("a percent sign", STORAGE_KEY, |_| b"%".to_vec(), NoSession),
    ("%ff", STORAGE_KEY, |_| b"%ff".to_vec(), NoSession),
    ("empty", STORAGE_KEY, |_| Vec::new(), NoSession),
    ("only the prefix `base64-`", STORAGE_KEY, |_| b"base64-".to_vec(), NoSession),
    ("null", STORAGE_KEY, |_| b"null".to_vec(), NoSession),
    ("null in base64", STORAGE_KEY, |_| base64("null"), NoSession),
    ("an empty array", STORAGE_KEY, |_| base64("[]"), NoSession),
    ("an array of null", STORAGE_KEY, |_| b"[null]".to_vec(), NoSession),
    ("an array of numbers", STORAGE_KEY, |_| b"[1%2C2]".to_vec(), NoSession),
    ("an empty object", STORAGE_KEY, |_| b"{}".to_vec(), NoSession),
    ("an empty string", STORAGE_KEY, |_| b"%22%22".to_vec(), NoSession),
    ("a number for a token", STORAGE_KEY, |_| b"%7B%22access_token%22%3A1%7D".to_vec(), NoSession),
    ("letters of two octets", STORAGE_KEY, |_| "\u{e4}\u{e4}".into(), NoSession),
    ("whole in the first chunk", FIRST, |g| g.text.clone().into(), Revoked),
    ("64 KiB in the first chunk", FIRST, |_| vec![b'a'; 64 * KIB], NoSession),
    ("the first chunk in quotes", FIRST, |g| format!("\"{}\"", g.text).into(), NoSession),
    ("the rest in the second chunk", SECOND, |g| g.text.as_bytes()[99..].to_vec(), Revoked),
    ("64 KiB in the second chunk", SECOND, |_| vec![b'a'; 64 * KIB], NoSession),
    ("the second chunk in quotes", SECOND, |g| format!("\"{}\"", &g.text[99..]).into(), NoSession),
    ("junk in the second chunk", SECOND, |_| b"%zz\xff".to_vec(), NoSession),
];

/// Hostile values of other cookies, which the test sends before a genuine session and its CSRF token.
#[rustfmt::skip]
const OTHER_VALUES: &[Row] = &[
    ("64 KiB in a CSRF cookie", CSRF, |_| vec![b'a'; 64 * KIB], Revoked),
    ("64 KiB of a CSRF cookie's dots", CSRF, |_| vec![b'.'; 64 * KIB], Revoked),
    ("a CSRF token in quotes", CSRF, |g| format!("\"{}\"", g.csrf).into(), Revoked),
    ("a percent-encoded CSRF token", CSRF, |g| percent(&g.csrf), Revoked),
    ("a CSRF token before a byte that is not UTF-8", CSRF, |g| [g.csrf.as_bytes(), b"\xff"].concat(), Revoked),
    ("120 KiB in a foreign cookie", "theme", |_| vec![b'a'; 120 * KIB], Revoked),
    ("64 KiB of bytes that are not UTF-8", "theme", |_| vec![0xff; 64 * KIB], Revoked),
    ("64 KiB of quotes in a foreign one", "theme", |_| vec![b'"'; 64 * KIB], Revoked),
    ("64 KiB of equals signs", "theme", |_| vec![b'='; 64 * KIB], Revoked),
    ("64 KiB of semicolons", "theme", |_| vec![b';'; 64 * KIB], Revoked),
    ("64 KiB of pairs", "theme", |_| b"x=1;".repeat(16 * KIB), Revoked),
    ("64 KiB of depth", "theme", |_| vec![b'['; 64 * KIB], Revoked),
    ("an open quote", "theme", |_| b"\"".to_vec(), Revoked),
    ("a tab", "theme", |_| b"a\tb".to_vec(), Revoked),
];

#[tokio::test]
async fn every_cookie_value_is_read_or_refused_and_never_echoed() {
    let app = TestApp::new().await;
    for (case, name, value, expected) in SESSION_VALUES {
        let genuine = Genuine::new(&app).await;
        let mut cookies = vec![(*name, value(&genuine)), (CSRF, genuine.csrf.clone().into())];
        if *name == SECOND {
            cookies.insert(0, (FIRST, genuine.text.as_bytes()[..99].to_vec()));
        }
        check_row(&app, case, &genuine, &cookies, *expected).await;
    }
    for (case, name, value, expected) in OTHER_VALUES {
        let genuine = Genuine::new(&app).await;
        check_row(&app, case, &genuine, &with_genuine(&genuine, name, value(&genuine)), *expected)
            .await;
    }
    for control in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
        let case = format!("control byte {control:#x}");
        let genuine = Genuine::new(&app).await;
        let cookies = with_genuine(&genuine, "theme", [b"a", [control].as_slice(), b"b"].concat());
        check_row(&app, &case, &genuine, &cookies, Expected::Refused).await;
    }
}

type Cookies = Vec<(&'static str, Vec<u8>)>;

fn with_genuine(genuine: &Genuine, name: &'static str, value: Vec<u8>) -> Cookies {
    let (text, csrf) = (genuine.text.clone().into(), genuine.csrf.clone().into());
    vec![(name, value), (STORAGE_KEY, text), (CSRF, csrf)]
}

fn cookie_header(cookies: &Cookies) -> Vec<u8> {
    let pairs: Vec<_> =
        cookies.iter().map(|(name, value)| [name.as_bytes(), b"=", value].concat()).collect();
    pairs.join(b"; ".as_slice())
}

async fn check_row(
    app: &TestApp,
    case: &str,
    genuine: &Genuine,
    cookies: &Cookies,
    expected: Expected,
) {
    let calls_before = app.gotrue_call_count();
    let request = app.post("/logout").header("X-CSRF-Token", &genuine.csrf);
    let reply = request.header("Cookie", cookie_header(cookies)).send().await;
    assert_only_known_headers(&reply, case);
    let response = format!("{:?} {}", reply.headers, reply.text());
    for (_, value) in cookies {
        let beginning = String::from_utf8_lossy(&value[..value.len().min(16)]).into_owned();
        assert!(value.len() < 8 || !response.contains(&beginning), "{case}: {response}");
    }
    let alive = app.is_alive(&genuine.tokens);
    if expected == Revoked {
        assert_eq!(
            (reply.status, reply.header("x-logout-outcome"), alive),
            (200, Some("revoked"), false),
            "{case}"
        );
    } else {
        assert!(alive && app.gotrue_call_count() == calls_before, "{case}");
    }
    if expected == NoSession {
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    if expected == Expected::Refused {
        assert_eq!((reply.status, reply.set_cookies().len()), (400, 0), "{case}");
        return;
    }
    let mut deleted: BTreeSet<&str> = cookies.iter().map(|(name, _)| *name).collect();
    deleted.remove("theme");
    deleted.insert(STORAGE_KEY);
    assert_deletes_cookies(&reply, &deleted, case);
}

/// The gateway must read the cookies of several `Cookie` headers, in which only `=` and `;` have a meaning.
#[tokio::test]
async fn cookies_in_several_headers_are_all_read() {
    let app = TestApp::new().await;
    let several = Request::new(app.address, "POST", "/logout")
        .header("Cookie", format!("{STORAGE_KEY}=x"))
        .header("Cookie", "sb-127-auth-token.0=x; ;;=; a; =b; c=\"d");
    let reply = several.send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_deletes_cookies(&reply, &BTreeSet::from([STORAGE_KEY, FIRST, CSRF]), "several");
}

/// The CSRF header and the CSRF cookie are equal, but their value is no valid CSRF token.
#[tokio::test]
async fn an_invalid_csrf_token_is_refused_even_if_header_and_cookie_agree() {
    let app = TestApp::new().await;
    let genuine = Genuine::new(&app).await;
    let csrf = &genuine.csrf;
    for value in [
        vec![b'a'; 40 * KIB],
        vec![b'.'; 40 * KIB],
        format!("{csrf}{}", "A".repeat(40 * KIB)).into(),
        vec![0xff; 86],
        format!("\"{csrf}\"").into(),
        percent(csrf),
        format!("{csrf}.{csrf}").into(),
        format!("{csrf}%00").into(),
        format!("{csrf},{csrf}").into(),
        csrf.replacen('.', "=.", 1).into(),
        format!("{csrf}=").into(),
        format!("{csrf}\u{2028}").into(),
    ] {
        let case = String::from_utf8_lossy(&value[..value.len().min(99)]).into_owned();
        let cookies = vec![(STORAGE_KEY, genuine.text.clone().into()), (CSRF, value.clone())];
        let request = app.post("/logout").header("X-CSRF-Token", &value);
        let reply = request.header("Cookie", cookie_header(&cookies)).send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
        assert!(reply.set_cookies().is_empty(), "{case}");
    }
    assert!(app.is_alive(&genuine.tokens) && app.gotrue_call_count() == 0);
}
