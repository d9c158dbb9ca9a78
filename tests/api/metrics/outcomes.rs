//! The metrics must count each outcome of a logout and each response of `verify` once, and no other metric
//! may change.

use gotrue_mock::Algorithm;
use serde_json::{Value, json};

use super::samples::{changes, expected_changes, samples};
use crate::harness::{
    Browser, CookieFormat, LOGOUT_PATHS, Request, Setup, TestApp, eventually, forged_token,
};

pub(super) fn setup_with_admin() -> Setup {
    Setup::new().flag("admin-bind", "127.0.0.1:0")
}

pub(super) fn fault(kind: Value, times: u32) -> Value {
    let mut fault = kind;
    fault["operation"] = json!("logout");
    fault["times"] = json!(times);
    fault
}

/// Expands metrics in a short notation: `failed/none` is the outcome and the reason of a logout, `logout:ok`
/// is a request to GoTrue and its result. A number such as ` +2` at the end is the increment.
fn expand_metrics(metrics: &[&str]) -> Vec<String> {
    let one = |word: &&str| {
        let (word, increment) = word.split_once(' ').unwrap_or((word, "+1"));
        let names = match (word.split_once('/'), word.split_once(':')) {
            (Some((outcome, reason)), _) => vec![
                format!(
                    r#"logouts_total{{route="/logout",outcome="{outcome}",reason="{reason}"}}"#
                ),
                r#"logout_duration_seconds_count{route="/logout"}"#.to_owned(),
            ],
            (_, Some(("verify", result))) => vec![format!(r#"verify_total{{result="{result}"}}"#)],
            (_, Some(("csrf", reason))) => {
                vec![format!(r#"csrf_refused_total{{reason="{reason}"}}"#)]
            }
            (_, Some(("refused", reason))) => {
                vec![format!(r#"requests_refused_total{{reason="{reason}"}}"#)]
            }
            (_, Some((operation, result))) => vec![
                format!(r#"gotrue_requests_total{{operation="{operation}",result="{result}"}}"#),
                format!(r#"gotrue_request_duration_seconds_count{{operation="{operation}"}}"#),
            ],
            _ => vec![word.to_owned()],
        };
        names.into_iter().map(|name| format!("{name} {increment}")).collect::<Vec<_>>()
    };
    metrics.iter().flat_map(one).collect()
}

pub(super) async fn assert_metric_changes(
    app: &TestApp,
    name: &str,
    request: Request,
    status: u16,
    metrics: &[&str],
) {
    let before = samples(app).await;
    assert_eq!(request.send().await.status, status, "{name}");
    let metrics = expand_metrics(metrics);
    let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
    assert_eq!(changes(&before, &samples(app).await), expected_changes(&metrics), "{name}");
}

/// The change of a metric at each logout, because a logout always deletes the session cookie and the CSRF
/// cookie.
pub(super) const DELETED: &str = "cookies_deleted_total +2";

#[tokio::test]
async fn each_answer_of_gotrue_is_counted_by_its_result() {
    let app = setup_with_admin().start().await;
    let status = |status: u16| json!({"kind": "status", "status": status});
    for (name, fault, answer, metrics) in [
        ("no fault", None, 200, &["revoked/none", "logout:ok"][..]),
        ("500", Some(fault(status(500), 1)), 500, &["failed/auth_service_error", "logout:error"]),
        (
            "503",
            Some(fault(status(503), 2)),
            500,
            &["failed/auth_service_unavailable", "logout:unavailable +2"],
        ),
        (
            "504",
            Some(fault(status(504), 2)),
            500,
            &["failed/auth_service_timeout", "logout:timeout +2"],
        ),
        ("429", Some(fault(status(429), 1)), 429, &["failed/RATE_LIMITED", "logout:rate_limited"]),
    ] {
        if let Some(fault) = fault {
            app.inject_fault(fault);
        }
        let request = app.post("/logout").bearer(&app.sign_up().access_token);
        let metrics = [metrics, &[DELETED, "revocations"]].concat();
        assert_metric_changes(&app, name, request, answer, &metrics).await;
    }

    let with_short_timeout = setup_with_admin().flag("upstream-timeout", "300ms").start().await;
    with_short_timeout.inject_fault(fault(json!({"kind": "hang"}), 1));
    let request =
        with_short_timeout.post("/logout").bearer(&with_short_timeout.sign_up().access_token);
    let metrics = ["failed/auth_service_timeout", "logout:timeout", DELETED, "revocations"];
    assert_metric_changes(&with_short_timeout, "hangs", request, 500, &metrics).await;

    let ended = app.sign_up();
    app.post("/logout").bearer(&ended.access_token).send().await;
    let request = app.post("/logout?scope=others").bearer(&ended.access_token);
    let metrics = ["failed/not_found", "logout:refused"];
    assert_metric_changes(&app, "others of an ended session", request, 401, &metrics).await;

    let tokens = app.sign_up();
    let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    app.advance_time(3600);
    let metrics =
        ["revoked/none", "token:ok", "logout:ok", "revocations", "cookies_deleted_total +2"];
    assert_metric_changes(&app, "refreshed", browser.logout_request("/logout"), 200, &metrics)
        .await;
}

#[tokio::test]
async fn each_refusal_is_counted_by_its_reason() {
    let app = setup_with_admin().start().await;
    let tokens = app.sign_up();
    let post = |target: &str| app.post(target).bearer(&tokens.access_token);
    let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let by_cookie = || browser.request("POST", "/logout");
    let mut cross_site = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    cross_site.headers = vec![("Sec-Fetch-Site".to_owned(), "cross-site".to_owned())];
    let text = ("Content-Type", "text/plain");
    let forged = forged_token(r#"{"alg":"ES256","kid":"x"}"#, "{}");
    for (name, request, status, metrics) in [
        ("no credential", app.post("/logout"), 401, &["refused/missing"][..]),
        ("forged", app.post("/logout").bearer(&forged), 401, &["refused/invalid"]),
        (
            "scope",
            post("/logout?scope=x"),
            400,
            &["refused/unsupported_scope", "refused:unsupported_scope"],
        ),
        (
            "type",
            post("/logout").headers(&[text]).body("x"),
            415,
            &["refused/UNSUPPORTED_MEDIA_TYPE", "refused:UNSUPPORTED_MEDIA_TYPE"],
        ),
        (
            "size",
            post("/logout").body(vec![0; 9000]),
            413,
            &["refused/PAYLOAD_TOO_LARGE", "refused:PAYLOAD_TOO_LARGE"],
        ),
        ("no CSRF token", by_cookie(), 403, &["refused/missing", "csrf:missing"]),
        (
            "a wrong CSRF token",
            by_cookie().header("X-CSRF-Token", "x"),
            403,
            &["refused/invalid", "csrf:invalid"],
        ),
        (
            "a page of another site",
            cross_site.request("POST", "/logout"),
            403,
            &["refused/cross_site", "csrf:cross_site"],
        ),
        ("path", app.get("/x"), 404, &["refused:NOT_FOUND"]),
        ("method", app.get("/logout"), 405, &["refused:METHOD_NOT_ALLOWED"]),
        (
            "host",
            post("/logout").host("x/y"),
            400,
            &["refused/malformed_request", "refused:malformed_request"],
        ),
        (
            "the host of a document",
            app.get("/docs").host("x/y"),
            400,
            &["refused:malformed_request"],
        ),
    ] {
        assert_metric_changes(&app, name, request, status, metrics).await;
    }
    app.advance_time(3600);
    assert_metric_changes(&app, "expired", post("/logout"), 401, &["refused/expired"]).await;
    assert!(app.is_alive(&tokens));
}

#[tokio::test]
async fn a_request_without_a_place_is_counted_as_overloaded() {
    let app =
        setup_with_admin().flag("max-in-flight", "1").flag("upstream-timeout", "60s").start().await;
    app.inject_fault(fault(json!({"kind": "hang"}), 1));
    let hanging = app.post("/logout").bearer(&app.sign_up().access_token).send();
    let other = async {
        eventually("the only place is taken", async || app.gotrue_call_count() == 1).await;
        let request = app.post("/logout").bearer(&app.sign_up().access_token);
        let metrics = ["refused/OVERLOADED", "refused:OVERLOADED"];
        assert_metric_changes(&app, "no place", request, 503, &metrics).await;
        assert_eq!(samples(&app).await["requests_in_flight"], 1);
    };
    tokio::select! { _ = hanging => panic!("GoTrue never answers this logout"), () = other => {} }
}

#[tokio::test]
async fn each_response_of_verify_is_counted_by_its_reason() {
    let app = setup_with_admin().start().await;
    let (tokens, ended) = (app.sign_up(), app.sign_up());
    app.post("/logout").bearer(&ended.access_token).send().await;
    let get = || app.get("/api/auth/verify");
    let verify = |token: &str| get().bearer(token);
    for (name, request, status, metrics) in [
        ("ok", verify(&tokens.access_token), 200, &["verify:ok"][..]),
        ("revoked", verify(&ended.access_token), 401, &["verify:revoked"]),
        ("invalid", verify("x"), 401, &["verify:invalid"]),
        ("missing", get(), 401, &["verify:missing"]),
        (
            "twice",
            verify("x").bearer("y"),
            400,
            &["verify:duplicate_header", "refused:duplicate_header"],
        ),
    ] {
        assert_metric_changes(&app, name, request, status, metrics).await;
    }
    app.advance_time(3600);
    assert_metric_changes(&app, "expired", verify(&tokens.access_token), 401, &["verify:expired"])
        .await;

    let app = setup_with_admin().algorithm(Algorithm::Hs256).start().await;
    let [living, gone, unverified] = [(); 3].map(|()| app.sign_up());
    assert!(app.mock.delete_user(gone.user_id));
    let verify =
        |tokens: &gotrue_mock::Tokens| app.get("/api/auth/verify").bearer(&tokens.access_token);
    let metrics = ["verify:ok", "user:ok"];
    assert_metric_changes(&app, "living", verify(&living), 200, &metrics).await;
    let metrics = ["verify:not_found", "user:refused"];
    assert_metric_changes(&app, "gone", verify(&gone), 401, &metrics).await;
    app.inject_fault(json!({"operation": "user", "kind": "status", "status": 500, "times": 1}));
    let metrics = ["verify:auth_service", "user:error"];
    assert_metric_changes(&app, "GoTrue fails", verify(&unverified), 503, &metrics).await;

    let genuine = TestApp::new().await.sign_up().access_token;
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 500});
    let app = setup_with_admin().without_readiness_check().start_with_faults(&[no_keys]).await;
    eventually("a fetch failed", async || {
        samples(&app).await[r#"jwks_refresh_total{result="failed"}"#] > 0
    })
    .await;
    let issuer = format!("{}/auth/v1", app.mock.url());
    let mut claims = crate::harness::claims_of(&genuine);
    claims["iss"] = json!(issuer);
    let token = app.mock.sign(&claims).unwrap();
    let before = samples(&app).await;
    assert_eq!(app.get("/api/auth/verify").bearer(&token).send().await.status, 503);
    let after = samples(&app).await;
    let unready = r#"verify_total{result="key_set"}"#;
    assert_eq!(after[unready] - before[unready], 1);
}

#[tokio::test]
async fn each_route_has_its_own_counters() {
    let app = setup_with_admin().start().await;
    for (path, route) in LOGOUT_PATHS.into_iter().zip([
        "/api/auth/logout",
        "/api/v1/auth/logout",
        "/logout",
        "/logout",
        "/api/auth/logout",
        "/api/v1/auth/logout",
    ]) {
        let before = samples(&app).await;
        app.post(path).bearer(&app.sign_up().access_token).send().await;
        let changed = changes(&before, &samples(&app).await);
        let logout_metrics: Vec<&String> =
            changed.keys().filter(|name| name.starts_with("logout")).collect();
        assert_eq!(logout_metrics.len(), 2, "{changed:?}");
        assert!(
            logout_metrics.iter().all(|name| name.contains(&format!(r#"route="{route}""#))),
            "{changed:?}"
        );
    }
}
