//! What a subject must refuse. A subject that lets everything in would be fast.

use super::{
    exchange::{Connection, Exchange},
    process::Process,
    subjects::{World, kind::Kind},
};

/// Panics if the subject accepts a forged token or a wrong CSRF token. nginx checks nothing, and is not asked.
pub(crate) async fn refuses_what_is_wrong(world: &World, kind: Kind, subject: &Process) {
    if kind == Kind::Nginx {
        return;
    }
    let mut connection = Connection::open(subject.address).await.unwrap();
    let session = world.issuer.sign_in();
    connection.exchange(&kind.verify(&session.bearer(), &session.user_id)).await;

    let (head, signature) = session.access_token.rsplit_once('.').unwrap();
    let signature: String = signature.chars().rev().collect();
    let forged = format!("Authorization: Bearer {head}.{signature}\r\n");
    let mut refused = kind.verify(&forged, &session.user_id);
    (refused.status, refused.head, refused.body) = (401, Vec::new(), None);
    connection.exchange(&refused).await;

    if kind.has_csrf_token() {
        let wrong = world.issuer.browser_with_csrf(&session, "AAAAAAAAAAAAAAAAAAAAAA.AAAA");
        connection.exchange(&Exchange::new("POST", "/api/auth/logout", &wrong, 403)).await;
    }
}

/// Panics if the gateway accepts the token of a session that it has logged out.
pub(crate) async fn logged_out_is_refused(world: &World, gateway: &Process) {
    let mut connection = Connection::open(gateway.address).await.unwrap();
    let bearer = world.issuer.sign_in().bearer();
    connection.exchange(&Kind::Gateway.logout(&bearer)).await;
    let verify = Exchange::new("GET", "/api/auth/verify", &bearer, 401);
    connection.exchange(&verify.with_head("x-auth-reason: revoked\r\n")).await;
}
