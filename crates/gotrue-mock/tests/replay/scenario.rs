//! Plays a recorded scenario against a mock of its own, and compares every reply.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Mock;
use reqwest::{Client, Method, redirect};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use crate::{
    effects::Effects,
    instances,
    recording::{Exchange, Scenario},
    template::Bindings,
};

/// Response headers that are compared although the recording may not have them.
const COMPARED_HEADERS: [&str; 14] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "allow",
    "cache-control",
    "link",
    "location",
    "sb-auth-refresh-token-prefix",
    "sb-auth-session-id",
    "sb-auth-user-id",
    "x-sb-error-code",
    "x-total-count",
];

/// The first difference between a scenario and the mock.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) exchange: String,
    pub(crate) cause: String,
}

struct Player {
    mock: Mock,
    http: Client,
    bindings: Bindings,
    /// The addresses of the servers with the settings of each instance, all on one database.
    servers: HashMap<&'static str, SocketAddr>,
}

/// Plays a scenario. Returns its first difference.
pub(crate) async fn play(scenario: &'static Scenario) -> Result<(), Difference> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let predecessor = scenario.predecessor();
    let exchanges = &scenario.exchanges;
    let options = instances::options(&exchanges[0].instance, &format!("http://{address}"));
    let mock = Mock::new(options, address, SystemTime::now).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving =
        tokio::spawn(gotrue_mock::serve(listener, mock.clone(), async { drop(stopped.await) }));
    let mut servers = HashMap::from([(exchanges[0].instance.as_str(), address)]);
    let mut others = JoinSet::new();
    for exchange in exchanges {
        if !servers.contains_key(exchange.instance.as_str()) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            servers.insert(&exchange.instance, listener.local_addr().unwrap());
            let options = instances::options(&exchange.instance, &format!("http://{address}"));
            let mock = mock.with_settings(options.settings);
            others.spawn(gotrue_mock::serve(listener, mock, std::future::pending()));
        }
    }
    let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
    let mut player =
        Player { mock, http, bindings: Bindings::new(format!("http://{address}")), servers };
    player.bind_keys();
    let mut result = Ok(());
    let before = predecessor.map(|scenario| scenario.exchanges.as_slice()).unwrap_or_default();
    for exchange in before.iter().chain(exchanges) {
        if exchanges[0].name == exchange.name {
            player.bindings = Bindings::new(format!("http://{address}"));
            player.bind_keys();
        }
        result = player
            .exchange(exchange)
            .await
            .map_err(|cause| Difference { exchange: exchange.name.clone(), cause });
        if result.is_err() {
            break;
        }
    }
    drop(stop);
    serving.await.unwrap();
    result
}

impl Player {
    /// The keys of the project, which no reply brings.
    fn bind_keys(&mut self) {
        for role in ["service_role", "anon"] {
            let claims = json!({"role": role, "iss": "supabase", "exp": 4_000_000_000_u64});
            let placeholder = match role {
                "anon" => "<anon-key>",
                _ => "<service-role-key>",
            };
            self.bindings.bind(placeholder, &self.mock.sign(&claims).unwrap());
        }
    }

    async fn exchange(&mut self, exchange: &Exchange) -> Result<(), String> {
        for step in &exchange.prepared {
            self.prepare(step, exchange).await?;
        }
        let effects = Effects::of(exchange, &self.bindings);
        effects.compare(&self.mock, &exchange.before, "before")?;
        let sent_before = self.mock.mails().len();
        let reply = self.send(exchange).await?;
        let status = reply.status().as_u16();
        let headers = reply.headers().clone();
        let text = reply.text().await.map_err(|error| error.to_string())?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let recorded = &exchange.response;
        if status != recorded.status {
            return Err(format!("status {status}, recorded {}: {body}", recorded.status));
        }
        let body = if body == json!("") { Value::Null } else { body };
        self.bindings.matches(&recorded.body, &body, "body")?;
        let names = recorded.headers.keys().map(String::as_str).chain(COMPARED_HEADERS);
        for name in names {
            let actual = headers.get(name).map(|value| value.to_str().unwrap_or_default());
            let expected = recorded.headers.get(name).map(String::as_str);
            let is_same = match (expected, actual) {
                (Some(expected), Some(actual)) => self.bindings.matches_text(expected, actual),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                return Err(format!("header {name}: recorded {expected:?}, actual {actual:?}"));
            }
        }
        self.compare_mails(exchange, sent_before)?;
        self.compare_claims(exchange)?;
        let effects = effects.after(exchange, &self.bindings);
        effects.compare(&self.mock, &exchange.after, "after")
    }

    /// Compares the messages that the request sent.
    fn compare_mails(&mut self, exchange: &Exchange, sent_before: usize) -> Result<(), String> {
        let sent = self.mock.mails().split_off(sent_before);
        let recorded: Vec<&Value> = exchange.mails.iter().chain(&exchange.texts).collect();
        if sent.len() != recorded.len() {
            return Err(format!("recorded {} messages, actual {sent:?}", recorded.len()));
        }
        for (recorded, sent) in recorded.into_iter().zip(sent) {
            let sent = serde_json::to_value(sent).unwrap();
            for name in ["token", "to", "token_hash", "link"] {
                if let Some(recorded) = recorded.get(name) {
                    self.bindings.matches(recorded, &sent[name], &format!("mail.{name}"))?;
                }
            }
        }
        Ok(())
    }

    fn compare_claims(&mut self, exchange: &Exchange) -> Result<(), String> {
        for (placeholder, recorded) in &exchange.claims {
            let token = self.bindings.get(placeholder).unwrap_or_default().to_owned();
            let payload = token.split('.').nth(1).unwrap_or_default();
            let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|e| e.to_string())?;
            let claims: Value = serde_json::from_slice(&payload).map_err(|e| e.to_string())?;
            self.bindings.matches(recorded, &claims, placeholder)?;
        }
        Ok(())
    }

    async fn send(&self, exchange: &Exchange) -> Result<reqwest::Response, String> {
        let request = &exchange.request;
        let server = self.servers[exchange.instance.as_str()];
        let url = format!("http://{server}/auth/v1{}", self.bindings.fill(&request.path)?);
        let method = Method::from_bytes(request.method.as_bytes()).unwrap();
        let mut sent = self.http.request(method, url);
        for (name, value) in &request.headers {
            sent = sent.header(name, self.bindings.fill(value)?);
        }
        match &request.body {
            Value::Null => {}
            Value::String(text) => sent = sent.body(self.bindings.fill(text)?),
            body => sent = sent.body(self.bindings.fill_value(body)?.to_string()),
        }
        sent.send().await.map_err(|error| error.to_string())
    }

    async fn prepare(&self, step: &Value, exchange: &Exchange) -> Result<(), String> {
        match step["do"].as_str() {
            Some("wait" | "pass") => {
                let seconds = step["seconds"].as_f64().unwrap();
                self.mock.advance_clock(Duration::from_secs_f64(seconds)).unwrap();
            }
            Some("ban") => {
                let user = self.bindings.fill(step["user"].as_str().unwrap())?;
                assert!(self.mock.ban_user(user.parse().unwrap()));
            }
            Some("repeat") => {
                for _ in 0..step["times"].as_u64().unwrap() {
                    self.send(exchange).await?;
                }
            }
            _ => return Err(format!("unknown step {step}")),
        }
        Ok(())
    }
}
