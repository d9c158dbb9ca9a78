//! If Redis is over its `maxmemory`, each operation that needs room must report that Redis is out of memory.

use jiff::Timestamp;
use logout_gateway::internals::{clock::from_unix_seconds, outcome::Scope, store};

use super::{
    super::{
        failures::numbered_failure,
        list::{now, session},
        queue::{BOUNDS, HOUR, NOW, entry},
    },
    address, revocation,
};
use crate::harness::RedisServer;

const OUT_OF_MEMORY: &str = "Redis is out of memory";

#[tokio::test]
async fn a_redis_out_of_memory_is_reported_as_out_of_memory_and_not_as_unreachable() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let queue = store.queue().unwrap();
    for _ in 0..2 {
        queue.enqueue(&entry(), NOW, &BOUNDS, Timestamp::UNIX_EPOCH).await.unwrap().unwrap();
    }
    let leased = queue.lease(HOUR, 1, Timestamp::UNIX_EPOCH).await.unwrap().remove(0);
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);

    let mut faults = Vec::new();
    let revoked = store.revoke(&revocation(&session(now()), Scope::Global, now())).await;
    faults.push(("revoke", revoked.err()));
    faults.push(("forget", store.purge_expired(from_unix_seconds(now())).await.err()));
    faults.push((
        "is revoked",
        store.is_revoked(&session(now()), from_unix_seconds(now())).await.err(),
    ));
    let enqueued = queue.enqueue(&entry(), NOW, &BOUNDS, Timestamp::UNIX_EPOCH).await;
    faults.push(("enqueue", enqueued.err()));
    faults.push(("lease", queue.lease(HOUR, 9, Timestamp::UNIX_EPOCH).await.err()));
    faults.push((
        "reschedule",
        queue.reschedule(&leased, NOW, true, Timestamp::UNIX_EPOCH).await.err(),
    ));
    faults.push(("remove", queue.remove(leased.id).await.err()));
    faults.push(("note", store.append_failures(&[numbered_failure(1)]).await.err()));
    let failed: Vec<_> =
        faults.iter().filter_map(|(what, fault)| Some((what, &fault.as_ref()?.cause))).collect();
    let refused: Vec<_> = failed.iter().map(|(what, _)| **what).collect();
    assert_eq!(refused, ["enqueue", "note"], "the other operations need no room");
    for (what, cause) in failed {
        assert_eq!(cause, OUT_OF_MEMORY, "{what}");
    }
    let diagnosed = store::diagnose(&address(&server)).await;
    assert_eq!(diagnosed.unwrap_err(), OUT_OF_MEMORY, "the message of `check`");
    let opened = store::open(&address(&server)).await;
    assert!(opened.is_ok(), "the state is temporary, so a gateway starts and waits: {opened:?}");
}
