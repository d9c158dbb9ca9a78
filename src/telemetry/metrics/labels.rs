//! The label sets that `/metrics` exposes from the start, with the value zero.
//!
//! The `match` expressions are exhaustive: a new variant of [`Reason`] or [`RecordedOutcome`] compiles only
//! once it is assigned to metrics here.

use strum::VariantArray as _;

use crate::outcome::{Outcome, Reason, RecordedOutcome, Route};

/// The route, outcome and reason of a logout. `revoked` has no reason. `already-ended` has one only if
/// `GATEWAY_SESSION_NOT_FOUND` makes it an error response.
pub(super) type LogoutLabels = (Route, Outcome, Option<Reason>);

/// The metrics in which a reason occurs as a label value.
#[derive(Clone, Copy)]
struct Families {
    /// The outcomes with which the reason occurs in `logouts_total`.
    logouts: &'static [Outcome],
    verify: bool,
    csrf_refused: bool,
    requests_refused: bool,
}

const NONE: Families =
    Families { logouts: &[], verify: false, csrf_refused: false, requests_refused: false };
/// A logout request that is refused before it is authenticated.
const REFUSED: Families = Families { logouts: &[Outcome::Refused], requests_refused: true, ..NONE };
/// A request outside the logout routes that is refused before it is authenticated.
const NO_ROUTE: Families = Families { requests_refused: true, ..NONE };
const VERIFY: Families = Families { verify: true, ..NONE };
const CREDENTIAL: Families = Families { logouts: &[Outcome::Refused], ..VERIFY };
const GOTRUE: Families = Families { logouts: &[Outcome::Queued, Outcome::Failed], ..NONE };
const FAILED: Families = Families { logouts: &[Outcome::Failed], ..NONE };

fn families_of(reason: Reason) -> Families {
    match reason {
        Reason::Missing | Reason::Invalid => Families { csrf_refused: true, ..CREDENTIAL },
        Reason::Expired => CREDENTIAL,
        Reason::CrossSite => Families { logouts: &[Outcome::Refused], csrf_refused: true, ..NONE },
        Reason::NotFound => {
            Families { logouts: &[Outcome::AlreadyEnded, Outcome::Failed], ..VERIFY }
        }
        Reason::Revoked | Reason::KeySet | Reason::AuthService | Reason::Store => VERIFY,
        Reason::DuplicateHeader | Reason::Overloaded => Families { verify: true, ..REFUSED },
        Reason::UnsupportedScope
        | Reason::MalformedRequest
        | Reason::PayloadTooLarge
        | Reason::UnsupportedMediaType => REFUSED,
        Reason::UnknownPath | Reason::MethodNotAllowed | Reason::MisdirectedRequest => NO_ROUTE,
        Reason::AuthServiceUnavailable
        | Reason::AuthServiceTimeout
        | Reason::AuthServiceError
        | Reason::RateLimited => GOTRUE,
        Reason::UserBanned | Reason::Internal => FAILED,
        Reason::ShuttingDown | Reason::Unreadable => NONE,
    }
}

fn reasons_of(is_of_family: fn(Families) -> bool) -> impl Iterator<Item = Reason> {
    Reason::VARIANTS.iter().copied().filter(move |reason| is_of_family(families_of(*reason)))
}

/// The label sets of `logouts_total`: every route with every outcome and reason that a logout can have.
pub(super) fn logouts() -> impl Iterator<Item = LogoutLabels> {
    let successes = [Outcome::Revoked, Outcome::AlreadyEnded].map(|outcome| (outcome, None));
    let with_reason = Reason::VARIANTS.iter().flat_map(|reason| {
        families_of(*reason).logouts.iter().map(|outcome| (*outcome, Some(*reason)))
    });
    successes.into_iter().chain(with_reason).flat_map(|(outcome, reason)| {
        Route::VARIANTS.iter().map(move |route| (*route, outcome, reason))
    })
}

/// The results of `verify_total`; `None` stands for the response 200.
pub(super) fn verify() -> impl Iterator<Item = Option<Reason>> {
    [None].into_iter().chain(reasons_of(|families| families.verify).map(Some))
}

pub(super) fn csrf_refused() -> impl Iterator<Item = Reason> {
    reasons_of(|families| families.csrf_refused)
}

pub(super) fn requests_refused() -> impl Iterator<Item = Reason> {
    reasons_of(|families| families.requests_refused)
}

/// The outcomes that a retry of a queued logout can have.
pub(super) fn retries() -> impl Iterator<Item = RecordedOutcome> {
    let of_request = Outcome::VARIANTS.iter().copied().map(RecordedOutcome::Of);
    let all = of_request.chain([RecordedOutcome::GaveUp, RecordedOutcome::Dropped]);
    all.filter(|outcome| match outcome {
        RecordedOutcome::Of(Outcome::Revoked | Outcome::AlreadyEnded | Outcome::Failed)
        | RecordedOutcome::GaveUp => true,
        RecordedOutcome::Of(Outcome::Queued | Outcome::Refused) | RecordedOutcome::Dropped => false,
    })
}
