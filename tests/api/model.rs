//! Random sequences of sign-ins, faults and logouts, in every kind of project ([`project::PROJECTS`]). The
//! test compares their effects with a model of the contract.
//!
//! 1. Each logout whose result the model can predict has the response, and ends the sessions, that the model
//!    predicts.
//! 2. After every step: if a logout was a success, the sessions that its scope includes have ended or the
//!    logout is stored in the queue; no session of another user ends; a refused request ends no session;
//!    cookies of other applications are kept; `verify` refuses sessions that were logged out.
//! 3. A request with an unproven session leaves nothing in the revocation list, the queue or the failure
//!    log. A client that knows only the ids of a session, or has an old token of it, cannot lock the
//!    session out; a client that repeats a request cannot fill list, queue or log.
//! 4. When GoTrue works again, each queued logout is done or is in the failure log.
//!
//! The sequences are the same in every run; `PROPTEST_CASES=1000` and `PROPTEST_RNG_SEED` try others.

mod attack;
mod checks;
mod credentials;
mod gateway;
mod hang_up;
mod logout;
mod old_tokens;
mod project;
mod queued_logouts;
mod reference;
mod repeats;
mod revocations;
mod rules;
mod step;

use proptest::test_runner::{Config, RngSeed};
use proptest_state_machine::prop_state_machine;

use self::gateway::GatewayUnderTest;

fn config() -> Config {
    let from_environment = Config::default();
    let config = Config { failure_persistence: None, ..Config::default() };
    // 256 is the default of proptest, which means that `PROPTEST_CASES` is not set.
    if from_environment.cases == 256 {
        Config { cases: 18, rng_seed: RngSeed::Fixed(5), ..config }
    } else {
        config
    }
}

prop_state_machine! {
    #![proptest_config(config())]
    #[test]
    fn no_history_ends_a_wrong_session_or_reports_a_live_session_as_ended(
        sequential 20..70 => GatewayUnderTest
    );
}
