//! Routes each path of the mock to its handler.

use axum::{
    Router,
    routing::{MethodRouter, delete, get, post, put},
};

use crate::{
    mock::Mock,
    mounted::route,
    routes::{
        admin, authorize, callback, consent, control, discovery, factor_verification, factors,
        health, identities, invite, logout, missing, otp, page, project, reauthenticate, recover,
        settings, sign_up, token, unrouted, user, user_update, verify,
    },
};

pub(crate) fn router(mock: Mock) -> Router {
    Router::new()
        .nest("/auth/v1", gotrue())
        .nest("/mock", controls())
        .merge(page::router())
        .fallback(unrouted::not_found)
        .with_state(mock)
}

fn gotrue() -> Router<Mock> {
    let endpoints = user_endpoints().into_iter().chain(administration());
    let router =
        endpoints.fold(Router::new(), |router, (path, methods)| route(router, path, methods));
    missing::add_to(router)
        .method_not_allowed_fallback(unrouted::wrong_method)
        .fallback(unrouted::unknown_path)
}

/// The endpoints that applications use.
fn user_endpoints() -> [(&'static str, MethodRouter<Mock>); 23] {
    [
        ("/signup", post(sign_up::sign_up)),
        ("/token", post(token::token)),
        ("/logout", post(logout::logout)),
        ("/user", get(user::get_user).put(user_update::update_user)),
        ("/reauthenticate", get(reauthenticate::reauthenticate)),
        ("/invite", post(invite::invite)),
        ("/.well-known/jwks.json", get(discovery::jwks)),
        ("/.well-known/openid-configuration", get(discovery::openid_configuration)),
        ("/health", get(health::health)),
        ("/otp", post(otp::otp)),
        ("/magiclink", post(otp::magic_link)),
        ("/recover", post(recover::recover)),
        ("/resend", post(recover::resend)),
        ("/verify", get(verify::verify_link).post(verify::verify)),
        ("/settings", get(settings::settings)),
        ("/factors", post(factors::enrol)),
        ("/factors/{id}", delete(factors::delete)),
        ("/factors/{id}/challenge", post(factors::challenge)),
        ("/factors/{id}/verify", post(factor_verification::verify)),
        ("/authorize", get(authorize::authorize)),
        (
            "/callback",
            get(callback::callback)
                .post(callback::callback_by_form)
                .fallback(callback::wrong_method),
        ),
        ("/user/identities/authorize", get(authorize::authorize_linking)),
        ("/user/identities/{id}", delete(identities::delete_identity)),
    ]
}

/// The endpoints that only an administrator may use.
fn administration() -> [(&'static str, MethodRouter<Mock>); 9] {
    [
        ("/admin/users", get(admin::list::list).post(admin::create::create)),
        (
            "/admin/users/{id}",
            get(admin::users::get).put(admin::update::update).delete(admin::users::delete),
        ),
        ("/admin/users/{id}/factors", get(admin::factors::list)),
        (
            "/admin/users/{id}/factors/{factor_id}",
            put(admin::factors::update).delete(admin::factors::delete),
        ),
        ("/admin/users/{id}/passkeys", get(admin::users::passkeys)),
        ("/admin/audit", get(admin::audit::audit)),
        ("/admin/generate_link", post(admin::links::generate)),
        ("/admin/sso/providers", get(admin::sso::saml_providers)),
        (
            "/admin/custom-providers",
            get(admin::sso::custom_providers).post(admin::sso::create_custom_provider),
        ),
    ]
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::UNIX_EPOCH};

    use axum::{
        body::Body,
        http::{Method, Request, StatusCode},
    };
    use tower::ServiceExt;

    use super::*;
    use crate::{endpoints, options::Options};

    #[test]
    fn every_routed_path_of_gotrue_is_an_endpoint_with_an_operation() {
        let without_names = |path: &str| {
            let segments = path.split('/');
            let segments = segments.map(|name| if name.starts_with('{') { "{}" } else { name });
            segments.collect::<Vec<_>>().join("/")
        };
        let known: BTreeSet<_> = endpoints::paths().map(without_names).collect();
        let missing: BTreeSet<_> = endpoints::MISSING.map(|(path, _)| without_names(path)).into();
        let routed = user_endpoints().into_iter().chain(administration());
        let routed: BTreeSet<_> = routed.map(|(path, _)| without_names(path)).collect();
        assert_eq!(&routed | &missing, known);
    }

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
