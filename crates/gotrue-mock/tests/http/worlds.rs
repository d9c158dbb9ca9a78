//! `/mock/worlds/<name>`: mocks of their own for test workers that run at the same time.

use axum::http::{Method, StatusCode};
use gotrue_mock::{InitialUsers, Options};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, RunningMock};

async fn sign_up(mock: &RunningMock, world: &str) -> Value {
    let user = json!({"email": "ann@example.com", "password": PASSWORD});
    let response = mock.post(&format!("{world}/auth/v1/signup"), user).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.body);
    response.json()
}

async fn count(mock: &RunningMock, path: &str) -> usize {
    mock.get(path).await.json().as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_address_can_sign_up_in_each_world() {
    let mock = RunningMock::start_default().await;
    for world in ["", "/mock/worlds/1", "/mock/worlds/worker-2"] {
        let session = sign_up(&mock, world).await;
        let bearer = format!("Bearer {}", session["access_token"].as_str().unwrap());
        let user = [("authorization", &*bearer)];
        let path = format!("{world}/auth/v1/user");
        let here = mock.send(Method::GET, &path, &user, None).await;
        assert_eq!(here.status, StatusCode::OK);
        let elsewhere = mock.send(Method::GET, "/mock/worlds/3/auth/v1/user", &user, None).await;
        assert_eq!(elsewhere.code(), "user_not_found");
        assert_eq!(count(&mock, &format!("{world}/mock/users")).await, 1);
    }
    assert_eq!(mock.get("/mock/worlds").await.json(), json!(["1", "3", "worker-2"]));
}

#[tokio::test]
async fn links_issuer_and_key_set_lead_back_into_the_world() {
    let mock = RunningMock::start_default().await;
    let url = format!("{}/mock/worlds/w", mock.mock.url());
    sign_up(&mock, "/mock/worlds/w").await;
    mock.post("/mock/worlds/w/auth/v1/recover", json!({"email": "ann@example.com"})).await;
    let mails = mock.get("/mock/worlds/w/mock/mails").await.json();
    let link = mails[0]["link"].as_str().unwrap();
    assert!(link.starts_with(&format!("{url}/auth/v1/verify?")), "{link}");
    let back = mock.get(link.strip_prefix(mock.mock.url()).unwrap()).await;
    assert!(back.header("location").unwrap().contains("#access_token="), "{back:?}");
    let discovery =
        mock.get("/mock/worlds/w/auth/v1/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["issuer"], format!("{url}/auth/v1"));
    let consent = mock.get("/mock/worlds/w/auth/v1/authorize?provider=google").await;
    let consent = consent.header("location").unwrap().to_owned();
    assert!(consent.starts_with(&format!("{url}/mock/consent/google?")), "{consent}");
    let page = mock.get(consent.strip_prefix(mock.mock.url()).unwrap()).await;
    assert!(page.body.contains(&format!("action=\"{url}/auth/v1/callback\"")), "{}", page.body);
}

#[tokio::test]
async fn faults_calls_clock_and_reset_act_in_one_world_only() {
    let mock = RunningMock::start_default().await;
    let fault = json!({"operation": "health", "kind": "status"});
    mock.post("/mock/worlds/a/mock/faults", fault).await;
    mock.post("/mock/worlds/a/mock/clock", json!({"advance": "2h"})).await;
    let statuses = [
        mock.get("/mock/worlds/a/auth/v1/health").await.status,
        mock.get("/mock/worlds/b/auth/v1/health").await.status,
        mock.get("/auth/v1/health").await.status,
    ];
    assert_eq!(statuses.map(|status| status.as_u16()), [503, 200, 200]);
    assert_eq!(mock.get("/mock/worlds/a/mock/calls").await.json()[0]["path"], "/auth/v1/health");
    assert_eq!(count(&mock, "/mock/worlds/b/mock/calls").await, 1);
    let dates = [mock.get("/mock/worlds/a/mock/calls").await, mock.get("/mock/calls").await];
    assert_ne!(dates[0].header("date"), dates[1].header("date"));

    sign_up(&mock, "").await;
    mock.post("/mock/worlds/a/mock/reset", json!({})).await;
    assert_eq!(mock.get("/mock/worlds/a/auth/v1/health").await.status, StatusCode::OK);
    assert_eq!(count(&mock, "/mock/users").await, 1);
}

#[tokio::test]
async fn a_world_ends_and_begins_anew() {
    let mock = RunningMock::start_default().await;
    sign_up(&mock, "/mock/worlds/w").await;
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
        let ended = mock.send(Method::DELETE, "/mock/worlds/w", &[], None).await;
        assert_eq!(ended.status, status);
    }
    sign_up(&mock, "/mock/worlds/w").await;
}

#[tokio::test]
async fn a_world_begins_with_the_initial_users_and_with_ids_of_its_own() {
    let users = json!([{"email": "ann@example.com", "password": PASSWORD}]).to_string();
    let users = InitialUsers::from_json(&users).unwrap();
    let options = || Options { users: users.clone(), seed: Some(7), ..Options::default() };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mock = RunningMock::start(options()).await;
        let mut ids = Vec::new();
        for world in ["", "/mock/worlds/a", "/mock/worlds/b"] {
            let grant = format!("{world}/auth/v1/token?grant_type=password");
            let body = json!({"email": "ann@example.com", "password": PASSWORD});
            ids.push(mock.post(&grant, body).await.json()["user"]["id"].clone());
        }
        runs.push(ids);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0][0] != runs[0][1] && runs[0][1] != runs[0][2], "{runs:?}");
}

#[rstest]
#[case::empty("")]
#[case::not_in_the_alphabet("a%2Fb")]
#[case::too_long(&"w".repeat(65))]
#[tokio::test]
async fn a_world_with_another_name_is_refused(#[case] name: &str) {
    let mock = RunningMock::start_default().await;
    let refused = mock.get(&format!("/mock/worlds/{name}/auth/v1/health")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.json()["message"].as_str().unwrap().contains("1 to 64 letters"));
}

#[tokio::test]
async fn another_method_at_the_list_of_worlds_or_at_a_world_is_405_with_the_allowed_one() {
    let mock = RunningMock::start_default().await;
    for (path, allowed) in [("/mock/worlds", "GET"), ("/mock/worlds/w", "DELETE, GET")] {
        let refused = mock.send(Method::PUT, path, &[], None).await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(refused.header("allow"), Some(allowed), "{path}");
    }
}

#[tokio::test]
async fn the_number_of_worlds_is_bounded() {
    let mock = RunningMock::start_default().await;
    for number in 0..1000 {
        let path = format!("/mock/worlds/{number}/auth/v1/health");
        assert_eq!(mock.get(&path).await.status, StatusCode::OK);
    }
    let health = "/mock/worlds/one-more/auth/v1/health";
    assert_eq!(mock.get(health).await.status, StatusCode::TOO_MANY_REQUESTS);
    mock.send(Method::DELETE, "/mock/worlds/5", &[], None).await;
    assert_eq!(mock.get(health).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_page_of_another_origin_can_list_and_end_worlds() {
    let mock = RunningMock::start_default().await;
    sign_up(&mock, "/mock/worlds/w").await;
    let origin = ("origin", "http://app.test");
    let preflight = [origin, ("access-control-request-method", "DELETE")];
    for (method, path, headers) in [
        (Method::GET, "/mock/worlds", &[origin][..]),
        (Method::OPTIONS, "/mock/worlds/w", &preflight),
        (Method::DELETE, "/mock/worlds/w", &[origin]),
    ] {
        let response = mock.send(method, path, headers, None).await;
        assert!(response.status.is_success(), "{response:?}");
        assert_eq!(response.header("access-control-allow-origin"), Some("*"), "{path}");
    }
    assert_eq!(mock.get("/mock/worlds").await.json(), json!([]));
}

#[tokio::test]
async fn the_url_of_a_world_leads_to_its_page() {
    let mock = RunningMock::start_default().await;
    let response = mock.get("/mock/worlds/w").await;
    assert_eq!(response.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(response.header("location"), Some("/mock/worlds/w/"));
    assert!(mock.get("/mock/worlds/w/").await.body.contains("<title>GoTrue mock</title>"));
}
