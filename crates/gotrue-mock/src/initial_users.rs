//! The users that exist from the start: `logout-gateway mock --users <file>`.

use std::{fmt, time::SystemTime};

use serde_json::Value;

use crate::{database::Database, user_creation::create_user, user_form::UserForm};

/// Users as `POST /admin/users` accepts them: an address, a number or both, `password`, `id`, `user_metadata`,
/// `app_metadata` and so on. Unlike there, their addresses are confirmed unless `email_confirm` or `phone_confirm` is
/// false.
#[derive(Clone, Default)]
pub struct InitialUsers(Vec<UserForm>);

/// Why a list of users cannot be read, or one of them cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The JSON is not a list.
    #[error("not a list of users")]
    NoList,
    /// GoTrue would refuse the user.
    #[error("user {number}: {message}")]
    Refused {
        /// The user's place in the list, from 1.
        number: usize,
        /// GoTrue's message.
        message: String,
    },
}

impl InitialUsers {
    /// Reads a JSON list of users.
    ///
    /// # Errors
    ///
    /// The text is not a JSON list, or a user in it has a member of a wrong type.
    pub fn from_json(json: &str) -> Result<Self, UserError> {
        let Value::Array(users) = serde_json::from_str(json)? else {
            return Err(UserError::NoList);
        };
        users
            .into_iter()
            .enumerate()
            .map(|(at, user)| parse(at + 1, user))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Creates the users.
    pub(crate) fn create(&self, database: &mut Database, now: SystemTime) -> Result<(), UserError> {
        for (at, form) in self.0.iter().enumerate() {
            create_user(database, form, now).map_err(|error| {
                let (_, _, message) = error.parts();
                UserError::Refused { number: at + 1, message: message.to_owned() }
            })?;
        }
        Ok(())
    }
}

fn parse(number: usize, mut user: Value) -> Result<UserForm, UserError> {
    let refused = |message| UserError::Refused { number, message };
    if let Some(members) = user.as_object_mut() {
        // Like GoTrue, take `null` for a member that is absent.
        members.retain(|_, value| !value.is_null());
        for name in ["email_confirm", "phone_confirm"] {
            members.entry(name).or_insert(true.into());
        }
    }
    let mut unknown = None;
    let form = serde_ignored::deserialize(user, |member| unknown = Some(member.to_string()));
    match (form, unknown) {
        (Ok(form), None) => Ok(form),
        (Ok(_), Some(member)) => Err(refused(format!("unknown member {member}"))),
        (Err(error), _) => Err(refused(error.to_string())),
    }
}

/// Shows the number of users only: they have passwords.
impl fmt::Debug for InitialUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InitialUsers({})", self.0.len())
    }
}
