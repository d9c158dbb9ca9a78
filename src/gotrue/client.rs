//! A method for each request that the gateway sends to GoTrue.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Deadline, FetchError, HealthAnswer, LogoutAnswer, OnBehalfOf, Refreshed, Refusal,
    request::Request,
    transport::{HttpClientError, Transport, Unanswered},
};
use crate::{
    config::Config, operation::gotrue::Operation, outcome::Scope, telemetry::metrics::Metrics,
};

const CLIENT_INFO: &str = concat!("logout-gateway/", env!("CARGO_PKG_VERSION"));

const API_KEY: HeaderName = HeaderName::from_static("apikey");
const API_VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
const CLIENT_INFO_HEADER: HeaderName = HeaderName::from_static("x-client-info");

/// A client of GoTrue's API. Clones are cheap and share the connection pool.
#[derive(Clone, Debug)]
pub struct GoTrue {
    transport: Transport,
    urls: Urls,
    /// The headers of every request.
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
    openid_configuration: Url,
    health: Url,
}

impl GoTrue {
    /// A client with its own connection pool, for one runtime. Each try of a request is counted in `metrics`.
    ///
    /// # Errors
    /// `HttpClientError`, for instance when the system has no TLS roots.
    pub fn new(config: &Config, metrics: Arc<Metrics>) -> Result<Self, HttpClientError> {
        let supabase = &config.supabase;
        let base = &supabase.gotrue_url;
        Ok(Self {
            transport: Transport::new(config, metrics)?,
            urls: Urls {
                logout_local: logout_url(base, Scope::Local),
                logout_others: logout_url(base, Scope::Others),
                logout_global: logout_url(base, Scope::Global),
                refresh: at(base, "/token", Some("grant_type=refresh_token")),
                user: at(base, "/user", None),
                jwks: at(base, "/.well-known/jwks.json", None),
                openid_configuration: at(base, "/.well-known/openid-configuration", None),
                health: at(base, "/health", None),
            },
            headers: headers(supabase.api_key()),
        })
    }

    /// Revokes sessions of the access token's user. `scope` says which sessions.
    pub(crate) async fn logout(
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
        let request = Request {
            operation: Operation::Logout,
            method: Method::POST,
            url,
            constant: &self.headers,
            caller: Some(caller),
            access_token: Some(access_token.expose_secret()),
            body: None,
        };
        match self.transport.send(request, deadline).await {
            Err(Unanswered { refusal, unknown, .. }) => LogoutAnswer {
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

    /// Exchanges a refresh token for a new access token of the same session.
    pub(crate) async fn refresh(
        &self,
        refresh_token: &SecretString,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<Refreshed, Refusal> {
        #[derive(Serialize)]
        struct Body<'a> {
            refresh_token: &'a str,
        }
        let body = serde_json::to_vec(&Body { refresh_token: refresh_token.expose_secret() })
            .map_err(|_| Refusal::Unexpected)?;
        let request = Request {
            operation: Operation::Token,
            method: Method::POST,
            url: &self.urls.refresh,
            constant: &self.headers,
            caller: Some(caller),
            access_token: None,
            body: Some(body),
        };
        self.transport.send(request, deadline).await.map_err(Refusal::from)?.refreshed()
    }

    /// Asks whether GoTrue accepts this access token of `user` and its session lives; `Ok` if so.
    pub(crate) async fn user(
        &self,
        access_token: &str,
        user: Uuid,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<(), Refusal> {
        let request = Request {
            operation: Operation::User,
            method: Method::GET,
            url: &self.urls.user,
            constant: &self.headers,
            caller: Some(caller),
            access_token: Some(access_token),
            body: None,
        };
        self.transport.send(request, deadline).await?.live(user)
    }

    /// The body of the project's key set. If `missing_is_empty`, a 404 counts as an empty key set.
    pub(crate) async fn jwks(
        &self,
        missing_is_empty: bool,
        deadline: Deadline,
    ) -> Result<Vec<u8>, FetchError> {
        let request = Request {
            operation: Operation::Jwks,
            method: Method::GET,
            url: &self.urls.jwks,
            constant: &self.headers,
            caller: None,
            access_token: None,
            body: None,
        };
        Ok(self.transport.send(request, deadline).await?.into_key_set(missing_is_empty)?)
    }

    /// The issuer that GoTrue publishes; `None` if it publishes none.
    pub(crate) async fn issuer(&self, deadline: Deadline) -> Result<Option<String>, FetchError> {
        let request = Request {
            operation: Operation::OpenidConfiguration,
            method: Method::GET,
            url: &self.urls.openid_configuration,
            constant: &self.headers,
            caller: None,
            access_token: None,
            body: None,
        };
        Ok(self.transport.send(request, deadline).await?.into_issuer()?)
    }

    /// Asks for GoTrue's health, with or without the header `apikey`.
    ///
    /// # Errors
    /// [`FetchError`], if no answer came.
    pub(crate) async fn health(
        &self,
        with_key: bool,
        deadline: Deadline,
    ) -> Result<HealthAnswer, FetchError> {
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
        let request = Request {
            operation: Operation::Health,
            method: Method::GET,
            url: &self.urls.health,
            constant: &headers,
            caller: None,
            access_token: None,
            body: None,
        };
        let answer = self.transport.send(request, deadline).await?;
        let body = serde_json::from_slice::<Body>(&answer.body).ok();
        Ok(HealthAnswer {
            status: answer.status.as_u16(),
            is_gotrue: body.as_ref().is_some_and(|body| body.name == "GoTrue"),
            version: body.and_then(|body| version(&body.version)),
            date: answer.date(),
        })
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
