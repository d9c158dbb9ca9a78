// What tests of a frontend control: worlds, faults and the clock, as supabase-js sees them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createClient } from "@supabase/supabase-js";

import { NoWebSocket } from "../../../clients/js/test/harness.js";
import { dataOf, errorOf, mockOfFile, redirectOf } from "../harness/world.js";

const mock = mockOfFile();

test("a world has users, mails, faults and a clock of its own", async () => {
  const [world, other] = [mock.newWorld(), mock.newWorld()];
  const { user, session } = await world.signedIn();
  const { auth } = await other.client();
  await world.fault({ operation: "token", kind: "status", status: 500 });
  await world.advanceClock("2h");

  assert.equal((await errorOf(auth.signInWithPassword(user))).code, "invalid_credentials");
  assert.equal((await errorOf(auth.getUser(session.access_token))).code, "user_not_found");
  const { session: own } = await dataOf(auth.signUp(user));

  assert.notEqual(own.user.id, session.user.id);
  assert.deepEqual((await other.users()).map(({ id }) => id), [own.user.id]);
  assert.deepEqual((await world.users()).map(({ id }) => id), [session.user.id]);
});

test("the link of a mail leads back to the world that has sent it", async () => {
  const [world, other] = [mock.newWorld(), mock.newWorld()];
  const { user: { email }, session } = await world.signedIn();
  await other.signedIn({ email, password: "another password" });
  const { auth } = await world.client();
  await dataOf(auth.signInWithOtp({ email }));
  const { link } = await world.mailTo(email);
  assert.ok(link.startsWith(`${world.url}/auth/v1/verify?`));
  assert.deepEqual(await other.mails(), []);

  const { hash } = await redirectOf(link);

  await dataOf(auth.setSession(Object.fromEntries(new URLSearchParams(hash.slice(1)))));
  assert.equal((await dataOf(auth.getUser())).user.id, session.user.id);
  assert.deepEqual([(await world.sessions()).length, (await other.sessions()).length], [2, 1]);
});

test("a fault with a code of GoTrue is the AuthApiError with this code", async () => {
  const world = mock.newWorld();
  const { auth } = await world.client();
  const email = "ann@example.com";
  const code = "over_email_send_rate_limit";
  await world.fault({ operation: "otp", kind: "status", code, times: 1 });

  assert.deepEqual(await errorOf(auth.signInWithOtp({ email })), {
    name: "AuthApiError", status: 429, code,
  });

  assert.deepEqual([await world.users(), await world.mails()], [[], []]);
  await dataOf(auth.signInWithOtp({ email }));
  assert.equal((await world.mails()).length, 1);
});

test("a fault without a code is a retryable error, and the session lives on", async () => {
  const world = mock.newWorld();
  const { auth, events } = await world.signedIn();
  for (const fault of [{ kind: "status", status: 503 }, { kind: "reset" }, { kind: "truncate" }]) {
    await world.fault({ operation: "user", times: 1, ...fault });
    const { name } = await errorOf(auth.getUser());
    assert.match(name, /^Auth(RetryableFetch|Unknown)Error$/, fault.kind);
  }

  assert.ok((await dataOf(auth.getUser())).user);
  assert.deepEqual(events, []);
});

test("a refresh succeeds after GoTrue has failed once", async () => {
  const world = mock.newWorld();
  const { auth, events } = await world.signedIn();
  await world.fault({ operation: "token", kind: "status", status: 503, times: 1 });

  await dataOf(auth.refreshSession());

  assert.deepEqual(events, ["TOKEN_REFRESHED"]);
  const refreshes = (await world.calls()).filter(({ path }) => path === "/auth/v1/token");
  assert.equal(refreshes.length, 2);
});

test("the plain address without a world works for supabase-js, too", async () => {
  const { origin } = new URL(mock.newWorld().url);
  const { auth } = createClient(origin, "any", { realtime: { transport: NoWebSocket } });
  const user = { email: "ann@example.com", password: "a password" };

  const { session } = await dataOf(auth.signUp(user));

  assert.equal((await dataOf(auth.getClaims())).claims.iss, `${origin}/auth/v1`);
  assert.equal((await dataOf(auth.getUser())).user.id, session.user.id);
  await auth.signOut();
});
