//! The label sets that every exposition has from the start.
//!
//! The matches are exhaustive: a new word does not compile before it is decided here which families have it.

use strum::VariantArray as _;

use crate::outcome::{Outcome, Reason, RecordedOutcome, Route};

/// Route, outcome and reason of a logout. A success has a reason only where it is queued, or where
/// `GATEWAY_SESSION_NOT_FOUND` makes it an error.
pub(super) type LogoutLabels = (Route, Outcome, Option<Reason>);

/// Which families have a reason as a label.
#[derive(Clone, Copy)]
struct Families {
    /// `logouts_total`, with these outcomes.
    logouts: &'static [Outcome],
    verify: bool,
    csrf_refused: bool,
    requests_refused: bool,
}

const NONE: Families =
    Families { logouts: &[], verify: false, csrf_refused: false, requests_refused: false };
/// A logout that is refused before it is known whose it is.
const REFUSED: Families = Families { logouts: &[Outcome::Refused], requests_refused: true, ..NONE };
/// A request of any other route that is refused so.
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

/// Every route with every outcome and reason that a logout can have.
pub(super) fn logouts() -> impl Iterator<Item = LogoutLabels> {
    let successes = [Outcome::Revoked, Outcome::AlreadyEnded].map(|outcome| (outcome, None));
    let with_reason = Reason::VARIANTS.iter().flat_map(|reason| {
        families_of(*reason).logouts.iter().map(|outcome| (*outcome, Some(*reason)))
    });
    successes.into_iter().chain(with_reason).flat_map(|(outcome, reason)| {
        Route::VARIANTS.iter().map(move |route| (*route, outcome, reason))
    })
}

/// The answers of `verify`; `None` is 200.
pub(super) fn verify() -> impl Iterator<Item = Option<Reason>> {
    [None].into_iter().chain(reasons_of(|families| families.verify).map(Some))
}

pub(super) fn csrf_refused() -> impl Iterator<Item = Reason> {
    reasons_of(|families| families.csrf_refused)
}

pub(super) fn requests_refused() -> impl Iterator<Item = Reason> {
    reasons_of(|families| families.requests_refused)
}

/// How the retry of a queued logout turns out.
pub(super) fn retries() -> impl Iterator<Item = RecordedOutcome> {
    let of_request = Outcome::VARIANTS.iter().copied().map(RecordedOutcome::Of);
    let all = of_request.chain([RecordedOutcome::GaveUp, RecordedOutcome::Dropped]);
    all.filter(|outcome| match outcome {
        RecordedOutcome::Of(Outcome::Revoked | Outcome::AlreadyEnded | Outcome::Failed)
        | RecordedOutcome::GaveUp => true,
        RecordedOutcome::Of(Outcome::Queued | Outcome::Refused) | RecordedOutcome::Dropped => false,
    })
}
