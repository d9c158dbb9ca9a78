//! Creates the users of administrators and the initial users.

use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::{
    credentials::{LONGEST_PASSWORD, new_password},
    database::{AddressClaims, Database},
    error::GotrueError,
    metadata::merge,
    user::User,
    user_form::UserForm,
};

/// How the hashes begin that GoTrue takes: bcrypt, Argon2, and scrypt as Firebase writes it.
const HASH_PREFIXES: [&str; 6] = ["$2a$", "$2b$", "$2y$", "$argon2i$", "$argon2id$", "$fbscrypt$"];

/// Creates the user of a form. Returns its id.
pub(crate) fn create_user(
    database: &mut Database,
    form: &UserForm,
    now: SystemTime,
) -> Result<Uuid, GotrueError> {
    let user = new_user(database, form, now)?;
    let id = user.id;
    database.insert_user(user);
    add_identities(database, id, now);
    let user = database.user_mut(id).ok_or_else(GotrueError::unexpected)?;
    user.update_providers();
    merge(&mut user.app_metadata, form.app_metadata.clone().unwrap_or_default());
    if form.email_confirm {
        user.confirm_email(now);
    }
    if form.phone_confirm {
        user.confirm_phone(now);
    }
    Ok(id)
}

/// Makes GoTrue's checks in the same order. Returns the row of the user.
fn new_user(
    database: &mut Database,
    form: &UserForm,
    now: SystemTime,
) -> Result<User, GotrueError> {
    let invalid = |message: &str| GotrueError::bad_request("validation_failed", message);
    if !matches!(&*form.aud, "" | "authenticated") {
        return Err(GotrueError::not_implemented("POST /admin/users with aud"));
    }
    if form.email.is_empty() && form.phone.is_empty() {
        return Err(invalid("Cannot create a user without either an email or phone"));
    }
    let email = form.email()?;
    if email.as_ref().is_some_and(|email| database.duplicated_email(email, None).is_some()) {
        return Err(email_exists());
    }
    let phone = form.phone()?;
    if phone.as_ref().is_some_and(|phone| database.user_by_phone(phone).is_some()) {
        let message = "Phone number already registered by another user";
        return Err(GotrueError::unprocessable("phone_exists", message));
    }
    let password = password(form)?.unwrap_or_else(|| new_password(database.rng()).into());
    let id = new_id(database, &form.id)?;
    let ban = form.ban(now)?;
    if database.user(id).is_some() {
        let message = "Database error creating new user";
        return Err(GotrueError::unique_violation(message, "users_pkey", "id", &id.to_string()));
    }
    let mut user = User::new(id, now);
    (user.email, user.phone, user.password) = (email, phone, Some(password));
    user.user_metadata = form.user_metadata.clone().unwrap_or_default();
    if !form.role.is_empty() {
        form.role.trim().clone_into(&mut user.role);
    }
    ban.apply(&mut user);
    Ok(user)
}

/// The password in the request; `None` if the request has none, and the user gets a random one.
fn password(form: &UserForm) -> Result<Option<SecretString>, GotrueError> {
    if !form.password_hash.is_empty() {
        if form.password.is_some() {
            let message = "Only a password or a password hash should be provided";
            return Err(GotrueError::bad_request("validation_failed", message));
        }
        if HASH_PREFIXES.iter().any(|prefix| form.password_hash.starts_with(prefix)) {
            return Err(GotrueError::not_implemented("POST /admin/users with password_hash"));
        }
        return Err(GotrueError::unexpected_failure("Error creating user"));
    }
    let given = form.password.as_ref().filter(|password| !password.expose_secret().is_empty());
    if given.is_some_and(|password| password.expose_secret().len() > LONGEST_PASSWORD) {
        let message = "bcrypt: password length exceeds 72 bytes";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    Ok(given.cloned())
}

fn new_id(database: &mut Database, given: &str) -> Result<Uuid, GotrueError> {
    if given.is_empty() {
        return Ok(database.new_uuid());
    }
    let invalid = |message: &str| GotrueError::bad_request("validation_failed", message);
    match Uuid::try_parse(given) {
        Ok(id) if id.is_nil() => Err(invalid("ID cannot be a nil uuid")),
        Ok(id) => Ok(id),
        Err(_) => Err(invalid("ID must conform to the uuid v4 format")),
    }
}

/// The identities of the addresses. None is verified, whatever the request confirms (recorded: `admin-create-full`).
fn add_identities(database: &mut Database, id: Uuid, now: SystemTime) {
    let Some(user) = database.user(id) else { return };
    let (email, phone) = (user.email.clone(), user.phone.clone());
    for (provider, address) in [("email", email), ("phone", phone)] {
        if let Some(address) = address {
            let claims = AddressClaims { provider, address: &address, is_verified: false };
            database.write_address_identity(id, claims, now);
        }
    }
}

/// The refusal of an address that another user has.
pub(crate) fn email_exists() -> GotrueError {
    let message = "A user with this email address has already been registered";
    GotrueError::unprocessable("email_exists", message)
}
