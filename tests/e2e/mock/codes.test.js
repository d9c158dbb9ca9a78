// Codes with supabase-js: sign-ins by mail and text message, and a code for a new password.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newUser } from "../../../clients/js/test/harness.js";
import { claimsOf } from "../harness/test_app.js";
import { dataOf, errorOf, mockOfFile, redirectOf } from "../harness/world.js";

const mock = mockOfFile();
const confirmingMock = mockOfFile("--no-autoconfirm");
const cautiousMock = mockOfFile("--secure-password-change");

const EXPIRED = { name: "AuthApiError", status: 403, code: "otp_expired" };

test("a code by mail signs a user in once", async () => {
  const world = mock.newWorld();
  const { user: { email }, session } = await world.signedIn();
  const { auth, events } = await world.client();
  await dataOf(auth.signInWithOtp({ email }));
  assert.deepEqual(events, []);
  const mail = await world.mailTo(email);
  assert.equal(mail.type, "magiclink");

  const { user } = await dataOf(auth.verifyOtp({ email, token: mail.token, type: "email" }));

  assert.equal(user.id, session.user.id);
  assert.deepEqual(events, ["SIGNED_IN"]);
  assert.equal((await world.sessions()).length, 2);
  const again = auth.verifyOtp({ email, token: mail.token, type: "email" });
  assert.deepEqual(await errorOf(again), EXPIRED);
});

test("the hash of a mail's link signs a user in", async () => {
  const world = mock.newWorld();
  const { user: { email }, session } = await world.signedIn();
  const { auth, events } = await world.client();
  await dataOf(auth.signInWithOtp({ email }));
  const { token_hash } = await world.mailTo(email);

  const { user } = await dataOf(auth.verifyOtp({ token_hash, type: "email" }));

  assert.equal(user.id, session.user.id);
  assert.deepEqual(events, ["SIGNED_IN"]);
});

test("a code expires after an hour", async () => {
  const world = mock.newWorld();
  const { user: { email } } = await world.signedIn();
  const { auth } = await world.client();
  await dataOf(auth.signInWithOtp({ email }));
  const { token } = await world.mailTo(email);
  await world.advanceClock("61m");

  assert.deepEqual(await errorOf(auth.verifyOtp({ email, token, type: "email" })), EXPIRED);
});

test("a code for a new address signs the user up", async () => {
  const world = confirmingMock.newWorld();
  const { auth } = await world.client();
  const { email } = newUser();
  await dataOf(auth.signInWithOtp({ email, options: { data: { name: "Ada" } } }));
  const { token, type } = await world.mailTo(email);
  assert.equal(type, "signup");

  const { user } = await dataOf(auth.verifyOtp({ email, token, type: "email" }));

  assert.equal((await world.user(user.id)).user_metadata.name, "Ada");
});

test("no code is sent to a new address if the call must not create users", async () => {
  const world = mock.newWorld();
  const { auth } = await world.client();

  const options = { shouldCreateUser: false };
  assert.deepEqual(await errorOf(auth.signInWithOtp({ ...newUser(), options })), {
    name: "AuthApiError", status: 422, code: "otp_disabled",
  });

  assert.deepEqual(await world.users(), []);
  assert.deepEqual(await world.mails(), []);
});

test("a code by text message signs a user in", async () => {
  const world = mock.newWorld();
  const phone = "15550100003";
  const { auth, events } = await world.client();
  await dataOf(auth.signInWithOtp({ phone }));
  const text = await world.mailTo(phone);
  assert.equal(text.type, "sms");

  const { user } = await dataOf(auth.verifyOtp({ phone, token: text.token, type: "sms" }));

  assert.equal(user.phone, phone);
  assert.deepEqual(events, ["SIGNED_IN"]);
});

test("resend sends the code of a text message again", async () => {
  const world = confirmingMock.newWorld();
  const phone = "15550100004";
  const { auth } = await world.client();
  await dataOf(auth.signInWithOtp({ phone }));

  await dataOf(auth.resend({ type: "sms", phone }));

  assert.equal((await world.mails()).length, 2);
  const { token } = await world.mailTo(phone);
  assert.equal((await dataOf(auth.verifyOtp({ phone, token, type: "sms" }))).user.phone, phone);
});

test("a link of the PKCE flow leads back with a code that only this client can exchange", async () => {
  const world = mock.newWorld();
  const { user: { email }, session } = await world.signedIn();
  const { auth, events } = await world.client({ flowType: "pkce" });
  await dataOf(auth.signInWithOtp({ email }));
  const code = (await redirectOf((await world.mailTo(email)).link)).searchParams.get("code");
  const other = await world.client({ flowType: "pkce" });
  const missing = await errorOf(other.auth.exchangeCodeForSession(code));
  assert.equal(missing.name, "AuthPKCECodeVerifierMissingError");
  await dataOf(other.auth.signInWithOtp({ email }));
  assert.deepEqual(await errorOf(other.auth.exchangeCodeForSession(code)), {
    name: "AuthApiError", status: 400, code: "bad_code_verifier",
  });

  const { user, session: exchanged } = await dataOf(auth.exchangeCodeForSession(code));

  assert.equal(user.id, session.user.id);
  assert.deepEqual([events, other.events], [["SIGNED_IN"], []]);
  assert.equal(claimsOf(exchanged.access_token).amr[0].method, "magiclink");
});

test("resetPasswordForEmail leads to PASSWORD_RECOVERY and a new password", async () => {
  const world = mock.newWorld();
  const { user: { email, password } } = await world.signedIn();
  const { auth, events } = await world.client();
  await dataOf(auth.resetPasswordForEmail(email));
  const { token, type } = await world.mailTo(email);
  assert.equal(type, "recovery");

  await dataOf(auth.verifyOtp({ email, token, type }));
  await dataOf(auth.updateUser({ password: "a new password" }));

  assert.deepEqual(events, ["PASSWORD_RECOVERY", "USER_UPDATED"]);
  // The new password has ended the session of the other device.
  assert.equal((await world.sessions()).length, 1);
  const other = await world.client();
  const old = await errorOf(other.auth.signInWithPassword({ email, password }));
  assert.equal(old.code, "invalid_credentials");
  await dataOf(other.auth.signInWithPassword({ email, password: "a new password" }));
});

test("in a session older than a day, a new password needs the code of reauthenticate", async () => {
  const world = cautiousMock.newWorld();
  const { auth, events, user: { email } } = await world.signedIn();
  await world.advanceClock("25h");
  await dataOf(auth.refreshSession());
  const password = "a new password";
  assert.deepEqual(await errorOf(auth.updateUser({ password })), {
    name: "AuthApiError", status: 400, code: "reauthentication_needed",
  });

  await dataOf(auth.reauthenticate());

  const { token, type } = await world.mailTo(email);
  assert.equal(type, "reauthentication");
  assert.deepEqual(await errorOf(auth.updateUser({ password, nonce: "000000" })), {
    name: "AuthApiError", status: 422, code: "reauthentication_not_valid",
  });
  await dataOf(auth.updateUser({ password, nonce: token }));
  assert.deepEqual(events, ["TOKEN_REFRESHED", "USER_UPDATED"]);
  await dataOf((await world.client()).auth.signInWithPassword({ email, password }));
});
