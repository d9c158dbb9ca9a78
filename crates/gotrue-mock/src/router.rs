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
        control, discovery, health, logout, missing, otp, recover, settings, sign_up, token, user,
        verify,
    },
};

pub(crate) fn router(mock: Mock) -> Router {
    Router::new()
        .nest("/auth/v1", gotrue())
        .nest("/mock", controls())
        .fallback(not_found)
        .with_state(mock)
}

fn gotrue() -> Router<Mock> {
    let user = || get(user::get_user).put(user::update_user).fallback(user::wrong_method);
    let router = Router::new()
        .route("/signup", post(sign_up::sign_up))
        .route("/token", post(token::token))
        .route("/logout", post(logout::logout))
        .route("/user", user())
        .route("/user/", user())
        .route("/admin/users/{id}", put(user::update_user_as_administrator))
        .route("/.well-known/jwks.json", get(discovery::jwks))
        .route("/.well-known/openid-configuration", get(discovery::openid_configuration))
        .route("/health", get(health::health))
        .route("/otp", post(otp::otp))
        .route("/magiclink", post(otp::magic_link))
        .route("/recover", post(recover::recover))
        .route("/resend", post(recover::resend))
        .route("/verify", get(verify::verify_link).post(verify::verify))
        .route("/settings", get(settings::settings));
    missing::add_to(router)
}

fn controls() -> Router<Mock> {
    Router::new()
        .route("/reset", post(control::reset))
        .route("/calls", get(control::calls))
        .route("/sessions", get(control::sessions))
        .route("/sessions/{id}", delete(control::delete_session))
        .route("/sessions/{id}/expire", post(control::expire_session))
        .route("/users/{id}", delete(control::delete_user))
        .route("/users/{id}/ban", post(control::ban_user))
        .route("/keys/rotate", post(control::rotate_keys))
        .route("/cleanup", post(control::clean_up))
        .route("/clock", post(control::advance_clock))
        .route("/faults", post(control::inject_fault).delete(control::clear_faults))
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
    use crate::{faults::Operation, mock::Options};

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
        assert!(mock.take_fault(Operation::Logout).is_some());
        assert_eq!(call(Method::DELETE, "").await, StatusCode::NO_CONTENT);
        assert!(mock.take_fault(Operation::Logout).is_none());
        assert!(mock.session_alive(tokens.session_id));
    }
}
