// `generateLink` of every type with supabase-js: the link, its code and its hash, without a mail.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newUser } from "../../../clients/js/test/harness.js";
import { dataOf, errorOf, mockOfFile, redirectOf } from "../harness/world.js";

const mock = mockOfFile("--no-autoconfirm");

const REDIRECT = { redirectTo: "http://127.0.0.1:3000/welcome" };

async function confirmedUser(world) {
  const user = newUser();
  await dataOf(world.admin().createUser({ ...user, email_confirm: true }));
  return user;
}

// Follows the link, and resolves to the user whom it signs in.
async function followed(world, link) {
  const { href, hash } = await redirectOf(link);
  assert.ok(href.startsWith(`${REDIRECT.redirectTo}#access_token=`), href);
  const { auth } = await world.client();
  return dataOf(auth.setSession(Object.fromEntries(new URLSearchParams(hash.slice(1)))));
}

for (const { type, params, existing } of [
  { type: "signup", params: { password: "a password" }, existing: false },
  { type: "invite", params: {}, existing: false },
  { type: "magiclink", params: {}, existing: true },
  { type: "recovery", params: {}, existing: true },
]) {
  test(`a link of the type ${type} signs in by address, by code and by hash`, async () => {
    const world = mock.newWorld();
    const verifications = [
      ({ action_link }) => followed(world, action_link),
      async ({ email_otp: token }, { email }) => (
        dataOf((await world.client()).auth.verifyOtp({ email, token, type }))
      ),
      async ({ hashed_token: token_hash }) => (
        dataOf((await world.client()).auth.verifyOtp({ token_hash, type }))
      ),
    ];
    for (const verify of verifications) {
      const { email } = existing ? await confirmedUser(world) : newUser();
      const link = { type, email, ...params, options: REDIRECT };
      const { user, properties } = await dataOf(world.admin().generateLink(link));
      assert.equal(properties.verification_type, type);
      assert.equal(properties.redirect_to, REDIRECT.redirectTo);

      const verified = await verify(properties, { email });

      assert.equal(verified.user.id, user.id);
      assert.ok((await world.user(user.id)).email_confirmed_at);
    }
    assert.deepEqual(await world.mails(), []);
  });
}

test("the links of both types of email_change change the address together", async () => {
  const world = mock.newWorld();
  const { email } = await confirmedUser(world);
  const { email: newEmail } = newUser();
  const linkOf = async (type) => {
    const link = { type, email, newEmail, options: REDIRECT };
    return (await dataOf(world.admin().generateLink(link))).properties.action_link;
  };
  const links = [await linkOf("email_change_current"), await linkOf("email_change_new")];

  const first = await redirectOf(links[0]);
  assert.match(first.hash, /^#message=/);
  const { user } = await followed(world, links[1]);

  assert.equal(user.email, newEmail);
  assert.deepEqual((await world.users()).map((each) => each.email), [newEmail]);
});

test("a link for a new password needs a user with the address", async () => {
  const world = mock.newWorld();
  const link = { type: "recovery", email: newUser().email };

  assert.deepEqual(await errorOf(world.admin().generateLink(link)), {
    name: "AuthApiError", status: 404, code: "user_not_found",
  });
});

test("a magic link for a new address becomes a sign-up", async () => {
  const world = mock.newWorld();
  const { email } = newUser();
  const link = { type: "magiclink", email, options: REDIRECT };

  const { properties } = await dataOf(world.admin().generateLink(link));

  assert.equal(properties.verification_type, "signup");
  assert.equal((await followed(world, properties.action_link)).user.email, email);
});
