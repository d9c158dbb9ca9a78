//! What GoTrue is asked, and in which words.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Deadline, Health, LogoutAnswer, OnBehalfOf, Operation, Refreshed, Refusal,
    transport::{NoClient, Request, Transport, Unanswered},
};
use crate::{
    config::{Scope, Supabase},
    telemetry::metrics::Metrics,
};

const CLIENT_INFO: &str = concat!("logout-gateway/", env!("CARGO_PKG_VERSION"));

const API_KEY: HeaderName = HeaderName::from_static("apikey");
const API_VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
const CLIENT_INFO_HEADER: HeaderName = HeaderName::from_static("x-client-info");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// What GoTrue takes the client's address from for its rate limits, where the project enables that.
const SB_FORWARDED_FOR: HeaderName = HeaderName::from_static("sb-forwarded-for");

/// GoTrue, as the gateway uses it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GoTrue {
    transport: Transport,
    urls: Urls,
    /// What every request carries.
    headers: HeaderMap,
}

#[derive(Clone, Debug)]
struct Urls {
    logout_local: Url,
    logout_others: Url,
    logout_global: Url,
    refresh: Url,
    user: Url,
    jwks: Url,
    health: Url,
}

impl GoTrue {
    /// A client with a pool of its own, to be used on one runtime; it counts its tries.
    ///
    /// # Errors
    /// [`NoClient`] when the system lacks what TLS needs.
    pub fn new(supabase: &Supabase, metrics: Arc<Metrics>) -> Result<Self, NoClient> {
        let base = &supabase.gotrue_url;
        Ok(Self {
            transport: Transport::new(metrics)?,
            urls: Urls {
                logout_local: logout_url(base, Scope::Local),
                logout_others: logout_url(base, Scope::Others),
                logout_global: logout_url(base, Scope::Global),
                refresh: at(base, "/token", Some("grant_type=refresh_token")),
                user: at(base, "/user", None),
                jwks: at(base, "/.well-known/jwks.json", None),
                health: at(base, "/health", None),
            },
            headers: headers(supabase.api_key.as_ref()),
        })
    }

    /// Revokes by an access token; `scope` says which of the user's sessions.
    pub async fn logout(
        &self,
        access_token: &SecretString,
        scope: Scope,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> LogoutAnswer {
        let url = match scope {
            Scope::Local => &self.urls.logout_local,
            Scope::Others => &self.urls.logout_others,
            Scope::Global => &self.urls.logout_global,
        };
        let headers = self.headers_for(caller, Some(access_token.expose_secret()));
        let request = Request {
            operation: Operation::Logout,
            method: Method::POST,
            url,
            headers,
            body: None,
        };
        match self.transport.send(request, deadline).await {
            Err(Unanswered { refusal, unknown }) => LogoutAnswer {
                result: Err(refusal),
                unknown,
                assumed: false,
                date: None,
                status: None,
            },
            Ok(answer) => LogoutAnswer {
                result: answer.revoked(scope),
                assumed: answer.status != StatusCode::NO_CONTENT,
                unknown: answer.earlier_try_unknown || answer.is_passing(),
                date: answer.date(),
                status: Some(answer.status.as_u16()),
            },
        }
    }

    /// Exchanges a refresh token for a fresh access token of the same session.
    ///
    /// # Errors
    /// Why GoTrue gave none.
    pub async fn refresh(
        &self,
        refresh_token: &SecretString,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<Refreshed, Refusal> {
        #[derive(Serialize)]
        struct Body<'a> {
            refresh_token: &'a str,
        }
        let mut headers = self.headers_for(caller, None);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = serde_json::to_vec(&Body { refresh_token: refresh_token.expose_secret() })
            .map_err(|_| Refusal::Unexpected)?;
        let request = Request {
            operation: Operation::Token,
            method: Method::POST,
            url: &self.urls.refresh,
            headers,
            body: Some(body),
        };
        self.transport.send(request, deadline).await.map_err(Refusal::from)?.refreshed()
    }

    /// Whether GoTrue takes this access token of `user`, and its session lives.
    ///
    /// # Errors
    /// Why not.
    pub async fn user(
        &self,
        access_token: &str,
        user: Uuid,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<(), Refusal> {
        let headers = self.headers_for(caller, Some(access_token));
        let request = Request {
            operation: Operation::User,
            method: Method::GET,
            url: &self.urls.user,
            headers,
            body: None,
        };
        self.transport.send(request, deadline).await?.live(user)
    }

    /// The body of the key set; that of an empty one for a 404, if `missing_is_empty`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn jwks(
        &self,
        missing_is_empty: bool,
        deadline: Deadline,
    ) -> Result<Vec<u8>, Refusal> {
        let request = Request {
            operation: Operation::Jwks,
            method: Method::GET,
            url: &self.urls.jwks,
            headers: self.headers.clone(),
            body: None,
        };
        self.transport.send(request, deadline).await?.into_key_set(missing_is_empty)
    }

    /// Who answers at GoTrue's address, with or without the `apikey`.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn health(&self, with_key: bool, deadline: Deadline) -> Result<Health, Refusal> {
        #[derive(Deserialize)]
        struct Body {
            name: String,
            #[serde(default)]
            version: String,
        }
        let mut headers = self.headers.clone();
        if !with_key {
            headers.remove(API_KEY);
        }
        let operation = Operation::Health;
        let request =
            Request { operation, method: Method::GET, url: &self.urls.health, headers, body: None };
        let answer = self.transport.send(request, deadline).await?;
        let body = serde_json::from_slice::<Body>(&answer.body).ok();
        Ok(Health {
            status: answer.status.as_u16(),
            is_gotrue: body.as_ref().is_some_and(|body| body.name == "GoTrue"),
            version: body.and_then(|body| version(&body.version)),
            date: answer.date(),
        })
    }

    fn headers_for(&self, caller: &OnBehalfOf, access_token: Option<&str>) -> HeaderMap {
        // Room for all, those of `self.headers` and the HTTP library's own included.
        let mut headers = HeaderMap::with_capacity(16);
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        headers.insert(REQUEST_ID, caller.request_id.clone());
        headers.insert(FORWARDED_FOR, caller.forwarded_for.clone());
        headers.insert(SB_FORWARDED_FOR, caller.forwarded_for.clone());
        if let Some(user_agent) = &caller.user_agent {
            headers.insert(header::USER_AGENT, user_agent.clone());
        }
        caller.trace.pass_on(&mut headers);
        // A token that was read as a JWT is visible ASCII: the value is always one.
        if let Some(mut value) =
            access_token.and_then(|t| HeaderValue::try_from(format!("Bearer {t}")).ok())
        {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        headers
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn headers(api_key: Option<&SecretString>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(API_VERSION, HeaderValue::from_static("2024-01-01"));
    headers.insert(CLIENT_INFO_HEADER, HeaderValue::from_static(CLIENT_INFO));
    if let Some(mut value) = api_key.and_then(|key| HeaderValue::try_from(key.expose_secret()).ok())
    {
        value.set_sensitive(true);
        headers.insert(API_KEY, value);
    }
    headers
}

fn logout_url(base: &Url, scope: Scope) -> Url {
    at(base, "/logout", Some(&format!("scope={}", scope.as_str())))
}

fn at(base: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}
