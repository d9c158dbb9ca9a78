//! Section 6 of the contract under attack: cookies whose values are made to break whoever reads them.
//!
//! Each is read or refused as the contract says; no value makes a request fail, and no byte of one is
//! echoed.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Tokens;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::harness::{
    CookieFormat, Request, TestApp, assert_deletes_cookies, assert_error,
    assert_only_known_headers, session_cookies,
};

const K: &str = "sb-127-auth-token";
const FIRST: &str = "sb-127-auth-token.0";
const SECOND: &str = "sb-127-auth-token.1";
const CSRF: &str = "sb-csrf-token";
const KIB: usize = 1024;

/// A session to be hidden in a hostile value.
struct Genuine {
    tokens: Tokens,
    /// As the library writes it.
    text: String,
    csrf: String,
}

impl Genuine {
    async fn new(app: &TestApp) -> Self {
        let tokens = app.sign_up();
        let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
        let text = session_cookies(K, access, refresh, CookieFormat::Base64)[0].1.clone();
        Self { csrf: app.csrf_token(&tokens).await, text, tokens }
    }

    /// Both tokens and then these members, as JSON.
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
enum Becomes {
    /// The session was read, and has ended.
    Done,
    /// There is none: 401, and the cookies go.
    NoSession,
    /// No HTTP.
    Refused,
}
use Becomes::{Done, NoSession};

type Row = (&'static str, &'static str, fn(&Genuine) -> Vec<u8>, Becomes);

/// At the storage key or in a chunk of it.
#[rustfmt::skip]
const OURS: &[Row] = &[
    ("as it was written", K, |g| g.text.clone().into(), Done),
    // RFC 6265bis, section 5.6, and `cookie` 1.x, by which the library reads: quotes are part of the value.
    ("in quotes", K, |g| format!("\"{}\"", g.text).into(), NoSession),
    ("in single quotes", K, |g| format!("'{}'", g.text).into(), NoSession),
    ("behind a quote", K, |g| format!("\"{}", g.text).into(), NoSession),
    ("before a quote", K, |g| format!("{}\"", g.text).into(), NoSession),
    ("in white space", K, |g| format!(" \t{}\t ", g.text).into(), Done),
    ("with white space inside", K, |g| g.text.replacen('J', " J", 1).into(), NoSession),
    ("before a comma", K, |g| format!("{}, x=1", g.text).into(), NoSession),
    ("behind an equals sign", K, |g| format!("={}", g.text).into(), NoSession),
    ("prefix in capitals", K, |g| g.text.replace("base64-", "BASE64-").into(), NoSession),
    ("prefix coded", K, |g| g.text.replace("base64-", "%62ase64%2d").into(), Done),
    ("coded", K, |g| percent(&g.text), Done),
    ("coded twice", K, |g| percent(&String::from_utf8(percent(&g.text)).unwrap()), NoSession),
    ("before a per cent sign", K, |g| format!("{}%", g.text).into(), NoSession),
    ("before %zz", K, |g| format!("{}%zz", g.text).into(), NoSession),
    ("before %00", K, |g| format!("{}%00", g.text).into(), NoSession),
    ("before %0d%0a", K, |g| format!("{}%0d%0aSet-Cookie:%20planted=1", g.text).into(), NoSession),
    ("before junk", K, |g| format!("{}!*", g.text).into(), NoSession),
    ("before an octet of no text", K, |g| [g.text.as_bytes(), b"\xff"].concat(), NoSession),
    ("behind an octet of no text", K, |g| [b"\xff", g.text.as_bytes()].concat(), NoSession),
    ("behind a byte order mark", K, |g| format!("\u{feff}{}", g.text).into(), NoSession),
    ("before a line separator", K, |g| format!("{}\u{2028}", g.text).into(), NoSession),
    ("octets of no text", K, |_| vec![0xfe; 64], NoSession),
    ("raw JSON", K, |g| percent(&g.json("")), Done),
    ("raw JSON before a per cent sign", K, |g| [percent(&g.json("")), b"%".to_vec()].concat(), NoSession),
    ("raw JSON of overlong UTF-8", K, |g| [percent(&g.json("")), b"%c0%af".to_vec()].concat(), NoSession),
    ("64 KiB beside the tokens", K, |g| base64(g.json(&format!(r#","user":"{}""#, "a".repeat(48 * KIB)))), Done),
    ("depth beside the tokens", K, |g| base64(g.json(&format!(r#","user":{}{}"#, "[".repeat(20 * KIB), "]".repeat(20 * KIB)))), Done),
    ("depth of objects beside the tokens", K, |g| base64(g.json(&format!(r#","user":{}1{}"#, r#"{"a":"#.repeat(8 * KIB), "}".repeat(8 * KIB)))), Done),
    ("an endless number beside the tokens", K, |g| base64(g.json(&format!(r#","expires_at":1e{}"#, "9".repeat(1000)))), Done),
    ("half a character beside the tokens", K, |g| base64(g.json(r#","user":"\ud800""#)), Done),
    ("a prototype beside the tokens", K, |g| base64(g.json(r#","__proto__":{"access_token":"x"}"#)), Done),
    ("two access tokens", K, |g| base64(g.json(r#","access_token":"x""#)), NoSession),
    ("two refresh tokens", K, |g| base64(g.json(r#","refresh_token":"x""#)), NoSession),
    ("an unclosed depth", K, |g| base64(g.json(&format!(r#","user":{}"#, "[".repeat(40 * KIB)))), NoSession),
    ("the older array with depth", K, |g| base64(format!(r#"["{}","x",{}{}]"#, g.tokens.access_token, "[".repeat(8 * KIB), "]".repeat(8 * KIB))), NoSession),
    ("a token with a line break", K, |g| base64(g.json("").replacen(r#"","refresh"#, r#"\r\nX-Planted: 1","refresh"#, 1)), NoSession),
    ("a token with NUL", K, |g| base64(g.json("").replacen(r#"","refresh"#, r#"\u0000","refresh"#, 1)), NoSession),
    ("a token of half a character", K, |_| base64(r#"{"access_token":"\ud800","refresh_token":"x"}"#), NoSession),
    ("64 KiB of token", K, |_| base64(format!(r#"{{"access_token":"{}","refresh_token":"x"}}"#, "a.".repeat(24 * KIB))), NoSession),
    ("64 KiB of letters", K, |_| vec![b'a'; 64 * KIB], NoSession),
    ("64 KiB of quotes", K, |_| vec![b'"'; 64 * KIB], NoSession),
    ("64 KiB of backslashes", K, |_| vec![b'\\'; 64 * KIB], NoSession),
    ("64 KiB of per cent signs", K, |_| vec![b'%'; 64 * KIB], NoSession),
    ("64 KiB of %25", K, |_| b"%25".repeat(21 * KIB), NoSession),
    ("64 KiB of %00", K, |_| b"%00".repeat(21 * KIB), NoSession),
    ("64 KiB of brackets", K, |_| vec![b'['; 64 * KIB], NoSession),
    ("64 KiB of braces", K, |_| br#"{"a":"#.repeat(12 * KIB), NoSession),
    ("64 KiB of base64", K, |_| [b"base64-".to_vec(), vec![b'A'; 64 * KIB]].concat(), NoSession),
    ("64 KiB of padding", K, |_| [b"base64-".to_vec(), vec![b'='; 64 * KIB]].concat(), NoSession),
    ("64 KiB of hyphens", K, |_| [b"base64-".to_vec(), vec![b'-'; 64 * KIB]].concat(), NoSession),
    ("64 KiB of octets of no text", K, |_| vec![0xff; 64 * KIB], NoSession),
    ("a per cent sign", K, |_| b"%".to_vec(), NoSession),
    ("%ff", K, |_| b"%ff".to_vec(), NoSession),
    ("nothing", K, |_| Vec::new(), NoSession),
    ("nothing coded", K, |_| b"base64-".to_vec(), NoSession),
    ("null", K, |_| b"null".to_vec(), NoSession),
    ("null coded", K, |_| base64("null"), NoSession),
    ("an empty array", K, |_| base64("[]"), NoSession),
    ("an array of null", K, |_| b"[null]".to_vec(), NoSession),
    ("an array of numbers", K, |_| b"[1%2C2]".to_vec(), NoSession),
    ("an empty object", K, |_| b"{}".to_vec(), NoSession),
    ("an empty string", K, |_| b"%22%22".to_vec(), NoSession),
    ("a number for a token", K, |_| b"%7B%22access_token%22%3A1%7D".to_vec(), NoSession),
    ("letters of two octets", K, |_| "\u{e4}\u{e4}".into(), NoSession),
    ("whole in the first chunk", FIRST, |g| g.text.clone().into(), Done),
    ("64 KiB in the first chunk", FIRST, |_| vec![b'a'; 64 * KIB], NoSession),
    ("the first chunk in quotes", FIRST, |g| format!("\"{}\"", g.text).into(), NoSession),
    ("the rest in the second chunk", SECOND, |g| g.text.as_bytes()[99..].to_vec(), Done),
    ("64 KiB in the second chunk", SECOND, |_| vec![b'a'; 64 * KIB], NoSession),
    ("the second chunk in quotes", SECOND, |g| format!("\"{}\"", &g.text[99..]).into(), NoSession),
    ("junk in the second chunk", SECOND, |_| b"%zz\xff".to_vec(), NoSession),
];

/// Before a genuine session and its CSRF token.
#[rustfmt::skip]
const BESIDE: &[Row] = &[
    ("64 KiB in a CSRF cookie", CSRF, |_| vec![b'a'; 64 * KIB], Done),
    ("64 KiB of a CSRF cookie's dots", CSRF, |_| vec![b'.'; 64 * KIB], Done),
    ("a CSRF token in quotes", CSRF, |g| format!("\"{}\"", g.csrf).into(), Done),
    ("a CSRF token coded", CSRF, |g| percent(&g.csrf), Done),
    ("a CSRF token before an octet of no text", CSRF, |g| [g.csrf.as_bytes(), b"\xff"].concat(), Done),
    ("120 KiB in a foreign cookie", "theme", |_| vec![b'a'; 120 * KIB], Done),
    ("64 KiB of octets of no text", "theme", |_| vec![0xff; 64 * KIB], Done),
    ("64 KiB of quotes in a foreign one", "theme", |_| vec![b'"'; 64 * KIB], Done),
    ("64 KiB of equals signs", "theme", |_| vec![b'='; 64 * KIB], Done),
    ("64 KiB of semicolons", "theme", |_| vec![b';'; 64 * KIB], Done),
    ("64 KiB of pairs", "theme", |_| b"x=1;".repeat(16 * KIB), Done),
    ("64 KiB of depth", "theme", |_| vec![b'['; 64 * KIB], Done),
    ("an open quote", "theme", |_| b"\"".to_vec(), Done),
    ("a tab", "theme", |_| b"a\tb".to_vec(), Done),
];

#[tokio::test]
async fn whatever_a_value_is_it_is_read_or_refused_and_never_echoed() {
    let app = TestApp::new().await;
    for (case, name, value, becomes) in OURS {
        let genuine = Genuine::new(&app).await;
        let mut cookies = vec![(*name, value(&genuine)), (CSRF, genuine.csrf.clone().into())];
        if *name == SECOND {
            cookies.insert(0, (FIRST, genuine.text.as_bytes()[..99].to_vec()));
        }
        judge(&app, case, &genuine, &cookies, *becomes).await;
    }
    for (case, name, value, becomes) in BESIDE {
        let genuine = Genuine::new(&app).await;
        judge(&app, case, &genuine, &beside(&genuine, name, value(&genuine)), *becomes).await;
    }
    for control in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
        let case = format!("control byte {control:#x}");
        let genuine = Genuine::new(&app).await;
        let cookies = beside(&genuine, "theme", [b"a", [control].as_slice(), b"b"].concat());
        judge(&app, &case, &genuine, &cookies, Becomes::Refused).await;
    }
}

type Cookies = Vec<(&'static str, Vec<u8>)>;

fn beside(genuine: &Genuine, name: &'static str, value: Vec<u8>) -> Cookies {
    let (text, csrf) = (genuine.text.clone().into(), genuine.csrf.clone().into());
    vec![(name, value), (K, text), (CSRF, csrf)]
}

fn line(cookies: &Cookies) -> Vec<u8> {
    let pairs: Vec<_> =
        cookies.iter().map(|(name, value)| [name.as_bytes(), b"=", value].concat()).collect();
    pairs.join(b"; ".as_slice())
}

async fn judge(app: &TestApp, case: &str, genuine: &Genuine, cookies: &Cookies, becomes: Becomes) {
    let asked = app.gotrue_call_count();
    let request = app.post("/logout").header("X-CSRF-Token", &genuine.csrf);
    let reply = request.header("Cookie", line(cookies)).send().await;
    assert_only_known_headers(&reply, case);
    let told = format!("{:?} {}", reply.headers, reply.text());
    for (_, value) in cookies {
        let beginning = String::from_utf8_lossy(&value[..value.len().min(16)]).into_owned();
        assert!(value.len() < 8 || !told.contains(&beginning), "{case}: {told}");
    }
    let alive = app.is_alive(&genuine.tokens);
    if becomes == Done {
        assert_eq!(
            (reply.status, reply.header("x-logout-outcome"), alive),
            (200, Some("revoked"), false),
            "{case}"
        );
    } else {
        assert!(alive && app.gotrue_call_count() == asked, "{case}");
    }
    if becomes == NoSession {
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    if becomes == Becomes::Refused {
        assert_eq!((reply.status, reply.set_cookies().len()), (400, 0), "{case}");
        return;
    }
    let mut expected: BTreeSet<&str> = cookies.iter().map(|(name, _)| *name).collect();
    expected.remove("theme");
    expected.insert(K);
    assert_deletes_cookies(&reply, &expected, case);
}

/// Nothing but `=` and `;` means anything in a `Cookie` header.
#[tokio::test]
async fn cookies_in_several_headers_are_all_read() {
    let app = TestApp::new().await;
    let several = Request::new(app.address, "POST", "/logout")
        .header("Cookie", format!("{K}=x"))
        .header("Cookie", "sb-127-auth-token.0=x; ;;=; a; =b; c=\"d");
    let reply = several.send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_deletes_cookies(&reply, &BTreeSet::from([K, FIRST, CSRF]), "several");
}

/// A token that is no token, in header and cookie alike.
#[tokio::test]
async fn no_value_that_header_and_cookie_agree_on_passes_for_a_token() {
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
        let cookies = vec![(K, genuine.text.clone().into()), (CSRF, value.clone())];
        let request = app.post("/logout").header("X-CSRF-Token", &value);
        let reply = request.header("Cookie", line(&cookies)).send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
        assert!(reply.set_cookies().is_empty(), "{case}");
    }
    assert!(app.is_alive(&genuine.tokens) && app.gotrue_call_count() == 0);
}
