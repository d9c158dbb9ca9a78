// The code of docs/frontend.md for a form without script, and for a page that no server renders.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { startServer } from "../../clients/js/test/harness.js";
import { assertEnded, authCookies, openTab, sessionOf, signIn } from "./harness/app.js";
import { logoutFormFor } from "./harness/documented.js";
import { newProfile, startTestApp } from "./harness/test_app.js";

describe("a click on the button ends the session", () => {
  for (const [name, path, target, options] of [
    ["of the form, without scripts", "form", "/goodbye", { javaScriptEnabled: false }],
    ["of the page with the client", "script", "/", {}],
  ]) {
    test(name, async (context) => {
      const testApp = await startTestApp(context);
      const { mock, url, user } = testApp;
      const profile = await newProfile(context, options);
      const tab = await openTab(profile, url);
      await signIn(tab, user, "server");
      const session = await sessionOf(profile);
      await tab.goto(`${url}/server/documented/${path}`);

      await tab.getByRole("button", { name: "Log out" }).click();

      await tab.waitForURL(`${url}${target}`);
      assert.deepEqual(await authCookies(profile), []);
      assert.deepEqual(await mock.logouts(), ["logout-gateway"]);
      await assertEnded(testApp, session);
    });
  }
});

test("a page without a session has no form, and no cookie", async (context) => {
  const { profile, url } = await startTestApp(context);
  const tab = await openTab(profile, `${url}/server/documented/form`);
  assert.equal(await tab.textContent("p"), "You are not signed in.");
  assert.equal(await tab.locator("form").count(), 0);
  assert.deepEqual(await profile.cookies(), []);
});

test("the form's function throws if the gateway does not issue a token", async (context) => {
  const { url } = await startServer(context, (request, response) => response.writeHead(503).end());
  await assert.rejects(logoutFormFor(url)("sb-127-auth-token=any"), { message: "csrf answered 503" });
});
