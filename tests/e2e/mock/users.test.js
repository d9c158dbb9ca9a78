// A user's own data with supabase-js: metadata, address, phone number, password and identities.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newUser } from "../../../clients/js/test/harness.js";
import { dataOf, errorOf, mockOfFile, redirectOf } from "../harness/world.js";

const mock = mockOfFile();
const confirmingMock = mockOfFile("--no-autoconfirm");

// Signs a new user up by mail.
async function confirmed(world) {
  const device = await world.client();
  const user = newUser();
  await dataOf(device.auth.signUp(user));
  const { token, type } = await world.mailTo(user.email);
  const { session } = await dataOf(device.auth.verifyOtp({ email: user.email, token, type }));
  device.events.splice(0);
  return { ...device, user, session };
}

test("updateUser merges the user's metadata and deletes what is null", async () => {
  const world = mock.newWorld();
  const data = { name: "Ada", theme: "dark" };
  const { auth, events, session } = await world.signedIn({ ...newUser(), options: { data } });

  const change = { data: { theme: null, language: "en" } };
  const { user } = await dataOf(auth.updateUser(change));

  assert.deepEqual(events, ["USER_UPDATED"]);
  assert.deepEqual((await dataOf(auth.getUser())).user.user_metadata, user.user_metadata);
  const { user_metadata: stored } = await world.user(session.user.id);
  assert.deepEqual([stored.name, stored.theme, stored.language], ["Ada", undefined, "en"]);
});

test("a new address counts when the old and the new address have confirmed it", async () => {
  const world = confirmingMock.newWorld();
  const { auth, user, session } = await confirmed(world);
  const id = session.user.id;
  const { email } = newUser();
  const verify = async (to) => {
    const { token, type } = await world.mailTo(to);
    assert.equal(type, "email_change");
    return dataOf(auth.verifyOtp({ email: to, token, type }));
  };

  assert.equal((await dataOf(auth.updateUser({ email }))).user.new_email, email);
  assert.equal((await verify(user.email)).session, null);
  assert.equal((await world.user(id)).email, user.email);
  assert.equal((await verify(email)).user.email, email);

  assert.equal((await world.user(id)).email, email);
  const other = await world.client();
  await dataOf(other.auth.signInWithPassword({ ...user, email }));
  assert.equal((await errorOf(other.auth.signInWithPassword(user))).code, "invalid_credentials");
});

test("the links of both mails confirm a new address, too", async () => {
  const world = confirmingMock.newWorld();
  const { auth, user, session } = await confirmed(world);
  const { email } = newUser();
  await dataOf(auth.updateUser({ email }));

  const first = await redirectOf((await world.mailTo(email)).link);
  assert.match(first.hash, /^#message=Confirmation\+link\+accepted/);
  assert.equal((await world.user(session.user.id)).email, user.email);
  const second = await redirectOf((await world.mailTo(user.email)).link);

  assert.match(second.hash, /^#access_token=.*type=email_change/);
  assert.equal((await world.user(session.user.id)).email, email);
});

test("resend sends the codes of a new address again", async () => {
  const world = confirmingMock.newWorld();
  const { auth, user } = await confirmed(world);
  const { email } = newUser();
  await dataOf(auth.updateUser({ email }));
  const old = await world.mailTo(email);

  await dataOf(auth.resend({ type: "email_change", email: user.email }));

  const changes = (await world.mails()).filter(({ type }) => type === "email_change");
  assert.deepEqual(changes.map(({ to }) => to), [email, user.email, email, user.email]);
  const { token, type } = old;
  assert.equal((await errorOf(auth.verifyOtp({ email, token, type }))).code, "otp_expired");
});

test("a new phone number is confirmed by the code of a text message", async () => {
  const world = confirmingMock.newWorld();
  const { auth, session } = await confirmed(world);
  const phone = "15550100005";
  await dataOf(auth.updateUser({ phone }));
  assert.equal((await world.user(session.user.id)).phone, "");

  const { token } = await world.mailTo(phone);
  await dataOf(auth.verifyOtp({ phone, token, type: "phone_change" }));

  assert.equal((await world.user(session.user.id)).phone, phone);
});

test("resend sends the code of a new phone number again", async () => {
  const world = confirmingMock.newWorld();
  const { auth, events } = await world.client();
  const [old, phone] = ["15550100006", "15550100016"];
  await dataOf(auth.signInWithOtp({ phone: old }));
  const signIn = await world.mailTo(old);
  await dataOf(auth.verifyOtp({ phone: old, token: signIn.token, type: "sms" }));
  await dataOf(auth.updateUser({ phone }));

  await dataOf(auth.resend({ type: "phone_change", phone: old }));

  assert.equal((await world.mails()).filter(({ to }) => to === phone).length, 2);
  const { token } = await world.mailTo(phone);
  const { user } = await dataOf(auth.verifyOtp({ phone, token, type: "phone_change" }));
  assert.equal(user.phone, phone);
  assert.deepEqual(events, ["SIGNED_IN", "USER_UPDATED", "SIGNED_IN"]);
});

test("a phone number counts at once where numbers are confirmed at once", async () => {
  const world = mock.newWorld();
  const { auth, events } = await world.signedIn();

  const { user } = await dataOf(auth.updateUser({ phone: "15550100007" }));

  assert.equal(user.phone, "15550100007");
  assert.deepEqual(events, ["USER_UPDATED"]);
  assert.deepEqual(await world.mails(), []);
});

test("a new password ends the user's other sessions and keeps its own", async () => {
  const world = mock.newWorld();
  const { auth, user } = await world.signedIn();
  const other = await world.client();
  await dataOf(other.auth.signInWithPassword(user));

  await dataOf(auth.updateUser({ password: "a new password" }));

  assert.ok((await dataOf(auth.getUser())).user);
  assert.equal((await errorOf(other.auth.getUser())).name, "AuthSessionMissingError");
  assert.equal((await world.sessions()).length, 1);
});

test("the password of the user and the address of another user are refused", async () => {
  const world = mock.newWorld();
  const { auth, events, user } = await world.signedIn();
  const { user: { email } } = await world.signedIn();

  assert.deepEqual(await errorOf(auth.updateUser({ password: user.password })), {
    name: "AuthApiError", status: 422, code: "same_password",
  });
  assert.deepEqual(await errorOf(auth.updateUser({ email })), {
    name: "AuthApiError", status: 422, code: "email_exists",
  });
  assert.deepEqual(events, []);
});

test("an identity can be linked, listed and unlinked", async () => {
  const world = mock.newWorld();
  const { auth, session } = await world.signedIn();
  const providers = async () => {
    const { identities } = await dataOf(auth.getUserIdentities());
    return identities.map(({ provider }) => provider).sort();
  };
  const options = { queryParams: { user: "ann@example.com" } };
  const { url } = await dataOf(auth.linkIdentity({ provider: "github", options }));
  await redirectOf(url);
  assert.deepEqual(await providers(), ["email", "github"]);

  const { identities } = await dataOf(auth.getUserIdentities());
  const github = identities.find(({ provider }) => provider === "github");
  assert.equal(github.identity_data.email, "ann@example.com");
  await dataOf(auth.unlinkIdentity(github));

  assert.deepEqual(await providers(), ["email"]);
  assert.equal((await world.user(session.user.id)).identities.length, 1);
  const [only] = (await dataOf(auth.getUserIdentities())).identities;
  assert.deepEqual(await errorOf(auth.unlinkIdentity(only)), {
    name: "AuthApiError", status: 422, code: "single_identity_not_deletable",
  });
});
