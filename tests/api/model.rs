//! Random histories of users, faults and logouts, held against what ought to be, in every kind of
//! project ([`project::PROJECTS`]).
//!
//! 1. Where nothing is uncertain, each logout answers and ends exactly what the contract says.
//! 2. In any case: success means that what the scope names is dead, or that its end is durably kept;
//!    nobody else's session dies; a refused request ends nothing; no foreign cookie goes; `verify`
//!    refuses what was logged out.
//! 3. A session that is not proven leaves nothing: no line of the list, no entry of the queue, no line of
//!    the failure log. A client that knows a session's ids, or has an old token of it, keeps that session
//!    out of nothing, and a client that repeats itself fills nothing.
//! 4. Once GoTrue is well again, what was queued is dead or in the failure log.
//!
//! The histories are the same in every run; `PROPTEST_CASES=1000` and `PROPTEST_RNG_SEED` try others.

mod attack;
mod gateway;
mod list;
mod logout;
mod old_tokens;
mod project;
mod promises;
mod repeats;
mod rules;
mod step;
mod world;

use proptest::test_runner::{Config, RngSeed};
use proptest_state_machine::prop_state_machine;

use self::gateway::Gateway;

fn config() -> Config {
    let asked_for = Config::default();
    let usual = Config { failure_persistence: None, ..Config::default() };
    // 256 is the library's own default: nobody asked for another number.
    if asked_for.cases == 256 {
        Config { cases: 18, rng_seed: RngSeed::Fixed(5), ..usual }
    } else {
        usual
    }
}

prop_state_machine! {
    #![proptest_config(config())]
    #[test]
    fn no_history_ends_a_session_that_it_should_not_or_calls_a_living_one_ended(
        sequential 20..70 => Gateway
    );
}
