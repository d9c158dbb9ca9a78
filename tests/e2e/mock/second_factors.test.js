// Second factors with supabase-js: TOTP and text messages.

import assert from "node:assert/strict";
import { test } from "node:test";

import { claimsOf } from "../harness/test_app.js";
import { totpCode } from "../harness/tokens.js";
import { dataOf, errorOf, mockOfFile } from "../harness/world.js";

const mock = mockOfFile();

const levels = async (auth) => {
  const data = await dataOf(auth.mfa.getAuthenticatorAssuranceLevel());
  const methods = data.currentAuthenticationMethods.map(({ method }) => method);
  return [data.currentLevel, data.nextLevel, methods.sort()];
};
const enrolTotp = (auth) => dataOf(auth.mfa.enroll({ factorType: "totp", friendlyName: "Phone" }));

// Signs a new user in and verifies a TOTP factor.
async function withFactor(world) {
  const device = await world.signedIn();
  const { id: factorId, totp: { secret } } = await enrolTotp(device.auth);
  const code = totpCode(secret);
  await dataOf(device.auth.mfa.challengeAndVerify({ factorId, code }));
  device.events.splice(0);
  return { ...device, factorId, secret };
}

test("a TOTP factor that is enrolled and verified raises the session to aal2", async () => {
  const world = mock.newWorld();
  const { auth, events, session } = await world.signedIn();
  assert.deepEqual(await levels(auth), ["aal1", "aal1", ["password"]]);
  const { id: factorId, totp } = await enrolTotp(auth);
  assert.ok(totp.qr_code.startsWith("data:image/svg+xml;utf-8,"));
  assert.equal(new URL(totp.uri).searchParams.get("secret"), totp.secret);
  assert.deepEqual((await dataOf(auth.mfa.listFactors())).totp, []);
  const { id: challengeId } = await dataOf(auth.mfa.challenge({ factorId }));
  assert.deepEqual(await errorOf(auth.mfa.verify({ factorId, challengeId, code: "000000" })), {
    name: "AuthApiError", status: 422, code: "mfa_verification_failed",
  });

  const code = totpCode(totp.secret);
  const verified = await dataOf(auth.mfa.verify({ factorId, challengeId, code }));

  const { session_id } = claimsOf(session.access_token);
  const claims = claimsOf(verified.access_token);
  assert.deepEqual([claims.aal, claims.session_id], ["aal2", session_id]);
  assert.deepEqual(events, ["MFA_CHALLENGE_VERIFIED"]);
  assert.deepEqual(await levels(auth), ["aal2", "aal2", ["password", "totp"]]);
  const factors = await dataOf(auth.mfa.listFactors());
  assert.deepEqual(factors.totp.map(({ id, status }) => [id, status]), [[factorId, "verified"]]);
});

test("a sign-in stays at aal1 until the user's factor is verified", async () => {
  const world = mock.newWorld();
  const { user, factorId, secret } = await withFactor(world);
  const { auth } = await world.client();
  await dataOf(auth.signInWithPassword(user));
  assert.deepEqual(await levels(auth), ["aal1", "aal2", ["password"]]);
  assert.deepEqual(await errorOf(auth.updateUser({ password: "a new password" })), {
    name: "AuthApiError", status: 401, code: "insufficient_aal",
  });

  await dataOf(auth.mfa.challengeAndVerify({ factorId, code: totpCode(secret) }));

  assert.deepEqual(await levels(auth), ["aal2", "aal2", ["password", "totp"]]);
  await dataOf(auth.updateUser({ password: "a new password" }));
});

test("the level of a token can be read without its session", async () => {
  const world = mock.newWorld();
  const { session } = await withFactor(world);
  const { auth } = await world.client();
  const { getAuthenticatorAssuranceLevel } = auth.mfa;
  const none = { currentLevel: null, nextLevel: null, currentAuthenticationMethods: [] };
  assert.deepEqual(await dataOf(getAuthenticatorAssuranceLevel()), none);

  // The token is older than the factor.
  const levelsOfToken = await dataOf(auth.mfa.getAuthenticatorAssuranceLevel(session.access_token));

  assert.deepEqual([levelsOfToken.currentLevel, levelsOfToken.nextLevel], ["aal1", "aal2"]);
});

test("a factor that is unenrolled lowers the next session to aal1", async () => {
  const world = mock.newWorld();
  const { auth, session, factorId } = await withFactor(world);

  await dataOf(auth.mfa.unenroll({ factorId }));

  assert.deepEqual((await dataOf(auth.mfa.listFactors())).all, []);
  assert.equal((await world.user(session.user.id)).factors, undefined);
  await dataOf(auth.refreshSession());
  assert.deepEqual((await levels(auth)).slice(0, 2), ["aal1", "aal1"]);
});

test("a phone factor is verified by the code of a text message", async () => {
  const world = mock.newWorld();
  const { auth } = await world.signedIn();
  const phone = "15550100008";
  const { id: factorId } = await dataOf(auth.mfa.enroll({ factorType: "phone", phone }));
  const { id: challengeId } = await dataOf(auth.mfa.challenge({ factorId, channel: "sms" }));
  const { token: code, type } = await world.mailTo(phone);
  assert.equal(type, "mfa");

  await dataOf(auth.mfa.verify({ factorId, challengeId, code }));

  assert.deepEqual(await levels(auth), ["aal2", "aal2", ["mfa/phone", "password"]]);
});

test("an administrator lists and deletes a user's factors", async () => {
  const world = mock.newWorld();
  const { auth, session, factorId } = await withFactor(world);
  const { mfa } = world.admin();
  const userId = session.user.id;
  const { factors } = await dataOf(mfa.listFactors({ userId }));
  assert.deepEqual(factors.map(({ id, status }) => [id, status]), [[factorId, "verified"]]);

  await dataOf(mfa.deleteFactor({ userId, id: factorId }));

  assert.deepEqual((await dataOf(mfa.listFactors({ userId }))).factors, []);
  assert.deepEqual((await dataOf(auth.mfa.listFactors())).all, []);
});
