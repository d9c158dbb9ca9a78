//! Attackers send logouts while Redis has reached its `maxmemory`: `verify` must work, no answered logout may
//! be lost, and the queue must become empty as soon as GoTrue works again.

use gotrue_mock::Tokens;
use serde_json::json;

use super::{admin_json, start_gateway, verify};
use crate::harness::{
    Browser, CookieFormat, GatewayProcess, RedisServer, TestApp, claims_of, eventually_within,
    hs256_token,
};

const TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);
/// The number of logouts that are in the queue when Redis becomes full.
const QUEUED: usize = 20;

async fn log_out(gateway: &GatewayProcess, token: &str, scope: &str) -> u16 {
    let target = format!("/api/auth/logout?scope={scope}");
    gateway.request("POST", &target).bearer(token).send().await.status
}

/// Sends two kinds of logouts: with forged tokens that have the victim's ids, and with the attacker's own
/// account and the scope `others`, each with a different invented refresh token.
async fn attack(app: &TestApp, gateway: &GatewayProcess, victim: &Tokens, attacker: &Tokens) {
    let mut claims = claims_of(&victim.access_token);
    for n in 0..50 {
        claims["attempt"] = json!(n);
        let forged = hs256_token(&claims, "a-secret-of-the-attacker-0123456789abcdef");
        let status = log_out(gateway, &forged, "global").await;
        assert!(matches!(status, 401 | 429 | 500 | 503), "{status}");
        let shown = Tokens { refresh_token: format!("made-up-{n}"), ..attacker.clone() };
        let mut browser = Browser::signed_in_without_csrf(app, &shown, CookieFormat::Base64);
        browser.address = gateway.address;
        assert_eq!(browser.fetch_csrf().await.status, 200);
        browser.logout("/api/auth/logout?scope=others").await;
    }
}

fn queued_count(queue: &serde_json::Value, tokens: &Tokens) -> usize {
    let entries = queue["entries"].as_array().unwrap().iter();
    entries.filter(|entry| entry["session_id"] == json!(tokens.session_id)).count()
}

#[tokio::test]
async fn a_full_redis_locks_no_session_out_and_loses_no_answered_logout() {
    let redis = RedisServer::start().await;
    let app = super::logouts::start_app().await;
    app.advance_time(super::logouts::EXPIRED_AFTER);
    let gateway = start_gateway(&app, &redis.url()).await;
    let (victim, attacker, late) = (app.sign_up(), app.sign_up(), app.sign_up());
    let queued_sessions: Vec<Tokens> = (0..QUEUED).map(|_| app.sign_up()).collect();

    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503}));
    for tokens in &queued_sessions {
        assert_eq!(log_out(&gateway, &tokens.access_token, "local").await, 202);
    }
    attack(&app, &gateway, &victim, &attacker).await;
    let queue = admin_json(&gateway, "/queue").await;
    assert_eq!((queued_count(&queue, &victim), queued_count(&queue, &attacker)), (0, 1), "{queue}");
    assert_eq!(verify(&gateway, &victim).await, 200);

    redis.command::<String>(&["CONFIG", "SET", "maxmemory", "1"]);
    attack(&app, &gateway, &victim, &attacker).await;
    assert_eq!(verify(&gateway, &victim).await, 200, "a full Redis locks a session out");
    for tokens in &queued_sessions {
        assert_eq!(
            verify(&gateway, tokens).await,
            401,
            "verify accepts a session that was logged out"
        );
    }
    // A full Redis takes no new queue entry, so the response must say that this logout failed.
    let status = log_out(&gateway, &late.access_token, "local").await;
    assert!(matches!(status, 500), "{status}");

    app.mock.clear_faults();
    let done = async || queued_sessions.iter().all(|tokens| !app.is_alive(tokens));
    assert!(eventually_within(TIMEOUT, done).await, "{}", admin_json(&gateway, "/queue").await);
    let empty = async || admin_json(&gateway, "/queue").await["waiting"] == 0;
    assert!(eventually_within(TIMEOUT, empty).await, "{}", admin_json(&gateway, "/queue").await);
    assert!(app.is_alive(&victim));
    assert_eq!(verify(&gateway, &victim).await, 200);
    assert_eq!(log_out(&gateway, &late.access_token, "local").await, 200);
    gateway.stop();
}
