//! Compares the totals that a store keeps about its queue with the entries in the queue.

use std::collections::BTreeMap;

use logout_gateway::internals::{
    config::StoreAddress,
    queue::entry::{QueueEntry, SealedCredentials},
};
use redb::{ConcurrencyMode, Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use redis::{Client, FromRedisValue, cmd};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

/// The number and the size in bytes of a queue's entries, all of them and the stale ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) stale_entries: u64,
    pub(super) stale_bytes: u64,
    /// For each user and entry id: the session, the bytes of the record, and whether the entry is stale.
    pub(super) of_users: BTreeMap<(Uuid, Uuid), (Uuid, u64, bool)>,
}

pub(super) struct Totals {
    /// The totals that the store has written.
    pub(super) stored: Fill,
    /// The totals computed from the records in the store.
    pub(super) actual: Fill,
}

impl Fill {
    fn add(&mut self, bytes: usize, record: &QueueEntry) {
        let (bytes, stale) = (bytes as u64, u64::from(is_stale(&record.credentials)));
        self.entries += 1;
        self.bytes += bytes;
        self.stale_entries += stale;
        self.stale_bytes += stale * bytes;
        let of_user = (record.session_id, bytes, stale == 1);
        self.of_users.insert((record.user_id, record.id), of_user);
    }
}

fn is_stale(credentials: &[SealedCredentials]) -> bool {
    !credentials.iter().any(|credentials| credentials.proven)
}

/// Reads the totals of a store that no process has open.
pub(super) async fn totals(address: &StoreAddress) -> Totals {
    match address {
        StoreAddress::Memory => panic!("the store in memory has no queue"),
        StoreAddress::File(path) => of_file(path),
        StoreAddress::Redis(address) => {
            let url = address.url.expose_secret();
            of_redis(&Client::open(url).unwrap())
        }
    }
}

fn of_file(path: &std::path::Path) -> Totals {
    const QUEUE: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue");
    const TOTALS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue_sums");
    const OF_USER: TableDefinition<'_, (u128, u128), &[u8]> = TableDefinition::new("queue_by_user");
    let mut builder = Database::builder();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    let database = builder.open_read_only(path).unwrap();
    let transaction = database.begin_read().unwrap();
    let (mut actual, mut stored) = (Fill::default(), Fill::default());
    for line in transaction.open_table(QUEUE).unwrap().iter().unwrap() {
        let (_, value) = line.unwrap();
        let (version, record) = value.value().split_first().unwrap();
        assert_eq!(*version, 2);
        actual.add(value.value().len(), &serde_json::from_slice(record).unwrap());
        stored.entries += 1;
    }
    let totals = transaction.open_table(TOTALS).unwrap();
    let number = |octets: &[u8]| u64::from_be_bytes(octets.try_into().unwrap());
    let total = |key: u128| {
        totals
            .get(key)
            .unwrap()
            .map_or(0, |value| number(value.value().strip_prefix(&[1]).unwrap()))
    };
    (stored.bytes, stored.stale_entries, stored.stale_bytes) = (total(0), total(1), total(2));
    for line in transaction.open_table(OF_USER).unwrap().iter().unwrap() {
        let (key, value) = line.unwrap();
        let ((user, id), share) = (key.value(), value.value().strip_prefix(&[1]).unwrap());
        let session = Uuid::from_slice(&share[..16]).unwrap();
        let of_user = (session, number(&share[16..24]), share[24..] == [1]);
        stored.of_users.insert((Uuid::from_u128(user), Uuid::from_u128(id)), of_user);
    }
    Totals { stored, actual }
}

fn of_redis(client: &Client) -> Totals {
    fn ask<T: FromRedisValue>(client: &Client, words: &[&str]) -> T {
        let mut connection = client.get_connection().unwrap();
        cmd(words[0]).arg(&words[1..]).query(&mut connection).unwrap()
    }
    let key = |name: &str| format!("logout-gateway:queue:2:{name}");
    let (mut actual, mut stored) = (Fill::default(), Fill::default());
    for record in ask::<Vec<String>>(client, &["HVALS", &key("records")]) {
        let json = record.strip_prefix("2 ").unwrap();
        actual.add(record.len(), &serde_json::from_str(json).unwrap());
    }
    stored.entries = ask(client, &["HLEN", &key("index")]);
    for name in ["states", "due", "queued", "failed"] {
        let count = if name == "states" { "HLEN" } else { "ZCARD" };
        assert_eq!(ask::<u64>(client, &[count, &key(name)]), stored.entries, "{name}");
    }
    let total = |name: &str| {
        ask::<Option<u64>>(client, &["HGET", &key("totals"), name]).unwrap_or_default()
    };
    stored.bytes = total("bytes");
    stored.stale_entries = total("stale_entries");
    stored.stale_bytes = total("stale_bytes");
    for set in ask::<Vec<String>>(client, &["KEYS", &key("of-user:*")]) {
        let user: Uuid = set.rsplit(':').next().unwrap().parse().unwrap();
        for id in ask::<Vec<String>>(client, &["SMEMBERS", &set]) {
            let line: String = ask(client, &["HGET", &key("index"), &id]);
            let [_, bytes, stale, of, session] = *line.split(' ').collect::<Vec<_>>() else {
                panic!("{line}")
            };
            assert_eq!(of, user.to_string());
            let of_user = (session.parse().unwrap(), bytes.parse().unwrap(), stale == "1");
            stored.of_users.insert((user, id.parse().unwrap()), of_user);
        }
    }
    Totals { stored, actual }
}
