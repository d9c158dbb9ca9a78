// Sign-ups with supabase-js: confirmed at once, by a code, and by a link.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AuthWeakPasswordError } from "@supabase/supabase-js";

import { newUser } from "../../../clients/js/test/harness.js";
import { dataOf, errorOf, mockOfFile, redirectOf } from "../harness/world.js";

const mock = mockOfFile();
const confirmingMock = mockOfFile("--no-autoconfirm");

test("a sign-up that is confirmed at once signs the user in", async () => {
  const world = mock.newWorld();
  const { auth, events } = await world.client();

  const credentials = { ...newUser(), options: { data: { name: "Ada" } } };
  const { user, session } = await dataOf(auth.signUp(credentials));

  assert.equal(session.user.id, user.id);
  assert.deepEqual(events, ["SIGNED_IN"]);
  assert.deepEqual((await world.sessions()).map(({ user_id }) => user_id), [user.id]);
  const row = await world.user(user.id);
  assert.equal(row.email, credentials.email);
  assert.equal(row.user_metadata.name, "Ada");
  assert.ok(row.email_confirmed_at);
  assert.deepEqual(await world.mails(), []);
});

test("a sign-up by mail has no session until its code is verified", async () => {
  const world = confirmingMock.newWorld();
  const { auth, events } = await world.client();
  const { email, password } = newUser();

  const { user, session } = await dataOf(auth.signUp({ email, password }));
  assert.equal(session, null);
  assert.deepEqual(await world.sessions(), []);
  assert.deepEqual(await errorOf(auth.signInWithPassword({ email, password })), {
    name: "AuthApiError", status: 400, code: "email_not_confirmed",
  });
  assert.deepEqual(events, []);
  const mail = await world.mailTo(email);
  assert.equal(mail.type, "signup");

  const verified = await dataOf(auth.verifyOtp({ email, token: mail.token, type: "signup" }));

  assert.equal(verified.user.id, user.id);
  assert.ok(verified.user.email_confirmed_at);
  assert.deepEqual(events, ["SIGNED_IN"]);
  assert.equal((await world.sessions()).length, 1);
});

test("the link of a sign-up's mail confirms the address and leads back with a session", async () => {
  const world = confirmingMock.newWorld();
  const { auth, events } = await world.client();
  const { email, password } = newUser();
  const emailRedirectTo = "http://127.0.0.1:3000/welcome";
  const { user } = await dataOf(auth.signUp({ email, password, options: { emailRedirectTo } }));

  const { href, hash } = await redirectOf((await world.mailTo(email)).link);

  assert.ok(href.startsWith(`${emailRedirectTo}#access_token=`));
  assert.ok((await world.user(user.id)).email_confirmed_at);
  const tokens = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  const { session } = await dataOf(auth.setSession(tokens));
  assert.equal(session.user.email, email);
  assert.deepEqual(events, ["SIGNED_IN"]);
});

test("a sign-up by phone is confirmed by the code of its text message", async () => {
  const world = confirmingMock.newWorld();
  const { auth, events } = await world.client();
  const phone = "15550100001";
  const { session } = await dataOf(auth.signUp({ phone, password: "a password" }));
  assert.equal(session, null);
  assert.deepEqual(await errorOf(auth.signInWithPassword({ phone, password: "a password" })), {
    name: "AuthApiError", status: 400, code: "phone_not_confirmed",
  });

  const { token } = await world.mailTo(phone);
  const { user } = await dataOf(auth.verifyOtp({ phone, token, type: "sms" }));

  assert.ok((await world.user(user.id)).phone_confirmed_at);
  assert.deepEqual(events, ["SIGNED_IN"]);
});

test("a second sign-up with an address is refused where users are confirmed at once", async () => {
  const world = mock.newWorld();
  const { user } = await world.signedIn();
  const { auth, events } = await world.client();

  assert.deepEqual(await errorOf(auth.signUp({ ...user, password: "another password" })), {
    name: "AuthApiError", status: 422, code: "user_already_exists",
  });

  assert.deepEqual(events, []);
  assert.equal((await world.users()).length, 1);
});

test("a second sign-up by mail does not show that the address has a user", async () => {
  const world = confirmingMock.newWorld();
  const { auth } = await world.client();
  const user = newUser();
  const first = await dataOf(auth.signUp(user));
  const { token } = await world.mailTo(user.email);
  await dataOf(auth.verifyOtp({ email: user.email, token, type: "signup" }));
  const mails = await world.mails();

  const second = await dataOf((await world.client()).auth.signUp(user));

  assert.notEqual(second.user.id, first.user.id);
  assert.deepEqual(second.user.identities, []);
  assert.equal(second.session, null);
  assert.deepEqual(await world.mails(), mails);
  assert.equal((await world.users()).length, 1);
});

test("resend sends the code of a sign-up again, and voids the first one", async () => {
  const world = confirmingMock.newWorld();
  const { auth } = await world.client();
  const { email, password } = newUser();
  await dataOf(auth.signUp({ email, password }));
  const first = await world.mailTo(email);

  await dataOf(auth.resend({ type: "signup", email }));

  const second = await world.mailTo(email);
  assert.equal((await world.mails()).length, 2);
  assert.notEqual(second.token, first.token);
  const type = "signup";
  assert.deepEqual(await errorOf(auth.verifyOtp({ email, token: first.token, type })), {
    name: "AuthApiError", status: 403, code: "otp_expired",
  });
  assert.ok((await dataOf(auth.verifyOtp({ email, token: second.token, type }))).session);
});

test("a weak password is an AuthWeakPasswordError with its reasons", async () => {
  const world = mock.newWorld();
  const { auth } = await world.client();

  const { error } = await auth.signUp({ ...newUser(), password: "short" });

  assert.ok(error instanceof AuthWeakPasswordError);
  assert.equal(error.status, 422);
  assert.deepEqual(error.reasons, ["length"]);
  assert.deepEqual(await world.users(), []);
});
