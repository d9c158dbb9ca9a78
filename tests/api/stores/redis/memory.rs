//! What a Redis that is over its `maxmemory` refuses is reported as out of memory.

use std::time::Duration;

use logout_gateway::store;

use super::{
    super::{
        failures::numbered,
        queue::{self, BOUNDS},
    },
    address,
};
use crate::harness::RedisServer;

const OUT_OF_MEMORY: &str = "Redis is out of memory";

#[tokio::test]
async fn a_redis_out_of_memory_is_reported_as_that_and_never_as_no_redis() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let queue = store.queue().unwrap();
    let queued = queue.enqueue(&queue::entry(), Duration::ZERO, &BOUNDS, 0).await;
    assert_eq!(queued.unwrap_err().cause, OUT_OF_MEMORY, "queue");
    let noted = store.note(&[numbered(1)]).await;
    assert_eq!(noted.unwrap_err().cause, OUT_OF_MEMORY, "failure log");
    // What it needs no room for, it does: a gateway starts on it, and `check` can use it.
    assert!(store::survey(&address(&server)).await.is_ok());
    assert!(store::open(&address(&server)).await.is_ok());
}
