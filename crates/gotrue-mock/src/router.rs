//! Routes each path of the mock to its handler.

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};

use crate::{
    mock::Mock,
    routes::{
        admin, authorize, callback, consent, control, discovery, factor_verification, factors,
        health, identities, invite, logout, missing, otp, page, project, reauthenticate, recover,
        settings, sign_up, token, user, user_update, verify,
    },
};

pub(crate) fn router(mock: Mock) -> Router {
    Router::new()
        .nest("/auth/v1", gotrue())
        .nest("/mock", controls())
        .merge(page::router())
        .fallback(not_found)
        .with_state(mock)
}

fn gotrue() -> Router<Mock> {
    let user = || get(user::get_user).put(user_update::update_user).fallback(user::wrong_method);
    let router = Router::new()
        .route("/signup", post(sign_up::sign_up))
        .route("/token", post(token::token))
        .route("/logout", post(logout::logout))
        .route("/user", user())
        .route("/user/", user())
        .route("/reauthenticate", get(reauthenticate::reauthenticate))
        .route("/invite", post(invite::invite))
        .route("/.well-known/jwks.json", get(discovery::jwks))
        .route("/.well-known/openid-configuration", get(discovery::openid_configuration))
        .route("/health", get(health::health))
        .route("/otp", post(otp::otp))
        .route("/magiclink", post(otp::magic_link))
        .route("/recover", post(recover::recover))
        .route("/resend", post(recover::resend))
        .route("/verify", get(verify::verify_link).post(verify::verify))
        .route("/settings", get(settings::settings))
        .route("/factors", post(factors::enrol))
        .route("/factors/{id}", delete(factors::delete))
        .route("/factors/{id}/challenge", post(factors::challenge))
        .route("/factors/{id}/verify", post(factor_verification::verify))
        .route("/authorize", get(authorize::authorize))
        .route(
            "/callback",
            get(callback::callback)
                .post(callback::callback_by_form)
                .fallback(callback::wrong_method),
        )
        .route("/user/identities/authorize", get(authorize::authorize_linking))
        .route("/user/identities/{id}", delete(identities::delete_identity));
    missing::add_to(administration(router))
}

/// The endpoints that only an administrator may use.
fn administration(router: Router<Mock>) -> Router<Mock> {
    router
        .route("/admin/users", get(admin::list::list).post(admin::create::create))
        .route(
            "/admin/users/{id}",
            get(admin::users::get).put(admin::update::update).delete(admin::users::delete),
        )
        .route("/admin/users/{id}/factors", get(admin::factors::list))
        .route(
            "/admin/users/{id}/factors/{factor_id}",
            put(admin::factors::update).delete(admin::factors::delete),
        )
        .route("/admin/users/{id}/passkeys", get(admin::users::passkeys))
        .route("/admin/audit", get(admin::audit::audit))
        .route("/admin/generate_link", post(admin::links::generate))
        .route("/admin/sso/providers", get(admin::sso::saml_providers))
        .route(
            "/admin/custom-providers",
            get(admin::sso::custom_providers).post(admin::sso::create_custom_provider),
        )
}

fn controls() -> Router<Mock> {
    Router::new()
        .route("/consent/{provider}", get(consent::consent_page))
        .route("/reset", post(control::reset))
        .route("/calls", get(control::calls))
        .route("/project", get(project::project))
        .route("/sessions", get(control::sessions))
        .route("/sessions/{id}", delete(control::delete_session))
        .route("/sessions/{id}/expire", post(control::expire_session))
        .route("/mails", get(control::mails).delete(control::delete_mails))
        .route("/users", get(control::users))
        .route("/users/{id}", delete(control::delete_user))
        .route("/users/{id}/ban", post(control::ban_user))
        .route("/keys/rotate", post(control::rotate_keys))
        .route("/cleanup", post(control::clean_up))
        .route("/clock", post(control::advance_clock))
        .route(
            "/faults",
            get(control::faults).post(control::inject_fault).delete(control::clear_faults),
        )
}

/// The answer of Go's router to an unknown path.
pub(crate) async fn not_found() -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use axum::{
        body::Body,
        http::{Method, Request},
    };
    use tower::ServiceExt;

    use super::*;
    use crate::mock::Options;

    #[tokio::test]
    async fn clearing_the_faults_leaves_the_sessions() {
        let address = ([127, 0, 0, 1], 9999).into();
        let mock = Mock::new(Options::default(), address, || UNIX_EPOCH).unwrap();
        let tokens = mock.sign_in(mock.create_user("a@example.com", "password")).unwrap();
        let call = async |method: Method, body: &'static str| {
            let request = Request::builder().method(method).uri("/mock/faults");
            let request = request.body(Body::from(body)).unwrap();
            router(mock.clone()).oneshot(request).await.unwrap().status()
        };
        let fault = r#"{"operation":"logout","kind":"reset"}"#;
        assert_eq!(call(Method::POST, fault).await, StatusCode::NO_CONTENT);
        assert!(mock.take_fault("/auth/v1/logout").is_some());
        assert_eq!(call(Method::DELETE, "").await, StatusCode::NO_CONTENT);
        assert!(mock.take_fault("/auth/v1/logout").is_none());
        assert!(mock.session_alive(tokens.session_id));
    }
}
