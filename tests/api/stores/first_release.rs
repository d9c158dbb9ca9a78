//! Queue entries that the first release wrote. The store must read them once, convert them, and merge entries
//! that have the same session and scope.

use std::{path::Path, time::Duration};

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use logout_gateway::internals::{
    config::Secrets,
    key_derivation::derive,
    outcome::Scope,
    queue::{
        credentials::Seal,
        entry::{NEVER, QueueEntry, entry_id},
    },
};
use redb::{Database, TableDefinition};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use uuid::Uuid;

use super::{
    StoreLocation,
    failures::{self, numbered_failure},
    list::{self, refuses, session},
    opening,
    queue::{HOUR, NOW, TestQueue, ids, names, now, queue_entry},
};
use crate::harness::SECRET;

/// A queue entry as the first release stored it.
#[derive(Clone)]
pub(super) struct FirstReleaseEntry {
    pub(super) id: Uuid,
    pub(super) user: Uuid,
    pub(super) session: Uuid,
    pub(super) scope: Scope,
    pub(super) verified: bool,
    pub(super) tried: bool,
    pub(super) attempts: u32,
    pub(super) queued_at: Timestamp,
    pub(super) due: Timestamp,
    pub(super) access_token: String,
}

impl FirstReleaseEntry {
    /// An entry for a logout of this session that was queued `age` milliseconds ago.
    pub(super) fn new(user: Uuid, session: Uuid, age: u64, access_token: &str) -> Self {
        Self {
            id: Uuid::new_v4(),
            user,
            session,
            scope: Scope::Local,
            verified: true,
            tried: false,
            attempts: 0,
            queued_at: now() - Duration::from_millis(age),
            due: now() - Duration::from_millis(age),
            access_token: access_token.to_owned(),
        }
    }

    /// The JSON that the first release wrote after the number of the version, member by member.
    pub(super) fn json(&self) -> String {
        let Self { id, user, session, verified, tried, attempts, queued_at, due, .. } = self;
        let [queued_at, due] = [queued_at, due].map(|time| time.as_millisecond());
        let (scope, (key_id, sealed)) = (self.scope.as_str(), self.sealed());
        format!(
            r#"{{"id":"{id}","request_id":"an old request","route":"/logout","scope":"{scope}","user_id":"{user}","session_id":"{session}","verified":{verified},"tried":{tried},"queued_at":{queued_at},"due":{due},"attempts":{attempts},"reason":"auth_service_error","key_id":"{key_id}","sealed":"{sealed}"}}"#
        )
    }

    /// The key id and the credentials, which the first release encrypted and bound to the fields of the
    /// entry.
    fn sealed(&self) -> (String, String) {
        let Self { id, user, session, verified, .. } = self;
        let binding = format!("{id} {} {user} {session} {verified}", self.scope.as_str());
        let text = json!({"access_token": self.access_token, "refresh_token": null, "exp": 9,
            "iat": null, "forwarded_for": "192.0.2.1", "user_agent": null});
        let mut text = text.to_string().into_bytes();
        let key =
            RandomizedNonceKey::new(&AES_256_GCM, &derive(&secret(), b"queue").unwrap()).unwrap();
        let nonce = key.seal_in_place_append_tag(Aad::from(binding), &mut text).unwrap();
        let sealed = URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat());
        (URL_SAFE_NO_PAD.encode(&derive(&secret(), b"queue key id").unwrap()[..6]), sealed)
    }

    pub(super) fn new_id(&self) -> Uuid {
        entry_id(self.session, self.scope)
    }
}

fn secret() -> SecretString {
    SecretString::from(SECRET)
}

/// Decrypts the access tokens in an entry's credentials, newest first.
pub(super) fn opened(entry: &QueueEntry) -> Vec<String> {
    let seal = Seal::new(&Secrets { current: Some(secret()), previous: None }).unwrap().unwrap();
    let open =
        |sealed| seal.open(sealed, entry).expect("the credentials can be decrypted").access_token;
    entry.credentials.iter().map(|sealed| open(sealed).expose_secret().to_owned()).collect()
}

/// Five entries of one user. One session has a `global` and three `local` logouts, of which the oldest was
/// never verified. Another session has a logout that has failed.
pub(super) fn entries() -> [FirstReleaseEntry; 5] {
    let [user, session, other] = [(); 3].map(|()| Uuid::new_v4());
    let old = |age, token| FirstReleaseEntry::new(user, session, age, token);
    [
        FirstReleaseEntry { scope: Scope::Global, ..old(5_000, "global") },
        FirstReleaseEntry { verified: false, tried: true, ..old(4_000, "oldest") },
        old(3_000, "middle"),
        old(2_000, "newest"),
        FirstReleaseEntry { attempts: 7, ..FirstReleaseEntry::new(user, other, 1_000, "other") },
    ]
}

/// Asserts that the queue has the entries of [`entries`], and that entries of the same session and scope are
/// merged.
pub(super) fn assert_merged(all: &[QueueEntry], old: &[FirstReleaseEntry; 5]) {
    assert_eq!(all.len(), 3, "{all:?}");
    let of = |old: &FirstReleaseEntry| {
        all.iter().find(|entry| entry.id == old.new_id()).expect("the entry is in the queue")
    };
    let [global, oldest, _, newest, other] = old;
    for (old, tokens, tried, attempts) in [
        (global, &["global"][..], false, 0),
        (oldest, &["newest", "middle", "oldest"], true, 0),
        (other, &["other"], false, 7),
    ] {
        let entry = of(old);
        assert_eq!(opened(entry), tokens);
        assert_eq!((entry.queued_at, entry.tried), (old.queued_at, tried), "{tokens:?}");
        assert_eq!((entry.attempts, entry.failed_at), (attempts, NEVER), "{tokens:?}");
        assert_eq!((&*entry.request_id, entry.route.as_str()), ("an old request", "/logout"));
        assert_eq!((entry.user_id, entry.session_id), (old.user, old.session));
        assert_eq!(entry.scope.as_str(), old.scope.as_str());
    }
    let proven =
        |entry: &QueueEntry| entry.credentials.iter().map(|c| c.proven).collect::<Vec<_>>();
    assert_eq!(proven(of(newest)), [true, true, false]);
}

const SESSIONS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("sessions");
const CUT_OFFS: TableDefinition<'_, (u128, u128), &[u8]> = TableDefinition::new("cut_offs");
const QUEUE: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue");
const DUE: TableDefinition<'_, (i64, u128), ()> = TableDefinition::new("due");
const QUEUED: TableDefinition<'_, (i64, u128), ()> = TableDefinition::new("queued");
const FAILURES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("failures");

fn numbers(numbers: &[i64]) -> Vec<u8> {
    let octets = numbers.iter().flat_map(|number| number.to_be_bytes());
    std::iter::once(1).chain(octets).collect()
}

/// Writes a store file with the tables of the first release and with records of version 1.
fn write_file(
    path: &Path,
    old: &[FirstReleaseEntry],
    ended: &logout_gateway::internals::session::token::Claims,
) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut queue = transaction.open_table(QUEUE).unwrap();
        let mut due = transaction.open_table(DUE).unwrap();
        let mut queued = transaction.open_table(QUEUED).unwrap();
        for old in old {
            let record = [&[1], old.json().as_bytes()].concat();
            queue.insert(old.id.as_u128(), &*record).unwrap();
            due.insert((old.due.as_millisecond(), old.id.as_u128()), ()).unwrap();
            queued.insert((old.queued_at.as_millisecond(), old.id.as_u128()), ()).unwrap();
        }
        let until = list::now() + 86_400;
        let mut sessions = transaction.open_table(SESSIONS).unwrap();
        sessions.insert(ended.session_id.as_u128(), &*numbers(&[until])).unwrap();
        let mut cut_offs = transaction.open_table(CUT_OFFS).unwrap();
        for spared in 0..100 {
            let value = numbers(&[list::now() - 100 + spared, until]);
            let key = (ended.sub.as_u128(), u128::try_from(spared).unwrap());
            cut_offs.insert(key, &*value).unwrap();
        }
        let mut failures = transaction.open_table(FAILURES).unwrap();
        for number in 0..5 {
            let json = serde_json::to_vec(&numbered_failure(number)).unwrap();
            failures.insert(number as u64, &*[&[1], &*json].concat()).unwrap();
        }
    }
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_file_of_the_first_release_is_read_converted_and_merged() {
    let location = StoreLocation::file();
    let logout_gateway::internals::config::StoreAddress::File(path) = &location.address else {
        panic!()
    };
    let (old, ended) = (entries(), session(list::now() - 10));
    write_file(path, &old, &ended);
    for _ in 0..2 {
        let queue = TestQueue::open(&location).await;
        assert_merged(&queue.all().await, &old);
        assert_eq!(queue.queue().oldest().await, Ok(Some(old[0].queued_at)));
        assert_eq!(failures::all(&*queue.store).await.len(), 5);
        assert!(refuses(&*queue.store, &ended, list::now()).await);
        let other = list::session_of(ended.sub, list::now() - 5);
        assert!(refuses(&*queue.store, &other, list::now()).await);
        assert_eq!(queue.store.list().count(), 3, "the list has a session and two cut-offs");
        drop(queue);
        let found = super::totals::totals(&location.address).await;
        assert_eq!(found.stored, found.actual);
    }
    // After the conversion the store must work like one of this release.
    let queue = TestQueue::open(&location).await;
    let again = queue_entry(old[0].user, old[0].session, Scope::Global, "again", true);
    queue.enqueue(&again, NOW).await;
    let entry = queue.get(&again).await;
    assert_eq!(names(&entry), ["again", &old[0].id.to_string()]);
    assert_eq!(entry.queued_at, old[0].queued_at);
    let leased = queue.lease(HOUR, 9).await;
    assert_eq!(leased.len(), 3);
    for entry in &leased {
        assert!(queue.remove_unchanged(entry).await);
    }
    drop(queue);
    let queue = TestQueue::open(&location).await;
    assert_eq!((ids(&queue.all().await), queue.len().await), (vec![], 0));
    drop(queue);
    // The failures that the first release logged must count for their users, too.
    let store = opening::open(path).await.unwrap();
    let more: Vec<_> = (0..100).map(numbered_failure).map(|f| failures::of_user(f, 0)).collect();
    store.append_failures(&more).await.unwrap();
    assert_eq!(failures::all(&*store).await.len(), 100, "the five older failures are removed");
}
