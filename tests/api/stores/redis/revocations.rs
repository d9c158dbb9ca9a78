//! The revocation list in Redis: the cut-offs of one user, facts, and entries of an earlier release.

use logout_gateway::internals::{clock::from_unix_seconds, outcome::Scope, store};
use uuid::Uuid;

use super::{
    super::{
        cut_offs::History,
        list::{assert_facts, log_out, now, refuses, session, session_of, with_facts},
    },
    DAY, ReplicatedStore, address, revocation,
};
use crate::harness::{RedisServer, eventually};

fn user_key(user: Uuid) -> String {
    format!("logout-gateway:user:{user}")
}

#[tokio::test]
async fn a_user_has_at_most_two_cut_offs_in_redis_and_all_instances_refuse_the_same_tokens() {
    let server = RedisServer::start().await;
    let (one, another) =
        (ReplicatedStore::open(&server).await, ReplicatedStore::open(&server).await);
    another.wait_until_following(&server).await;
    let mut histories = [now(); 4].map(History::new);
    for n in 0..80 {
        let history = &mut histories[n % 4];
        let at = if n % 8 < 4 { &one } else { &another };
        history.log_out(&*at.store).await;
        let lines: usize = server.command(&["HLEN", &user_key(history.user())]);
        assert!((1..=2).contains(&lines), "{lines}");
    }
    another.wait_until_replicated(&server).await;
    one.wait_until_replicated(&server).await;
    let fresh = store::open(&address(&server)).await.unwrap();
    for history in &histories {
        for store in [&one.store, &another.store, &fresh] {
            history.assert_refused_by(&**store).await;
        }
    }
}

#[tokio::test]
async fn twenty_thousand_cut_offs_of_an_earlier_release_become_two_with_the_next_logout() {
    const FILL: &str = "for n = 1, 20000 do
        local id = string.format('%08x-0000-4000-8000-000000000000', n)
        redis.call('HSET', KEYS[1], id, '1 ' .. (ARGV[1] - n % 1000) .. ' ' .. ARGV[2])
    end
    redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])";
    let server = RedisServer::start().await;
    let (user, now) = (Uuid::new_v4(), now());
    let (key, until) = (user_key(user), (now + DAY).to_string());
    let words = [&key, "logout-gateway:users", &now.to_string(), &until, &user.to_string()];
    server.command::<()>(&[&["EVAL", FILL, "2"][..], &words].concat());
    let replicated = ReplicatedStore::open(&server).await;
    replicated.wait_until_following(&server).await;
    let spared = |n: u32| {
        let session_id = format!("{n:08x}-0000-4000-8000-000000000000").parse().unwrap();
        logout_gateway::internals::session::token::Claims { session_id, ..session_of(user, now) }
    };
    let current = session_of(user, now);
    log_out(&*replicated.store, &current, Scope::Others, now - 500).await;
    let lines: usize = server.command(&["HLEN", &key]);
    assert!((1..=2).contains(&lines), "{lines}");
    let fresh = store::open(&address(&server)).await.unwrap();
    for store in [&replicated.store, &fresh] {
        // The cut-offs 1000, 2000 and so on all have the time `now` and spare different sessions, so together
        // they must refuse even the spared sessions.
        for claims in
            [current.clone(), spared(1_000), spared(2_000), spared(1), session_of(user, now)]
        {
            assert!(refuses(&**store, &claims, now).await, "{claims:?}");
        }
        assert!(!refuses(&**store, &session_of(user, now + 1), now).await);
        assert!(refuses(&**store, &current, now + DAY - 1).await);
    }
}

#[tokio::test]
async fn expired_cut_offs_of_a_user_are_removed_by_the_next_logout() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let (user, now) = (Uuid::new_v4(), now());
    let ids = [(); 2].map(|()| Uuid::new_v4().to_string());
    for (id, until) in ids.iter().zip([now - DAY - 10, now - 10]) {
        server.command::<()>(&["HSET", &user_key(user), id, &format!("1 {} {until}", now + 9)]);
    }
    log_out(&*store, &session_of(user, now - 10), Scope::Global, now).await;
    let mut left: Vec<String> = server.command(&["HKEYS", &user_key(user)]);
    left.sort_unstable();
    assert_eq!(
        left,
        ["-", &ids[1]],
        "an entry that expired less than a day ago is kept, because clocks differ"
    );
    // The store must not write a revocation that has expired already.
    let claims = session(now - 3 * DAY);
    log_out(&*store, &claims, Scope::Global, now - 3 * DAY).await;
    assert_eq!(server.command::<usize>(&["EXISTS", &user_key(claims.sub)]), 0);
}

#[tokio::test]
async fn facts_are_replicated_to_the_other_instance() {
    let server = RedisServer::start().await;
    let (one, another) =
        (ReplicatedStore::open(&server).await, ReplicatedStore::open(&server).await);
    another.wait_until_following(&server).await;
    let facts = with_facts(&*one.store, now()).await;
    eventually("the other instance has both facts", async || another.store.list().count() == 2)
        .await;
    another.wait_until_replicated(&server).await;
    assert_facts(&*another.store, &facts, now());
    // The other instance must also get a fact that could not be written at first, because Redis was down.
    server.kill();
    let ended = session(now() - 10);
    let revoked = one.store.revoke(&revocation(&ended, Scope::Local, now())).await;
    assert!(revoked.is_err());
    server.restart().await;
    let fact = store::list::SessionFact::Ended;
    let is_replicated =
        async || another.store.list().has_fact(fact, ended.session_id, from_unix_seconds(now()));
    eventually("the other instance has the fact", is_replicated).await;
}
