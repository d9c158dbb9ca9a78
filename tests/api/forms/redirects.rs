//! The redirect targets that a form may have, and those to which the gateway must never redirect.

use crate::{
    forms::{FORM_TYPE, encode_fields},
    harness::{Setup, TestApp},
};

const LISTED_URLS: &str =
    "https://www.example.com/bye,https://app.example.com/*,http://localhost:3000/*";

/// The `Location` in the response to a form that is sent without a session.
async fn redirect_location(app: &TestApp, redirect_to: &str) -> String {
    let body = encode_fields(&[("redirect_to", redirect_to)]);
    let reply = app.post("/logout").headers(&[FORM_TYPE]).body(body).send().await;
    assert_eq!(reply.status, 303, "{redirect_to}: {reply:?}");
    let location = reply.header("location").unwrap().to_owned();
    assert!(!reply.headers.iter().any(|(name, _)| name == "x-injected"), "{redirect_to}");
    location
}

/// Targets that the gateway must not use: at least one browser reads each as neither a path of the own origin
/// nor a listed URL.
#[rustfmt::skip]
const ATTACKS: &[&str] = &[
    // The gateway must not use a host that looks like a path.
    "//evil.example", "///evil.example", "////evil.example", "//evil.example/%2f..", "/\\evil.example", "\\/evil.example",
    "\\\\evil.example", "/\\/evil.example", "/\\\\evil.example", "//\\evil.example", "\\evil.example", "/a/..//evil.example",
    "/.//evil.example", "/..//evil.example", "/a/../..//evil.example", "/%2e//evil.example", "/%2e%2e//evil.example",
    "/./\\evil.example", "/a//evil.example", "//evil.example?/bye", "//own.invalid/bye", "//evil.example#/bye", "//evil.example:443/", "//[::1]/", "//127.0.0.1",
    // The gateway must not use a target whose scheme leads away from its own origin.
    "https:evil.example", "https:/evil.example", "https:///evil.example", "https:\\\\evil.example", "http:evil.example", "HTTPS:evil.example",
    "https://evil.example", "http://evil.example", "hTTps://evil.example", "https://evil.example/bye", "javascript:alert(1)", "JavaScript:alert(1)",
    "java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "ftp://app.example.com/", "blob:https://app.example.com/x",
    "about:blank", "mailto:a@example.com", "app.example.com", "evil.example", "ws://app.example.com/",
    // The gateway must not use a target whose user name looks like a host.
    "https://app.example.com@evil.example", "https://app.example.com%40evil.example/", "https://app.example.com:x@evil.example/",
    "https://user@app.example.com/", "https://user:password@app.example.com/", "https://@app.example.com/", "//app.example.com@evil.example",
    "@evil.example", "/@evil.example", "/%40evil.example", ":@evil.example", "https://app.example.com\\@evil.example", "https://evil.example\\@app.example.com/",
    // The gateway must not use a host that only looks like an allowed one.
    "https://app.example.com.evil.example/", "https://app.example.comevil.example/", "https://evil-app.example.com/", "https://xapp.example.com/",
    "https://app.example.com./", "https://app.example.com:444/", "http://app.example.com/", "https://example.com/", "https://sub.app.example.com/",
    "https://app.exаmple.com/", "https://app.example。com.evil.example/", "https://аpp.example.com/", "http://localhost:3001/", "http://localhost/", "https://localhost:3000/",
    "https://www.example.com/", "https://www.example.com/bye/", "https://www.example.com/bye?x", "https://www.example.com/byebye", "https://www.example.com/BYE",
    // The gateway must not use a target that is an attack once it is percent-decoded.
    "%2f%2fevil.example", "/%2fevil.example", "/%2Fevil.example", "/%5cevil.example", "/%5Cevil.example", "%68ttps://evil.example", "/%2f%2fevil.example", "/%09/evil.example", "/%0a/evil.example",
    // The gateway must not use a target with octets that browsers drop.
    "/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "\t//evil.example", " //evil.example", " /bye", "/bye ", "\u{0}//evil.example", "/\u{0}/evil.example", "\u{1}/bye", "\u{7f}/bye",
    // The gateway must not use a target with line breaks, which would add headers to the response.
    "/bye\r\nX-Injected: 1", "/bye\nX-Injected: 1", "/%0d%0aX-Injected:%201", "/bye%0d%0aX-Injected:%201", "/bye\r\n\r\n<script>", "https://app.example.com/\r\nX-Injected: 1",
    // The gateway must not use a target with Unicode characters, of which some look like slashes.
    "/\u{2215}evil.example", "\u{ff0f}\u{ff0f}evil.example", "/\u{ff0f}evil.example", "/\u{202e}elpmaxe.live", "\u{feff}//evil.example", "\u{3000}//evil.example", "/\u{e4}", "/\u{a0}/evil.example",
    // The gateway must not use an empty, relative or malformed target.
    "", " ", ".", "..", "bye", "./bye", "../bye", "?bye", "#bye", "http://", "https://", "https://[", "https://app.example.com:99999/", "/bye\"", "/<script>", "/{x}", "/a|b", "/a^b", "/a`b", "/%", "/%zz",
];

#[tokio::test]
async fn no_form_redirects_to_a_foreign_site() {
    assert!(ATTACKS.len() >= 100, "{}", ATTACKS.len());
    let app = Setup::new().flag("redirect-urls", LISTED_URLS).start().await;
    for attack in ATTACKS {
        assert_eq!(redirect_location(&app, attack).await, "/?logout=refused", "{attack:?}");
    }
}

#[tokio::test]
async fn a_redirect_target_too_long_for_a_proxys_buffer_is_not_used() {
    let app = TestApp::new().await;
    let (longest, longer) = (format!("/{}", "a".repeat(511)), format!("/{}", "a".repeat(512)));
    assert_eq!(redirect_location(&app, &longest).await, longest + "?logout=refused");
    // Each `'` becomes three octets when it is percent-encoded, so this target exceeds the limit.
    let longer_encoded = format!("/?{}", "'".repeat(171));
    for target in [longer, longer_encoded] {
        assert_eq!(redirect_location(&app, &target).await, "/?logout=refused");
    }
}

#[tokio::test]
async fn a_form_redirects_to_own_paths_and_listed_urls() {
    let app = Setup::new().flag("redirect-urls", LISTED_URLS).start().await;
    for (target, location) in [
        ("/", "/?logout=refused"),
        ("/bye", "/bye?logout=refused"),
        ("/a/../bye", "/bye?logout=refused"),
        ("/a/b.html?next=%2Fhome&x=a@b#top", "/a/b.html?next=%2Fhome&x=a@b&logout=refused#top"),
        ("/%C3%A4", "/%C3%A4?logout=refused"),
        ("/?q=https://evil.example", "/?q=https://evil.example&logout=refused"),
        ("https://www.example.com/bye", "https://www.example.com/bye?logout=refused"),
        ("https://app.example.com", "https://app.example.com/?logout=refused"),
        ("https://app.example.com/", "https://app.example.com/?logout=refused"),
        (
            "https://app.example.com/any/where?x=1",
            "https://app.example.com/any/where?x=1&logout=refused",
        ),
        ("https://app.example.com:443/", "https://app.example.com/?logout=refused"),
        ("http://localhost:3000/bye", "http://localhost:3000/bye?logout=refused"),
    ] {
        assert_eq!(redirect_location(&app, target).await, location, "{target}");
    }
}

#[tokio::test]
async fn without_listed_urls_no_url_is_used_and_the_configured_default_applies() {
    let app = TestApp::with_flags(&[("redirect-default", "https://www.example.com/home")]).await;
    let home = "https://www.example.com/home?logout=refused";
    assert_eq!(redirect_location(&app, "https://app.example.com/").await, home);
    assert_eq!(
        redirect_location(&app, "https://www.example.com/home").await,
        home,
        "the default is not a listed URL"
    );
    assert_eq!(redirect_location(&app, "/bye").await, "/bye?logout=refused");
}
