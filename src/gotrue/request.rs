//! One request to GoTrue, and the headers that it carries.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::Url;

use super::{OnBehalfOf, log::RequestLabel};
use crate::operation::gotrue::Operation;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The header with the client's address that GoTrue uses for its rate limits, if the project enables this.
const SB_FORWARDED_FOR: HeaderName = HeaderName::from_static("sb-forwarded-for");

pub(super) struct Request<'a> {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) url: &'a Url,
    /// The headers that every request carries.
    pub(super) constant: &'a HeaderMap,
    /// The gateway's own client; `None` for the key set, the issuer and `GET /health`.
    pub(super) caller: Option<&'a OnBehalfOf>,
    pub(super) access_token: Option<&'a str>,
    /// A JSON document.
    pub(super) body: Option<Vec<u8>>,
}

impl Request<'_> {
    pub(super) fn request_id(&self) -> Option<&HeaderValue> {
        self.caller.map(|caller| &caller.request_id)
    }

    /// The fields by which log lines name this request.
    pub(super) fn label(&self) -> RequestLabel<'_> {
        RequestLabel::new(self.request_id(), self.operation)
    }

    /// The headers of one try.
    pub(super) fn headers(&self) -> HeaderMap {
        // Capacity for all headers, including those that the HTTP library adds.
        let mut headers = HeaderMap::with_capacity(16);
        headers.extend(self.constant.iter().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(caller) = self.caller {
            headers.insert(REQUEST_ID, caller.request_id.clone());
            if let Some(address) = &caller.forwarded_for {
                headers.insert(FORWARDED_FOR, address.clone());
                headers.insert(SB_FORWARDED_FOR, address.clone());
            }
            if let Some(user_agent) = &caller.user_agent {
                headers.insert(header::USER_AGENT, user_agent.clone());
            }
            caller.trace.pass_on(&mut headers);
        }
        // The gateway has read the token as a JWT, so the token is visible ASCII and always a valid header
        // value.
        let bearer = self.access_token.map(|token| ["Bearer ", token].concat());
        if let Some(mut value) = bearer.and_then(|bearer| HeaderValue::try_from(bearer).ok()) {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        if self.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers
    }
}
