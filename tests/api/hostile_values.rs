//! Section 6 of the contract: cookies whose hostile values could break a parser.
//!
//! The gateway must read or refuse each cookie as the contract requires, must not answer 5xx, and must not
//! repeat any part of the value in its response.

mod rows;

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Tokens;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::rows::{OTHER_VALUES, SESSION_VALUES};
use crate::harness::{
    CookieFormat, Request, TestApp, assert_deletes_cookies, assert_error,
    assert_only_known_headers, session_cookies,
};

const STORAGE_KEY: &str = "sb-127-auth-token";
const FIRST: &str = "sb-127-auth-token.0";
const SECOND: &str = "sb-127-auth-token.1";
const ACCESS: &str = "sb-access-token";
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
    /// The gateway must treat the cookie as absent, as the library does: it answers 401 for a request without
    /// a credential and deletes the cookies.
    Absent,
    /// The gateway must refuse the request with 400, because the header is not valid HTTP.
    Refused,
}
use Expected::{Absent, NoSession, Revoked};

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
    if let NoSession | Absent = expected {
        let reason = if expected == Absent { "missing" } else { "invalid" };
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some(reason));
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
