// Sessions with supabase-js: who is signed in, refreshing, and which sessions a sign-out ends.

import assert from "node:assert/strict";
import { test } from "node:test";

import { eventually } from "../../../clients/js/test/harness.js";
import { claimsOf } from "../harness/test_app.js";
import { dataOf, errorOf, mockOfFile } from "../harness/world.js";

const mock = mockOfFile();
const shortLivedMock = mockOfFile("--token-lifetime", "1m");

// The library's error for GoTrue's `session_not_found`.
const MISSING = { name: "AuthSessionMissingError", status: 400, code: undefined };

// Signs a user in on several devices.
async function devices(world, count) {
  const first = await world.signedIn();
  const all = [first];
  while (all.length < count) {
    const device = await world.client();
    const { session } = await dataOf(device.auth.signInWithPassword(first.user));
    device.events.splice(0);
    all.push({ ...device, session });
  }
  return all;
}

const alive = async (world) => (await world.sessions()).map(({ id }) => id).sort();
const idOf = ({ session }) => claimsOf(session.access_token).session_id;
const idsOf = (signedIn) => signedIn.map(idOf).sort();

test("getUser asks GoTrue, and shows a ban that getSession does not know", async () => {
  const world = mock.newWorld();
  const { auth, user, session } = await world.signedIn();
  assert.equal((await dataOf(auth.getUser())).user.email, user.email);

  await dataOf(world.admin().updateUserById(session.user.id, { ban_duration: "1h" }));

  assert.deepEqual(await errorOf(auth.getUser()), {
    name: "AuthApiError", status: 403, code: "user_banned",
  });
  assert.equal((await dataOf(auth.getSession())).session.user.email, user.email);
});

test("getClaims verifies a token with the published keys, also after a rotation", async () => {
  const world = mock.newWorld();
  const { auth, session } = await world.signedIn();
  const { claims, header } = await dataOf(auth.getClaims());
  assert.deepEqual(claims, claimsOf(session.access_token));
  assert.equal(claims.iss, `${world.url}/auth/v1`);
  assert.equal(header.alg, "ES256");
  const calls = async () => (await world.calls()).map(({ path }) => path);
  assert.ok((await calls()).includes("/auth/v1/.well-known/jwks.json"));
  assert.ok(!(await calls()).includes("/auth/v1/user"));

  await world.rotateKeys();
  const refreshed = await dataOf(auth.refreshSession());

  const later = await dataOf(auth.getClaims());
  assert.notEqual(later.header.kid, header.kid);
  assert.deepEqual(later.claims, claimsOf(refreshed.session.access_token));
});

test("getClaims refuses a token with the signature of another token", async () => {
  const world = mock.newWorld();
  const { auth, session } = await world.signedIn();
  const { session: other } = await world.signedIn();
  const [, , signature] = other.access_token.split(".");
  const forged = [...session.access_token.split(".").slice(0, 2), signature].join(".");

  assert.equal((await errorOf(auth.getClaims(forged))).name, "AuthInvalidJwtError");
});

test("refreshSession gives new tokens of the same session", async () => {
  const world = mock.newWorld();
  const { auth, events, session } = await world.signedIn();

  const refreshed = await dataOf(auth.refreshSession());

  assert.deepEqual(events, ["TOKEN_REFRESHED"]);
  assert.equal(idOf(refreshed), idOf({ session }));
  assert.notEqual(refreshed.session.refresh_token, session.refresh_token);
  assert.deepEqual(await alive(world), [idOf({ session })]);
});

test("the tokens of an ended session are refused, and getUser signs the client out", async () => {
  const world = mock.newWorld();
  const { auth, events, session } = await world.signedIn();
  await dataOf(world.admin().signOut(session.access_token, "global"));

  assert.deepEqual(await errorOf(auth.refreshSession()), {
    name: "AuthApiError", status: 400, code: "refresh_token_not_found",
  });
  // The library keeps a session whose access token has not expired.
  assert.ok((await dataOf(auth.getSession())).session);
  assert.deepEqual(await errorOf(auth.getUser()), MISSING);

  assert.deepEqual(events, ["SIGNED_OUT"]);
  assert.equal((await dataOf(auth.getSession())).session, null);
});

test("setSession takes a session over to another client", async () => {
  const world = mock.newWorld();
  const { session } = await world.signedIn();
  const { auth, events } = await world.client();

  const taken = await dataOf(auth.setSession(session));

  assert.equal(taken.user.id, session.user.id);
  assert.deepEqual(events, ["SIGNED_IN"]);
  assert.equal((await dataOf(auth.getUser())).user.id, session.user.id);
  assert.equal((await world.sessions()).length, 1);
});

test("setSession refuses the token of an ended session", async () => {
  const world = mock.newWorld();
  const { session } = await world.signedIn();
  await dataOf(world.admin().signOut(session.access_token, "global"));
  const { auth, events } = await world.client();

  assert.deepEqual(await errorOf(auth.setSession(session)), MISSING);

  assert.deepEqual(events, ["SIGNED_OUT"]);
  assert.equal((await dataOf(auth.getSession())).session, null);
});

for (const { scope, lives, signsOut } of [
  { scope: "local", lives: [1, 2], signsOut: true },
  { scope: "others", lives: [0], signsOut: false },
  { scope: "global", lives: [], signsOut: true },
  { scope: undefined, lives: [], signsOut: true },
]) {
  test(`signOut with the scope ${scope} ends the right ones of three sessions`, async () => {
    const world = mock.newWorld();
    const signedIn = await devices(world, 3);
    const [{ auth, events }] = signedIn;

    await dataOf(auth.signOut(scope && { scope }));

    assert.deepEqual(await alive(world), idsOf(lives.map((index) => signedIn[index])));
    assert.deepEqual(events, signsOut ? ["SIGNED_OUT"] : []);
    assert.equal((await dataOf(auth.getSession())).session === null, signsOut);
    for (const [index, device] of signedIn.entries()) {
      if (index === 0) continue;
      const { error } = await device.auth.getUser();
      assert.equal(error?.name, lives.includes(index) ? undefined : MISSING.name);
    }
  });
}

test("after two hours the access token is refused, and refreshSession brings a new one", async () => {
  const world = mock.newWorld();
  const { auth, session } = await world.signedIn();
  await world.advanceClock("2h");
  assert.deepEqual(await errorOf(auth.getUser(session.access_token)), {
    name: "AuthApiError", status: 403, code: "bad_jwt",
  });

  const refreshed = await dataOf(auth.refreshSession());

  assert.equal(idOf(refreshed), idOf({ session }));
  assert.equal((await dataOf(auth.getUser())).user.id, session.user.id);
});

test("getSession refreshes a token that is about to expire", async () => {
  const world = shortLivedMock.newWorld();
  const { auth, events, session } = await world.signedIn();

  const { session: current } = await dataOf(auth.getSession());

  assert.notEqual(current.refresh_token, session.refresh_token);
  assert.deepEqual(events, ["TOKEN_REFRESHED"]);
});

test("startAutoRefresh refreshes in the background, and stopAutoRefresh ends that", async () => {
  const world = shortLivedMock.newWorld();
  const { auth, events } = await world.signedIn();
  const tokens = async () => (await world.calls()).filter(({ path }) => path === "/auth/v1/token");

  await auth.startAutoRefresh();
  await eventually("the client refreshes", () => events.includes("TOKEN_REFRESHED"));
  await auth.stopAutoRefresh();

  assert.ok((await tokens()).length > 0);
  assert.equal(auth.autoRefreshTicker, null);
});

test("the events of a session come in the order in which they happen", async () => {
  const world = mock.newWorld();
  const { auth, user } = await world.signedIn();
  const seen = [];
  const { data: { subscription } } = auth.onAuthStateChange((event, session) => {
    seen.push([event, session?.user.email ?? null]);
  });
  await eventually("the subscription begins", () => seen.length > 0);

  await dataOf(auth.refreshSession());
  await dataOf(auth.updateUser({ data: { name: "Ada" } }));
  await dataOf(auth.signOut());
  await dataOf(auth.signInWithPassword(user));
  subscription.unsubscribe();
  await dataOf(auth.signOut());

  assert.deepEqual(seen, [
    ["INITIAL_SESSION", user.email],
    ["TOKEN_REFRESHED", user.email],
    ["USER_UPDATED", user.email],
    ["SIGNED_OUT", null],
    ["SIGNED_IN", user.email],
  ]);
});

test("dispose ends the events of a client, and its session lives on", async () => {
  const world = mock.newWorld();
  const { auth, events, session } = await world.signedIn();
  await auth.initialize();

  await auth.dispose();
  await dataOf(auth.refreshSession());

  assert.deepEqual(events, []);
  assert.deepEqual(await alive(world), [idOf({ session })]);
});
