// Sign-ins with supabase-js by password, anonymously, and by the ID token of an identity provider.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newUser } from "../../../clients/js/test/harness.js";
import { claimsOf } from "../harness/test_app.js";
import { googleIdToken } from "../harness/tokens.js";
import { dataOf, errorOf, mockOfFile } from "../harness/world.js";

const mock = mockOfFile();
const confirmingMock = mockOfFile("--no-autoconfirm");

const REFUSED = { name: "AuthApiError", status: 400, code: "invalid_credentials" };

test("the right password begins a session of its own", async () => {
  const world = mock.newWorld();
  const first = await world.signedIn();
  const { auth, events } = await world.client();

  const { user, session } = await dataOf(auth.signInWithPassword(first.user));

  assert.equal(user.id, first.session.user.id);
  assert.deepEqual(events, ["SIGNED_IN"]);
  assert.deepEqual((await dataOf(auth.getSession())).session, session);
  const ids = [first.session, session].map(({ access_token }) => claimsOf(access_token).session_id);
  assert.deepEqual((await world.sessions()).map(({ id }) => id).sort(), ids.sort());
});

test("a wrong password and an unknown address are refused alike", async () => {
  const world = mock.newWorld();
  const { user } = await world.signedIn();
  const { auth, events } = await world.client();

  const wrong = { ...user, password: "a wrong password" };
  assert.deepEqual(await errorOf(auth.signInWithPassword(wrong)), REFUSED);
  assert.deepEqual(await errorOf(auth.signInWithPassword(newUser())), REFUSED);

  assert.deepEqual(events, []);
  assert.equal((await dataOf(auth.getSession())).session, null);
  assert.equal((await world.sessions()).length, 1);
});

test("a phone number and its password sign in", async () => {
  const world = mock.newWorld();
  const credentials = { phone: "15550100002", password: "a password" };
  await world.signedIn(credentials);
  const { auth, events } = await world.client();

  const { user } = await dataOf(auth.signInWithPassword(credentials));

  assert.equal(user.phone, credentials.phone);
  assert.deepEqual(events, ["SIGNED_IN"]);
  const wrong = { ...credentials, password: "a wrong password" };
  assert.deepEqual(await errorOf(auth.signInWithPassword(wrong)), REFUSED);
});

test("an anonymous user becomes permanent by an address and a password", async () => {
  const world = mock.newWorld();
  const { auth, events } = await world.client();
  const { user } = await dataOf(auth.signInAnonymously({ options: { data: { cart: 3 } } }));
  assert.equal(user.is_anonymous, true);
  assert.equal(user.user_metadata.cart, 3);
  const { email, password } = newUser();

  await dataOf(auth.updateUser({ email }));
  await dataOf(auth.updateUser({ password }));

  assert.deepEqual(events, ["SIGNED_IN", "USER_UPDATED", "USER_UPDATED"]);
  const again = await dataOf((await world.client()).auth.signInWithPassword({ email, password }));
  assert.equal(again.user.id, user.id);
  assert.equal(again.user.is_anonymous, false);
  assert.equal(claimsOf(again.session.access_token).is_anonymous, false);
});

test("an anonymous user confirms an address by mail before a password can be set", async () => {
  const world = confirmingMock.newWorld();
  const { auth } = await world.client();
  const { user } = await dataOf(auth.signInAnonymously());
  const { email, password } = newUser();
  assert.deepEqual(await errorOf(auth.updateUser({ password })), {
    name: "AuthApiError", status: 422, code: "validation_failed",
  });
  await dataOf(auth.updateUser({ email }));
  assert.equal((await world.user(user.id)).is_anonymous, true);

  const { token, type } = await world.mailTo(email);
  assert.equal(type, "email_change");
  await dataOf(auth.verifyOtp({ email, token, type }));
  await dataOf(auth.updateUser({ password }));

  const again = await dataOf((await world.client()).auth.signInWithPassword({ email, password }));
  assert.equal(again.user.id, user.id);
  assert.equal((await world.user(user.id)).is_anonymous, false);
});

test("an ID token that the mock's keys sign signs a new user in", async () => {
  const world = mock.newWorld();
  const { auth, events } = await world.client();
  const { email } = newUser();
  const token = googleIdToken({ sub: "1", email });

  const { user } = await dataOf(auth.signInWithIdToken({ provider: "google", token }));

  assert.equal(user.email, email);
  assert.deepEqual(events, ["SIGNED_IN"]);
  assert.deepEqual((await world.user(user.id)).app_metadata.providers, ["google"]);
});

test("an ID token for another application is refused", async () => {
  const world = mock.newWorld();
  const { auth, events } = await world.client();
  const token = googleIdToken({ sub: "1", email: "ann@example.com", aud: "another-client" });

  const { error } = await auth.signInWithIdToken({ provider: "google", token });

  assert.equal(error.name, "AuthApiError");
  assert.equal(error.status, 400);
  assert.match(error.message, /Unacceptable audience/);
  assert.deepEqual(events, []);
  assert.deepEqual(await world.users(), []);
});

test("an ID token links an identity to the user who is signed in", async () => {
  const world = mock.newWorld();
  const { auth, events, session } = await world.signedIn();
  const token = googleIdToken({ sub: "1", email: "ann@example.com" });

  const { user } = await dataOf(auth.linkIdentity({ provider: "google", token }));

  assert.equal(user.id, session.user.id);
  assert.deepEqual(events, ["USER_UPDATED"]);
  const { identities } = await world.user(user.id);
  assert.deepEqual(identities.map(({ provider }) => provider).sort(), ["email", "google"]);
});
