//! The list as it is in Redis: lines of one user, facts, and what an earlier release left.

use logout_gateway::internals::{clock::from_unix_seconds, outcome::Scope, store};
use uuid::Uuid;

use super::{
    super::{
        cut_offs::History,
        list::{assert_facts, log_out, now, refuses, session, session_of, with_facts},
    },
    DAY, Followed, address, revocation,
};
use crate::harness::{RedisServer, eventually};

fn user_key(user: Uuid) -> String {
    format!("logout-gateway:user:{user}")
}

#[tokio::test]
async fn a_user_has_two_lines_in_redis_at_most_and_every_instance_refuses_the_same() {
    let server = RedisServer::start().await;
    let (one, another) = (Followed::open(&server).await, Followed::open(&server).await);
    another.follows(&server).await;
    let mut histories = [now(); 4].map(History::new);
    for n in 0..80 {
        let history = &mut histories[n % 4];
        let at = if n % 8 < 4 { &one } else { &another };
        history.log_out(&*at.store).await;
        let lines: usize = server.command(&["HLEN", &user_key(history.user())]);
        assert!((1..=2).contains(&lines), "{lines}");
    }
    another.knows_all(&server).await;
    one.knows_all(&server).await;
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
    let followed = Followed::open(&server).await;
    followed.follows(&server).await;
    let spared = |n: u32| {
        let session_id = format!("{n:08x}-0000-4000-8000-000000000000").parse().unwrap();
        logout_gateway::internals::session::token::Claims { session_id, ..session_of(user, now) }
    };
    let asking = session_of(user, now);
    log_out(&*followed.store, &asking, Scope::Others, now - 500).await;
    let lines: usize = server.command(&["HLEN", &key]);
    assert!((1..=2).contains(&lines), "{lines}");
    let fresh = store::open(&address(&server)).await.unwrap();
    for store in [&followed.store, &fresh] {
        // 1000, 2000 and so on spared different sessions at `now`.
        for claims in
            [asking.clone(), spared(1_000), spared(2_000), spared(1), session_of(user, now)]
        {
            assert!(refuses(&**store, &claims, now).await, "{claims:?}");
        }
        assert!(!refuses(&**store, &session_of(user, now + 1), now).await);
        assert!(refuses(&**store, &asking, now + DAY - 1).await);
    }
}

#[tokio::test]
async fn a_users_outlived_cut_offs_go_with_the_next() {
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
    assert_eq!(left, ["-", &ids[1]], "clocks differ: what is over for less than a day stays");
    // Long over when it comes: not worth a key.
    let claims = session(now - 3 * DAY);
    log_out(&*store, &claims, Scope::Global, now - 3 * DAY).await;
    assert_eq!(server.command::<usize>(&["EXISTS", &user_key(claims.sub)]), 0);
}

#[tokio::test]
async fn facts_reach_the_other_instance() {
    let server = RedisServer::start().await;
    let (one, another) = (Followed::open(&server).await, Followed::open(&server).await);
    another.follows(&server).await;
    let facts = with_facts(&*one.store, now()).await;
    eventually("they are heard of", async || another.store.list().count() == 2).await;
    another.knows_all(&server).await;
    assert_facts(&*another.store, &facts, now());
    // And one that could not be written at first.
    server.kill();
    let ended = session(now() - 10);
    let revoked = one.store.revoke(&revocation(&ended, Scope::Local, now())).await;
    assert!(revoked.is_err());
    server.restart().await;
    let fact = store::list::SessionFact::Ended;
    let told =
        async || another.store.list().has_fact(fact, ended.session_id, from_unix_seconds(now()));
    eventually("it is heard of", told).await;
}
