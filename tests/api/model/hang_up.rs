//! A client that hangs up during a logout.

use serde_json::json;

use super::{
    gateway::{GatewayUnderTest, Session},
    reference::{ReferenceModel, SessionState},
    revocations::RecordedLogout,
    step::Scope,
};
use crate::harness::{Connection, eventually};

impl GatewayUnderTest {
    /// Sends a logout and closes the connection, either during the call to GoTrue or, if GoTrue fails, right
    /// after sending.
    pub(super) fn hang_up(&mut self, model: &ReferenceModel, session: usize) {
        let Session { user, tokens, issued_at, .. } = &self.sessions[session];
        let (user, tokens, issued_at) = (*user, tokens.clone(), *issued_at);
        self.allow_other_ends_of(user);
        let finished_before = self.runtime.block_on(self.finished_logouts());
        self.runtime.block_on(async {
            let calls_before = self.app.gotrue_calls("logout").len();
            let request = self.app.post("/logout").bearer(&tokens.access_token);
            let mut connection = Connection::open(self.app.address).await;
            if model.fails("logout") {
                connection.write(&request.bytes(false)).await;
                return;
            }
            let late = json!({"operation": "logout", "kind": "delay", "seconds": 0.05, "times": 1});
            self.app.inject_fault(late);
            connection.write(&request.bytes(false)).await;
            let calls = async || self.app.gotrue_calls("logout").len() > calls_before;
            eventually("GoTrue has received the call", calls).await;
            connection.reset();
        });
        let at = self.app.clock.now();
        self.list.insert_queued(RecordedLogout {
            user,
            session,
            scope: Scope::Local,
            at,
            issued_at,
            may_be_refreshed: false,
            certain: false,
        });
        if model.sessions[session].state == SessionState::Ended {
            let dead = async || !self.app.is_alive(&tokens);
            self.runtime.block_on(eventually("the session has ended", dead));
            // GoTrue ends the session before the gateway receives its response and records it.
            let finished = async || self.finished_logouts().await > finished_before;
            self.runtime.block_on(eventually("the gateway has finished the logout", finished));
        } else {
            self.hung_up.insert(session);
        }
    }
}
