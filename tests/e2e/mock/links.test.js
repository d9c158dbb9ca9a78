// The links of mails, opened in Chromium: they lead back to a page that detects the session in its URL.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newUser } from "../../../clients/js/test/harness.js";
import { openAuthPage } from "../harness/auth_page.js";
import { claimsOf } from "../harness/test_app.js";
import { dataOf, mockOfFile } from "../harness/world.js";

const mock = mockOfFile();
const confirmingMock = mockOfFile("--no-autoconfirm");

const FLOWS = ["implicit", "pkce"];

// Opens the link of the latest mail in the page's tab.
async function openLink(world, page, email) {
  const { link } = await world.mailTo(email);
  await page.tab.goto(link);
  assert.ok(page.tab.url().startsWith(`${page.url}/`), page.tab.url());
}

for (const flow of FLOWS) {
  test(`a magic link signs the page in by the ${flow} flow`, async (context) => {
    const world = mock.newWorld();
    const { user: { email }, session } = await world.signedIn();
    const page = await openAuthPage(context, world, flow);
    const options = { emailRedirectTo: `${page.url}/welcome?from=mail` };
    await dataOf(page.call("signInWithOtp", { email, options }));

    await openLink(world, page, email);
    await page.event("SIGNED_IN");

    assert.equal((await page.session()).user.id, session.user.id);
    assert.equal((await world.sessions()).length, 2);
    // The client has removed the tokens or the code from the URL.
    assert.equal(page.tab.url().replace("#", ""), options.emailRedirectTo);
    await page.tab.reload();
    assert.equal((await page.session()).user.id, session.user.id);
  });

  test(`the link of a sign-up confirms and signs the page in by the ${flow} flow`, async (context) => {
    const world = confirmingMock.newWorld();
    const page = await openAuthPage(context, world, flow);
    const user = newUser();
    const options = { emailRedirectTo: page.url };
    assert.equal((await dataOf(page.call("signUp", { ...user, options }))).session, null);

    await openLink(world, page, user.email);
    await page.event("SIGNED_IN");

    const { user: confirmed } = await page.session();
    assert.ok((await world.user(confirmed.id)).email_confirmed_at);
  });

  test(`the link of a forgotten password begins a recovery by the ${flow} flow`, async (context) => {
    const world = mock.newWorld();
    const { user: { email } } = await world.signedIn();
    const page = await openAuthPage(context, world, flow);
    const options = { redirectTo: page.url };
    await dataOf(page.call("resetPasswordForEmail", email, options));

    await openLink(world, page, email);
    await page.event("PASSWORD_RECOVERY");
    const password = "a new password";
    await dataOf(page.call("updateUser", { password }));

    const { auth } = await world.client();
    await dataOf(auth.signInWithPassword({ email, password }));
  });

  test(`the links of a new address change it by the ${flow} flow`, async (context) => {
    const world = confirmingMock.newWorld();
    const user = newUser();
    const created = world.admin().createUser({ ...user, email_confirm: true });
    const { user: { id } } = await dataOf(created);
    const page = await openAuthPage(context, world, flow);
    await dataOf(page.call("signInWithPassword", user));
    const { email } = newUser();
    await dataOf(page.call("updateUser", { email }, { emailRedirectTo: page.url }));

    await openLink(world, page, user.email);
    assert.equal((await world.user(id)).email, user.email);
    await openLink(world, page, email);
    await page.event("SIGNED_IN");

    assert.equal((await world.user(id)).email, email);
    assert.equal(claimsOf((await page.session()).access_token).email, email);
  });
}

test("a link that is opened again leads back with an error and begins no session", async (context) => {
  const world = mock.newWorld();
  const { user: { email } } = await world.signedIn();
  const page = await openAuthPage(context, world, "implicit");
  const options = { emailRedirectTo: page.url };
  await dataOf(page.call("signInWithOtp", { email, options }));
  await openLink(world, page, email);
  await page.event("SIGNED_IN");
  await dataOf(page.call("signOut", { scope: "local" }));

  await openLink(world, page, email);

  const { error } = await page.call("initialize");
  assert.equal(error.name, "AuthImplicitGrantRedirectError");
  assert.match(error.message, /Email link is invalid or has expired/);
  assert.equal(await page.session(), null);
});
