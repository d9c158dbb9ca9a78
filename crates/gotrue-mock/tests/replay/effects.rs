//! Compares the rows of a user before and after a request with the recorded ones.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Mock;
use serde_json::{Value, json};

use crate::{recording::Exchange, template::Bindings};

/// The rows that an exchange is about: those of its user, and those of the session of its access token.
pub(crate) struct Effects {
    user: Option<String>,
    session: Option<uuid::Uuid>,
}

impl Effects {
    /// `who` may be an id that only the reply brings. Such a user has no rows before.
    pub(crate) fn of(exchange: &Exchange, bindings: &Bindings) -> Self {
        let user = exchange.who.as_deref().and_then(|who| bindings.fill(who).ok());
        Self { user, session: session_of_request(exchange, bindings) }
    }

    /// The same rows, once the reply has brought the id of the user.
    pub(crate) fn after(self, exchange: &Exchange, bindings: &Bindings) -> Self {
        Self { user: Self::of(exchange, bindings).user, ..self }
    }

    /// Compares the members that both the recording and the mock have.
    pub(crate) fn compare(
        &self,
        mock: &Mock,
        recorded: &BTreeMap<String, Value>,
        place: &str,
    ) -> Result<(), String> {
        let Some(user) = &self.user else { return Ok(()) };
        let mut rows = serde_json::to_value(mock.user_rows(user)).unwrap();
        if let Some(session) = self.session {
            rows["this_session_rows"] = json!(usize::from(mock.session_alive(session)));
        }
        for (name, recorded) in recorded {
            let (recorded, actual) = (sorted(recorded), &rows[name]);
            if !actual.is_null() && *actual != recorded {
                return Err(format!("{place}.{name}: recorded {recorded}, actual {actual}"));
            }
        }
        Ok(())
    }
}

/// The claim `session_id` of the access token in the request.
fn session_of_request(exchange: &Exchange, bindings: &Bindings) -> Option<uuid::Uuid> {
    let mut headers = exchange.request.headers.iter();
    let (_, header) = headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?;
    let token = bindings.fill(header).ok()?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims["session_id"].as_str()?.parse().ok()
}

/// The rows were recorded in the order of the database.
fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(items) = value.as_array_mut() {
        items.sort_unstable_by_key(ToString::to_string);
    }
    value
}
