// What the mock does not have: supabase-js shows status 501 and the name of the endpoint.
//
// supabase-js makes an `AuthRetryableFetchError` of every response with a status from 500 to 504, and drops
// GoTrue's code. Only the status and the message are left.

import assert from "node:assert/strict";
import { test } from "node:test";

import { dataOf, errorOf, mockOfFile } from "../harness/world.js";

const mock = mockOfFile();

const ID = "00000000-0000-4000-8000-000000000000";
const SIGNED = { message: "a message", signature: new Uint8Array(65) };
const EXPERIMENTAL = { experimental: { recoveryCodes: true } };
const CREDENTIAL = { challengeId: ID, credential: {} };

async function assertMissing(call, endpoint) {
  const { error } = await call;
  const [name, status] = ["AuthRetryableFetchError", 501];
  assert.deepEqual([error?.name, error?.status], [name, status], `${endpoint}: ${error?.message}`);
  assert.ok(error.message.startsWith(`The mock does not have ${endpoint}. `), error.message);
}

test("passkeys are missing", async () => {
  const { auth: { passkey } } = await mock.newWorld().signedIn();
  for (const [endpoint, call] of [
    ["POST /passkeys/registration/options", () => passkey.startRegistration()],
    ["POST /passkeys/registration/verify", () => passkey.verifyRegistration(CREDENTIAL)],
    ["POST /passkeys/authentication/options", () => passkey.startAuthentication()],
    ["POST /passkeys/authentication/verify", () => passkey.verifyAuthentication(CREDENTIAL)],
    ["GET /passkeys", () => passkey.list()],
    ["PATCH /passkeys/{passkey_id}", () => passkey.update({ passkeyId: ID, friendlyName: "Key" })],
    ["DELETE /passkeys/{passkey_id}", () => passkey.delete({ passkeyId: ID })],
  ]) {
    await assertMissing(call(), endpoint);
  }
});

test("no user has a passkey, and an administrator can delete none", async () => {
  const world = mock.newWorld();
  const { session } = await world.signedIn();
  const { passkey } = world.admin();
  const userId = session.user.id;

  assert.deepEqual(await dataOf(passkey.listPasskeys({ userId })), []);
  const deletion = passkey.deletePasskey({ userId, passkeyId: ID });
  await assertMissing(deletion, "DELETE /admin/users/{user_id}/passkeys/{passkey_id}");
});

test("the OAuth server is missing", async () => {
  const { auth: { oauth } } = await mock.newWorld().signedIn();
  const authorization = "/oauth/authorizations/{authorization_id}";
  for (const [endpoint, call] of [
    [`GET ${authorization}`, () => oauth.getAuthorizationDetails(ID)],
    [`POST ${authorization}/consent`, () => oauth.approveAuthorization(ID)],
    [`POST ${authorization}/consent`, () => oauth.denyAuthorization(ID)],
    ["GET /user/oauth/grants", () => oauth.listGrants()],
    ["DELETE /user/oauth/grants", () => oauth.revokeGrant({ clientId: ID })],
  ]) {
    await assertMissing(call(), endpoint);
  }
});

test("the administration of OAuth clients is missing", async () => {
  const { oauth } = mock.newWorld().admin();
  const clients = "/admin/oauth/clients";
  const client = { client_name: "An application", redirect_uris: ["https://app.example.com"] };
  for (const [endpoint, call] of [
    [`GET ${clients}`, () => oauth.listClients()],
    [`POST ${clients}`, () => oauth.createClient(client)],
    [`GET ${clients}/{client_id}`, () => oauth.getClient(ID)],
    [`PUT ${clients}/{client_id}`, () => oauth.updateClient(ID, client)],
    [`DELETE ${clients}/{client_id}`, () => oauth.deleteClient(ID)],
    [`POST ${clients}/{client_id}/regenerate_secret`, () => oauth.regenerateClientSecret(ID)],
  ]) {
    await assertMissing(call(), endpoint);
  }
});

test("there is no custom identity provider, and none can be made", async () => {
  const { customProviders } = mock.newWorld().admin();
  const provider = {
    provider_type: "oidc", identifier: "custom:own", name: "Own", issuer: "https://id.example.com",
  };
  assert.deepEqual(await dataOf(customProviders.listProviders()), { providers: [] });
  const one = "/admin/custom-providers/{identifier}";
  for (const [endpoint, call] of [
    ["POST /admin/custom-providers", () => customProviders.createProvider(provider)],
    [`GET ${one}`, () => customProviders.getProvider("custom:own")],
    [`PUT ${one}`, () => customProviders.updateProvider("custom:own", { name: "Own" })],
    [`DELETE ${one}`, () => customProviders.deleteProvider("custom:own")],
  ]) {
    await assertMissing(call(), endpoint);
  }
});

test("single sign-on and sign-ins by wallets are missing", async () => {
  const { auth, events } = await mock.newWorld().client();

  await assertMissing(auth.signInWithSSO({ domain: "example.com" }), "POST /sso");
  for (const chain of ["ethereum", "solana"]) {
    const call = auth.signInWithWeb3({ chain, ...SIGNED });
    await assertMissing(call, "POST /token?grant_type=web3");
  }

  assert.deepEqual(events, []);
});

test("recovery codes are missing", async () => {
  const { auth } = await mock.newWorld().signedIn(undefined, EXPERIMENTAL);
  const { recoveryCodes } = auth.mfa;
  const codes = "/factors/recovery-codes";
  for (const [endpoint, call] of [
    [`GET ${codes}`, () => recoveryCodes.getStatus()],
    [`POST ${codes}`, () => recoveryCodes.generate()],
    [`POST ${codes}/verify`, () => recoveryCodes.verify({ code: "a code" })],
    [`POST ${codes}/regenerate`, () => recoveryCodes.regenerate()],
    [`DELETE ${codes}`, () => recoveryCodes.unenroll()],
  ]) {
    await assertMissing(call(), endpoint);
  }
});

test("a security key as a second factor is switched off", async () => {
  const { auth } = await mock.newWorld().signedIn();

  assert.deepEqual(await errorOf(auth.mfa.webauthn.enroll({ friendlyName: "Key" })), {
    name: "AuthApiError", status: 422, code: "mfa_webauthn_enroll_not_enabled",
  });
});
