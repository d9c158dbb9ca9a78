//! What Envoy's `ext_authz` filter sends to `verify` with the configuration in docs/proxies/envoy.md, and what Envoy
//! does with the answer. Envoy itself does not run here: [`Filter`] takes its place, according to Envoy's source.

mod filter;

use gotrue_mock::Algorithm;
use rstest::rstest;
use serde_json::json;

use self::filter::{ClientRequest, Decision, Filter, Version};
use super::identity;
use crate::harness::{Browser, CookieFormat, Setup, TestApp, assert_error};

/// The address from which the tests connect, and the one that Envoy appends to `X-Forwarded-For`.
const ENVOY: (&str, &str) = ("trusted-proxies", "127.0.0.1,10.0.0.2");

#[rstest]
#[case::http1(Version::Http1)]
#[case::http2(Version::Http2)]
#[tokio::test]
async fn envoy_forwards_a_living_session_with_every_identity_header(#[case] version: Version) {
    let (app, filter) = (TestApp::with_flags(&[ENVOY]).await, Filter::documented(version));
    let tokens = app.sign_up();
    let bearer = format!("Bearer {}", tokens.access_token);
    let headers =
        [("authorization", &*bearer), ("x-request-id", "of-envoy"), ("x-auth-user-id", "eve")];
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for target in ["/", "/orders?x=1", "//a/%2e%2e/b", "/?redirect=/login", "/api/auth/verify"]
        {
            let reply = filter.verify(&app, (method, target, &headers)).await;
            let case = format!("{method} {target}: {reply:?}");
            assert_eq!(
                (reply.status, reply.header("x-request-id")),
                (200, Some("of-envoy")),
                "{case}"
            );
            // Envoy replaces a header of the client only if the answer has that header and Envoy's list names it.
            let named = reply.headers.iter().filter(|(name, _)| name.starts_with("x-auth-"));
            let mut named: Vec<_> = named.map(|(name, _)| name.clone()).collect();
            let mut listed = filter.upstream_headers.clone();
            named.sort();
            listed.sort();
            assert_eq!(named, listed, "{case}");
            let Decision::Forward(sent) = filter.decide(&app, (method, target, &headers)).await
            else {
                panic!("{case}")
            };
            for (name, value) in identity(&tokens) {
                assert!(sent.contains(&(name.to_owned(), value)), "{case}");
            }
        }
    }
}

#[rstest]
#[case::http1(Version::Http1)]
#[case::http2(Version::Http2)]
#[tokio::test]
async fn envoy_answers_401_with_the_reason_and_no_redirect(#[case] version: Version) {
    let (app, filter) = (TestApp::with_flags(&[ENVOY]).await, Filter::documented(version));
    let ended = app.sign_up();
    app.post("/logout").bearer(&ended.access_token).send().await;
    let expired = app.sign_up();
    let browser = Browser::signed_in_without_csrf(&app, &expired, CookieFormat::Base64);
    let pairs = browser.jar.cookies_for(browser.page);
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (cookie, bearer) = (pairs.join("; "), |token: &str| format!("Bearer {token}"));
    let page_load = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];
    let (ended, expired) = (bearer(&ended.access_token), bearer(&expired.access_token));
    let refuse = async |credential: &[(&str, &str)], reason: &str| {
        let headers = [&page_load[..], credential].concat();
        let request = ("GET", "/orders?redirect=/phishing", &headers[..]);
        let Decision::Answer(status, headers) = filter.decide(&app, request).await else {
            panic!("{reason}: forwarded")
        };
        assert_eq!(status, 401, "{reason}");
        for (name, value) in [
            ("x-auth-reason", reason),
            ("www-authenticate", "Bearer"),
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
        ] {
            assert!(
                headers.contains(&(name.to_owned(), value.to_owned())),
                "{reason}: {headers:?}"
            );
        }
    };
    refuse(&[], "missing").await;
    refuse(&[("authorization", "Bearer x")], "invalid").await;
    refuse(&[("authorization", &ended)], "revoked").await;
    app.advance_time(3600);
    refuse(&[("authorization", &expired)], "expired").await;
    refuse(&[("cookie", &cookie)], "refreshable").await;
}

#[rstest]
#[case::http1(Version::Http1)]
#[case::http2(Version::Http2)]
#[tokio::test]
async fn with_the_documented_prefix_envoy_redirects_page_loads_to_the_operators_page(
    #[case] version: Version,
) {
    let (app, filter) =
        (TestApp::with_flags(&[ENVOY]).await, Filter::documented_with_redirect(version));
    let to_login = [("location".to_owned(), "/login".to_owned())];
    for target in ["/orders?x=1", "/?redirect=/phishing", "/a&redirect=/phishing"] {
        for headers in [("sec-fetch-mode", "navigate"), ("accept", "text/html,*/*;q=0.8")] {
            let Decision::Answer(status, headers) =
                filter.decide(&app, ("GET", target, &[headers])).await
            else {
                panic!("{target}: forwarded")
            };
            assert_eq!(status, 302, "{target}");
            assert!(to_login.iter().all(|line| headers.contains(line)), "{target}: {headers:?}");
        }
        let script = ("GET", target, &[("sec-fetch-mode", "cors")][..]);
        let answer = filter.decide(&app, script).await;
        assert!(matches!(answer, Decision::Answer(401, _)), "{target}: {answer:?}");
    }
    let tokens = app.sign_up();
    let bearer = format!("Bearer {}", tokens.access_token);
    let answer = filter.decide(&app, ("POST", "/orders", &[("authorization", &bearer)])).await;
    assert!(matches!(answer, Decision::Forward(_)), "{answer:?}");
}

#[rstest]
#[case::http1(Version::Http1)]
#[case::http2(Version::Http2)]
#[tokio::test]
async fn envoy_forwards_nothing_while_no_token_can_be_verified(#[case] version: Version) {
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 503});
    let app = Setup::new().without_readiness_check().start_with_faults(&[no_keys]).await;
    let filter = Filter::documented(version);
    let bearer = format!("Bearer {}", app.sign_up().access_token);
    let request: ClientRequest<'_> = ("GET", "/", &[("authorization", &bearer)]);
    let reply = filter.verify(&app, request).await;
    assert_error(&reply, 503, "NOT_READY", Some("key_set"));
    let answer = filter.decide(&app, request).await;
    assert!(matches!(&answer, Decision::Answer(503, headers) if headers.is_empty()), "{answer:?}");
}

#[rstest]
#[case::http1(Version::Http1)]
#[case::http2(Version::Http2)]
#[tokio::test]
async fn gotrue_gets_the_address_of_the_client_and_not_that_of_envoy(#[case] version: Version) {
    // Without a secret the gateway asks GoTrue about each token.
    let app = Setup::new().flags(&[ENVOY]).algorithm(Algorithm::Hs256).start().await;
    let bearer = format!("Bearer {}", app.sign_up().access_token);
    let request: ClientRequest<'_> = ("GET", "/", &[("authorization", &bearer)]);
    let answer = Filter::documented(version).decide(&app, request).await;
    assert!(matches!(answer, Decision::Forward(_)), "{answer:?}");
    let call = app.gotrue_calls("user").pop().unwrap();
    assert_eq!(call.header("x-forwarded-for"), Some("203.0.113.7"));
}
