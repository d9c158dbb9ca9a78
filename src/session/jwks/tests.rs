//! Tests when the key set is fetched, on tokio's paused clock.

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;

mod reading;

/// A key set that has the recorded ES256 key once for each of these `kid`s.
fn published(kids: &[&str]) -> Vec<u8> {
    let keys: Vec<Value> = kids.iter().map(|kid| es256(&json!({ "kid": kid }))).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

fn es256(changes: &Value) -> Value {
    let mut key = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": ["verify"],
        "x": "DN8J8Cq4RBlo5PptEYTozoUkRhs1SMObwTEZXG93M00",
        "y": "HUMMYltpCnlBxmnSkIymhFMGmB--I23wjsMUSgKRYnU",
        "kid": "a",
    });
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

/// A server that publishes a key set. Without an `answer`, a fetch fails.
struct Server {
    jwks: Jwks,
    answer: RefCell<Option<Vec<u8>>>,
    fetch_duration: Cell<Duration>,
    fetches: Cell<usize>,
}

impl Server {
    fn of(kids: &[&str]) -> Self {
        Self {
            jwks: Jwks::new(Duration::from_secs(5), Arc::default()),
            answer: RefCell::new(Some(published(kids))),
            fetch_duration: Cell::new(Duration::ZERO),
            fetches: Cell::new(0),
        }
    }

    fn publish(&self, kids: &[&str]) {
        *self.answer.borrow_mut() = Some(published(kids));
    }

    fn stop_answering(&self) {
        *self.answer.borrow_mut() = None;
    }

    async fn fetch(&self) -> Result<Vec<u8>, &'static str> {
        self.fetches.set(self.fetches.get() + 1);
        sleep(self.fetch_duration.get()).await;
        self.answer.borrow().clone().ok_or("down")
    }

    fn knows(&self, kid: &str) -> bool {
        self.jwks.current().is_some_and(|keys| keys.key(kid, Algorithm::ES256).is_some())
    }

    /// Runs `test` after the first fetch, while the background task goes on fetching.
    async fn while_fetching(&self, test: impl AsyncFnOnce()) {
        let test = async {
            sleep(Duration::from_millis(1)).await;
            test().await;
        };
        tokio::select! {
            () = self.jwks.keep_fetching(|| self.fetch()) => {}
            () = test => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_set_is_fetched_at_start_and_every_ten_minutes() {
    let server = Server::of(&["a"]);
    assert!(!server.knows("a"));
    server
        .while_fetching(async || {
            assert!(server.knows("a"));
            sleep(Duration::from_secs(599)).await;
            assert_eq!(server.fetches.get(), 1);
            sleep(Duration::from_secs(2)).await;
            assert_eq!(server.fetches.get(), 2);
            sleep(FETCH_INTERVAL).await;
            assert_eq!(server.fetches.get(), 3);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_causes_one_refetch_that_all_share() {
    let server = Server::of(&["a"]);
    server
        .while_fetching(async || {
            server.publish(&["b"]);
            server.fetch_duration.set(Duration::from_millis(100));
            let ask = async || {
                server.jwks.refetch().await;
                server.knows("b")
            };
            assert_eq!(tokio::join!(ask(), ask(), ask()), (true, true, true));
            assert_eq!(server.fetches.get(), 2);
            assert!(!server.knows("a"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn at_most_one_refetch_starts_in_thirty_seconds_whether_it_succeeds_or_not() {
    for fails in [false, true] {
        let server = Server::of(&["a"]);
        server
            .while_fetching(async || {
                if fails {
                    server.stop_answering();
                }
                server.jwks.refetch().await;
                assert_eq!(server.fetches.get(), 2);
                sleep(Duration::from_millis(29_900)).await;
                let before = Instant::now();
                server.jwks.refetch().await;
                assert_eq!(before.elapsed(), Duration::ZERO, "the refetch returns at once");
                assert_eq!(server.fetches.get(), 2);
                server.publish(&["b"]);
                sleep(Duration::from_millis(200)).await;
                let scheduled = server.fetches.get();
                assert_eq!(
                    scheduled,
                    if fails { 3 } else { 2 },
                    "after a failure, the task itself has fetched once more"
                );
                server.jwks.refetch().await;
                assert_eq!(server.fetches.get(), scheduled + 1);
                assert!(server.knows("b"));
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_made_up_keys_a_second_cause_a_fetch_each_half_minute_and_wait_for_no_more() {
    const FETCH: Duration = Duration::from_millis(100);
    for (seconds, expected) in [(10, 1), (29, 1), (31, 2), (95, 4)] {
        for fails in [false, true] {
            let server = Server::of(&["a"]);
            server
                .while_fetching(async || {
                    server.fetch_duration.set(FETCH);
                    if fails {
                        server.stop_answering();
                    }
                    let (started_at, mut waited) = (Instant::now(), Duration::ZERO);
                    while started_at.elapsed() < Duration::from_secs(seconds) {
                        let asked = Instant::now();
                        server.jwks.refetch().await;
                        waited += asked.elapsed();
                        assert!(server.knows("a"));
                        sleep(Duration::from_millis(10)).await;
                    }
                    let fetches = server.fetches.get() - 1;
                    assert_eq!(fetches, expected, "in {seconds} s; it fails: {fails}");
                    assert_eq!(waited, FETCH * u32::try_from(expected).unwrap());
                })
                .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn known_keys_are_used_while_a_fetch_hangs_and_after_one_failed() {
    let server = Server::of(&["a"]);
    server
        .while_fetching(async || {
            server.fetch_duration.set(Duration::from_mins(1));
            let read = async {
                sleep(Duration::from_secs(1)).await;
                server.knows("a")
            };
            assert!(tokio::join!(server.jwks.refetch(), read).1);
            *server.answer.borrow_mut() = Some(b"<html>".to_vec());
            server.fetch_duration.set(Duration::ZERO);
            sleep(Duration::from_mins(1)).await;
            server.jwks.refetch().await;
            assert!(server.fetches.get() > 2);
            assert!(server.knows("a"), "a body that is no key set does not replace the keys");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_no_longer_published_is_refused_within_ten_minutes() {
    let server = Server::of(&["a", "b"]);
    server
        .while_fetching(async || {
            server.publish(&["b"]);
            sleep(Duration::from_secs(599)).await;
            assert!(server.knows("a"));
            sleep(Duration::from_secs(1)).await;
            assert!(!server.knows("a") && server.knows("b"));
            server.publish(&[]);
            sleep(FETCH_INTERVAL).await;
            assert!(!server.knows("b") && server.jwks.current().is_some());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_used_for_an_hour_after_the_last_good_fetch() {
    let server = Server::of(&["a"]);
    server
        .while_fetching(async || {
            server.stop_answering();
            sleep(Duration::from_secs(3598)).await;
            assert!(server.knows("a"));
            sleep(Duration::from_secs(2)).await;
            assert!(server.jwks.current().is_none());
            // The project has replaced its key meanwhile.
            server.publish(&["b"]);
            sleep(RETRY_INTERVAL).await;
            assert!(server.knows("b") && !server.knows("a"), "once GoTrue is back");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_keys_a_failed_fetch_is_retried_with_growing_pauses() {
    let server = Server::of(&["a"]);
    server.stop_answering();
    server
        .while_fetching(async || {
            sleep(Duration::from_secs(10)).await;
            assert_eq!(server.fetches.get(), 4, "at 0, 1, 3 and 7 seconds");
            sleep(Duration::from_mins(10)).await;
            assert!(server.fetches.get() <= 4 + 40 + 2, "the pauses do not become shorter again");
            server.publish(&["a"]);
            sleep(RETRY_INTERVAL).await;
            assert!(server.knows("a"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_epoch_changes_with_the_keys_and_not_with_a_fetch() {
    let server = Server::of(&["a"]);
    let epoch = || server.jwks.current().unwrap().epoch;
    server
        .while_fetching(async || {
            let first = epoch();
            sleep(FETCH_INTERVAL).await;
            assert_eq!(epoch(), first);
            server.publish(&["a", "b"]);
            sleep(FETCH_INTERVAL).await;
            let second = epoch();
            assert_ne!(second, first);
            server.publish(&["b", "a"]);
            sleep(FETCH_INTERVAL).await;
            assert_eq!(epoch(), second, "the order of the keys does not matter");
            server.publish(&["b"]);
            sleep(FETCH_INTERVAL).await;
            assert_ne!(epoch(), second);
        })
        .await;
}
