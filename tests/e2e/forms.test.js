// A user signs out with an HTML form in a browser without scripts, and the page shows the result.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually } from "../../clients/js/test/harness.js";
import {
  assertAlive, assertEnded, authCookies, breakGotrue, sessionStatuses, openTab, waitForText,
  sessionOf, signIn,
} from "./harness/app.js";
import { newProfile, startTestApp } from "./harness/test_app.js";

const SIGNED_OUT = "/server/signed-out?from=form";

// Signs a user in at the application's server and opens the sign-out form.
async function signedIn(context, options) {
  const testApp = await startTestApp(context, options);
  const { url, user } = testApp;
  const profile = await newProfile(context, { javaScriptEnabled: false });
  const tab = await openTab(profile, url);
  await signIn(tab, user, "server");
  // Prove that scripts are disabled: a script of the page would have filled this element.
  assert.equal(await tab.textContent("#who"), "");
  await tab.goto(`${url}/server/sign-out`);
  return { ...testApp, profile, tab, session: await sessionOf(profile) };
}

// Submits the form; asserts that the gateway redirects to the form's target with `query` added.
async function submit({ tab, url, proxyRequests }, query, message) {
  await tab.getByRole("button", { name: "Sign out" }).click();
  await tab.waitForURL(`${url}${SIGNED_OUT}${query}`);
  await waitForText(tab, "message", message);
  const logouts = (await proxyRequests()).filter(({ path }) => path === "/logout");
  assert.deepEqual(logouts.map(({ method, status }) => [method, status]), [["POST", 303]]);
}

describe("a form without scripts ends the sessions of its scope", () => {
  for (const [scope, left] of [["local", 1], ["global", 0]]) {
    test(scope, async (context) => {
      const testApp = await signedIn(context);
      const { mock, profile, tab, url, user, session } = testApp;
      await signIn(await openTab(await newProfile(context), url), user);
      await tab.selectOption("[name=scope]", scope);

      await submit(testApp, "", "You are signed out.");

      assert.deepEqual(await authCookies(profile), []);
      await assertEnded(testApp, session);
      assert.equal((await mock.sessions()).length, left);
      assert.deepEqual(await mock.logouts(), ["logout-gateway"]);
      // Without a session the server must show no form.
      await tab.goto(`${url}/server/sign-out`);
      assert.equal(tab.url(), `${url}/`);
    });
  }
});

test("without a queue, the page says that the logout failed while GoTrue is down", async (context) => {
  const testApp = await signedIn(context, { durable: false });
  const { mock, profile, session } = testApp;
  await breakGotrue(mock, { kind: "reset" });

  await submit(testApp, "&logout=failed", "You are signed out here. Your session may live on");

  assert.deepEqual(await authCookies(profile), []);
  await mock.repair();
  // The gateway must refuse the token, although GoTrue still accepts it.
  const still = { verify: 401, private: 401, user: 200, refresh: 200 };
  assert.deepEqual(await sessionStatuses(testApp, session), still);
});

test("while GoTrue is down the browser is signed out at once, and the session ends later", async (context) => {
  const testApp = await signedIn(context);
  const { mock, profile, session } = testApp;
  await breakGotrue(mock, { kind: "reset" });

  await submit(testApp, "", "You are signed out.");

  assert.deepEqual(await authCookies(profile), []);
  assert.equal((await mock.sessions()).length, 1);
  await mock.repair();
  await eventually("the session ends", async () => (await mock.sessions()).length === 0);
  await assertEnded(testApp, session);
});

describe("a form with a wrong CSRF token ends no session, and the page says so", () => {
  for (const [name, changeToken] of [
    ["a made-up token", ({ tab }) => (
      tab.locator("[name=csrf_token]").evaluate((input) => { input.value = "made up"; })
    )],
    ["no token", ({ tab }) => tab.locator("[name=csrf_token]").evaluate((input) => input.remove())],
    ["the token of an earlier session", async ({ mock, profile, url, user }) => {
      const [{ id }] = await mock.sessions();
      await signIn(await openTab(profile, url), user, "server");
      await mock.endSession(id);
    }],
  ]) {
    test(name, async (context) => {
      const testApp = await signedIn(context);
      const { mock, profile } = testApp;
      await changeToken(testApp);
      const cookies = await profile.cookies();
      const session = await sessionOf(profile);

      await submit(testApp, "&logout=refused", "You are still signed in.");

      assert.deepEqual(await profile.cookies(), cookies);
      assert.deepEqual(await mock.logouts(), []);
      await assertAlive(testApp, session);
    });
  }
});
