// Identity providers in Chromium: the mock's consent page stands for all of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { openAuthPage } from "../harness/auth_page.js";
import { claimsOf } from "../harness/test_app.js";
import { mockOfFile } from "../harness/world.js";

const mock = mockOfFile();

// Signs in as this person on the consent page.
async function consent(tab, email) {
  await tab.getByLabel("E-mail address").fill(email);
  await tab.getByRole("button", { name: "Sign in", exact: true }).click();
}

// Begins a flow whose call navigates away, so that its result may never come.
async function leave(page, method, provider, options) {
  await page.event("INITIAL_SESSION");
  const start = (parameters) => {
    const [name, credentials] = parameters;
    window.auth[name](credentials);
  };
  await page.tab.evaluate(start, [method, { provider, options }]);
}

for (const flow of ["implicit", "pkce"]) {
  test(`a user signs in at a provider's consent page by the ${flow} flow`, async (context) => {
    const world = mock.newWorld();
    const page = await openAuthPage(context, world, flow);
    await leave(page, "signInWithOAuth", "github", { redirectTo: `${page.url}/welcome` });
    await page.tab.waitForURL("**/mock/consent/github?*");

    await consent(page.tab, "ann@example.com");
    await page.event("SIGNED_IN");

    assert.equal(page.tab.url().replace("#", ""), `${page.url}/welcome`);
    const { user, access_token } = await page.session();
    assert.equal(user.email, "ann@example.com");
    assert.equal(claimsOf(access_token).amr[0].method, "oauth");
    assert.deepEqual((await world.user(user.id)).app_metadata.providers, ["github"]);
  });

  test(`the parameter user signs in without a click by the ${flow} flow`, async (context) => {
    const world = mock.newWorld();
    const page = await openAuthPage(context, world, flow);
    const options = { redirectTo: page.url, queryParams: { user: "bob" } };

    await leave(page, "signInWithOAuth", "google", options);
    await page.event("SIGNED_IN");

    assert.equal((await page.session()).user.email, "bob@example.com");
  });

  test(`a user links an identity on the consent page by the ${flow} flow`, async (context) => {
    const world = mock.newWorld();
    const { user: credentials, session } = await world.signedIn();
    const page = await openAuthPage(context, world, flow);
    await page.call("signInWithPassword", credentials);
    await leave(page, "linkIdentity", "github", { redirectTo: `${page.url}/linked` });
    await page.tab.waitForURL("**/mock/consent/github?*");

    await consent(page.tab, "ann@example.com");
    await page.tab.waitForURL(`${page.url}/linked*`);
    await page.event("SIGNED_IN");

    const { identities } = (await page.call("getUserIdentities")).data;
    assert.deepEqual(identities.map(({ provider }) => provider).sort(), ["email", "github"]);
    assert.equal((await page.session()).user.id, session.user.id);
  });
}

test("a user who refuses comes back with an error and without a session", async (context) => {
  const world = mock.newWorld();
  const page = await openAuthPage(context, world, "implicit");
  await leave(page, "signInWithOAuth", "github", { redirectTo: page.url });
  await page.tab.waitForURL("**/mock/consent/github?*");

  await page.tab.getByRole("button", { name: "Refuse" }).click();
  await page.tab.waitForURL(`${page.url}/*`);

  const { error } = await page.call("initialize");
  assert.equal(error.name, "AuthImplicitGrantRedirectError");
  assert.equal(error.message, "The user denied the request");
  assert.equal(await page.session(), null);
  assert.deepEqual(await world.users(), []);
});

test("passkeys are missing in a browser, too", async (context) => {
  const world = mock.newWorld();
  const page = await openAuthPage(context, world, "implicit");
  await page.call("signUp", { email: "ann@example.com", password: "a password" });

  const register = await page.call("registerPasskey");
  const signIn = await page.call("signInWithPasskey");

  for (const [{ error }, kind] of [[register, "registration"], [signIn, "authentication"]]) {
    assert.equal(error.status, 501);
    assert.match(error.message, new RegExp(`^The mock does not have POST /passkeys/${kind}/options\\. `));
  }
});
