//! Plays a recorded scenario against a mock of its own, and compares every reply.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Mock;
use reqwest::{Client, Method, redirect};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use crate::{
    clock::clock,
    earlier,
    effects::{Effects, People},
    instances,
    recording::{Exchange, Scenario},
    template::Bindings,
    unrecorded,
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

/// The recorded servers whose issuer is not that of the others.
const OTHER_ISSUERS: [&str; 2] = ["no-issuer", "bare-issuer"];

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
    people: People,
    address: SocketAddr,
    /// The addresses of the servers with the settings of each instance, all on one database.
    servers: HashMap<&'static str, SocketAddr>,
}

/// Plays a scenario. Returns its first difference.
pub(crate) async fn play(scenario: &'static Scenario) -> Result<(), Difference> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let instance = scenario.exchanges[0].instance.as_str();
    let options = instances::options(instance, &format!("http://{address}"));
    let mock = Mock::new(options, address, clock()).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving =
        tokio::spawn(gotrue_mock::serve(listener, mock.clone(), async { drop(stopped.await) }));
    let mut servers = HashMap::from([(instance, address)]);
    let mut others = JoinSet::new();
    let scenarios: Vec<_> = scenario.prerequisites().chain([scenario]).collect();
    for exchange in scenarios.iter().flat_map(|scenario| &scenario.exchanges) {
        if !servers.contains_key(exchange.instance.as_str()) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            servers.insert(&exchange.instance, listener.local_addr().unwrap());
            let options = instances::options(&exchange.instance, &format!("http://{address}"));
            let mock = mock.with_settings(options.settings);
            others.spawn(gotrue_mock::serve(listener, mock, std::future::pending()));
        }
    }
    let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
    let mut player = Player {
        mock,
        http,
        bindings: Bindings::new(format!("http://{address}")),
        people: People::default(),
        address,
        servers,
    };
    earlier::create_users(&player.mock, scenario.title());
    player.sign_in_people(scenario.title()).await;
    let prepared = player.play_earlier(scenario).await;
    let result = prepared.and(player.play(&scenario.exchanges).await);
    drop(stop);
    serving.await.unwrap();
    result
}

impl Player {
    /// Plays the scenarios before this one in the order in which they were recorded, for the rows and the entries of
    /// the audit log that they leave: a list of all entries then has the recorded number of them. Their exchanges are
    /// compared, too, but for those of servers with another issuer: here, all servers have one.
    async fn play_earlier(&mut self, scenario: &Scenario) -> Result<(), Difference> {
        let earlier = scenario.prerequisites().flat_map(|earlier| &earlier.exchanges);
        let mut earlier: Vec<&Exchange> = earlier.collect();
        earlier.sort_by_key(|exchange| exchange.number);
        let mut bindings = HashMap::new();
        for exchange in earlier {
            let own = bindings.remove(&exchange.scenario);
            self.bindings =
                own.unwrap_or_else(|| unrecorded::bindings(&self.mock, &exchange.scenario));
            let played = self.exchange(exchange).await;
            if !OTHER_ISSUERS.contains(&&*exchange.instance) {
                played.map_err(|cause| Difference { exchange: exchange.name.clone(), cause })?;
            }
            let own = Bindings::new(self.mock.url().to_owned());
            bindings.insert(&exchange.scenario, std::mem::replace(&mut self.bindings, own));
        }
        Ok(())
    }

    async fn play(&mut self, exchanges: &[Exchange]) -> Result<(), Difference> {
        self.bindings = unrecorded::bindings(&self.mock, &exchanges[0].scenario);
        for exchange in exchanges {
            let played = self.exchange(exchange).await;
            played.map_err(|cause| Difference { exchange: exchange.name.clone(), cause })?;
        }
        Ok(())
    }

    /// Signs in a person whose identity another scenario had linked to its user.
    async fn sign_in_people(&self, scenario: &str) {
        if scenario == "identities-other" {
            let path = "authorize?provider=github&user=gh-ann";
            let authorize = format!("http://{}/auth/v1/{path}", self.address);
            let reply = self.http.get(authorize).send().await.unwrap();
            let callback = reply.headers()["location"].to_str().unwrap();
            assert_eq!(self.http.get(callback).send().await.unwrap().status(), 302);
        }
    }

    async fn exchange(&mut self, exchange: &Exchange) -> Result<(), String> {
        for step in &exchange.prepared {
            self.prepare(step, exchange).await?;
        }
        self.bind_token_without_session();
        self.bindings.bind_totp_codes(self.mock.now());
        let effects = Effects::of(exchange, &self.mock, &self.bindings, &mut self.people);
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
        let effects = effects.after(exchange, &self.mock, &self.bindings, &mut self.people);
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
                // The recording of a mail without a link has empty texts, the mock's mail has no such members.
                let recorded = recorded.get(name).filter(|recorded| **recorded != json!(""));
                if let Some(recorded) = recorded {
                    self.bindings.matches(recorded, &sent[name], &format!("mail.{name}"))?;
                }
            }
        }
        Ok(())
    }

    fn compare_claims(&mut self, exchange: &Exchange) -> Result<(), String> {
        for (placeholder, recorded) in &exchange.claims {
            let claims = claims_of(self.bindings.get(placeholder).unwrap_or_default())?;
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

    /// Makes the token that no reply brings: the first access token without its session.
    fn bind_token_without_session(&mut self) {
        let claims = self.bindings.get("<access-token:1>").map(claims_of);
        if let Some(Ok(mut claims)) = claims {
            claims.as_object_mut().unwrap().remove("session_id");
            let token = self.mock.sign(&claims).unwrap();
            self.bindings.bind("<access-token without session_id>", &token);
        }
    }

    /// Access tokens do not grow older when the recorder lets time pass for rows of the database.
    fn renew_access_tokens(&mut self, seconds: f64) {
        for name in self.bindings.names_of("access-token") {
            let mut claims = claims_of(self.bindings.get(&name).unwrap()).unwrap();
            claims["exp"] = json!(claims["exp"].as_f64().unwrap() + seconds);
            let token = self.mock.sign(&claims).unwrap();
            self.bindings.bind(&name, &token);
        }
    }

    async fn prepare(&mut self, step: &Value, exchange: &Exchange) -> Result<(), String> {
        match step["do"].as_str() {
            Some("wait" | "pass") => {
                let seconds = step["seconds"].as_f64().unwrap();
                self.mock.advance_clock(Duration::from_secs_f64(seconds)).unwrap();
                if step["do"] == "pass" {
                    self.renew_access_tokens(seconds);
                }
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

fn claims_of(token: &str) -> Result<Value, String> {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|e| e.to_string())?;
    serde_json::from_slice(&payload).map_err(|e| e.to_string())
}
