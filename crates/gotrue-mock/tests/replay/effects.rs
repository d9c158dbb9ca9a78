//! Compares the rows of a user before and after a request with the recorded ones.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Mock;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{recording::Exchange, template::Bindings};

/// The rows that an exchange is about: those of its user, and those of the session of its access token.
pub(crate) struct Effects {
    /// As the recording names the user; `None` as long as the name is not known.
    who: Option<String>,
    /// `None` if there is no such user.
    user: Option<Uuid>,
    session: Option<Uuid>,
}

/// The users whom the recording has named so far. It goes on naming a user by the first address after the user has got
/// another one.
#[derive(Default)]
pub(crate) struct People(HashMap<String, Uuid>);

impl People {
    fn find(&mut self, mock: &Mock, who: &str) -> Option<Uuid> {
        let known = self.0.get(who).copied();
        let known = known.filter(|id| mock.find_user_id(&id.to_string()).is_some());
        let found = known.or_else(|| mock.find_user_id(who));
        self.0.extend(found.map(|id| (who.to_owned(), id)));
        found
    }
}

impl Effects {
    /// `who` may be an id that only the reply brings. Such a user has no rows before.
    pub(crate) fn of(
        exchange: &Exchange,
        mock: &Mock,
        bindings: &Bindings,
        people: &mut People,
    ) -> Self {
        let who = exchange.who.as_deref().and_then(|who| bindings.fill(who).ok());
        let user = who.as_deref().and_then(|who| people.find(mock, who));
        Self { who, user, session: session_of_request(exchange, bindings) }
    }

    /// The same rows, once the reply has brought the user.
    pub(crate) fn after(
        self,
        exchange: &Exchange,
        mock: &Mock,
        bindings: &Bindings,
        people: &mut People,
    ) -> Self {
        let after = Self::of(exchange, mock, bindings, people);
        Self { who: after.who, user: self.user.or(after.user), ..self }
    }

    /// Compares the members that both the recording and the mock have.
    pub(crate) fn compare(
        &self,
        mock: &Mock,
        recorded: &BTreeMap<String, Value>,
        place: &str,
    ) -> Result<(), String> {
        if self.who.is_none() {
            return Ok(());
        }
        let rows = self.user.map(|user| mock.user_rows(&user.to_string())).unwrap_or_default();
        let mut rows = serde_json::to_value(rows).unwrap();
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
fn session_of_request(exchange: &Exchange, bindings: &Bindings) -> Option<Uuid> {
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
