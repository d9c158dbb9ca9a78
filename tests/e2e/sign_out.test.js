// A user signs out in a browser. The tests check what is left of the session in the browser, at GoTrue,
// in other tabs and on other devices.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually } from "../../clients/js/test/harness.js";
import {
  ALIVE, ENDED, assertEnded, authCookies, getSession, sessionStatuses, logOut, openTab,
  waitForText, sessionOf, signIn,
} from "./harness/app.js";
import { claimsOf, newProfile, startTestApp } from "./harness/test_app.js";

test("after a sign-out nothing of the session is left", async (context) => {
  const testApp = await startTestApp(context);
  const { mock, profile, url, user } = testApp;
  const [tab, other] = [await openTab(profile, url), await openTab(profile, url)];
  await signIn(tab, user);
  await waitForText(other, "who", `${user.email} is signed in.`);
  const session = await sessionOf(profile);
  assert.equal((await mock.sessions()).length, 1);
  assert.equal((await tab.goto(`${url}/private/`)).status(), 200);
  await tab.goto(url);

  await logOut(tab, "You are signed out.");

  assert.deepEqual(await authCookies(profile), []);
  for (const each of [tab, other]) {
    await waitForText(each, "who", "Signed out.");
    await each.reload();
    assert.equal(await getSession(each), null);
  }
  await assertEnded(testApp, session);
  assert.equal((await tab.goto(`${url}/private/`)).status(), 401);
  assert.deepEqual(await mock.sessions(), []);
  // The gateway must have called GoTrue's logout, and the client library must not.
  assert.deepEqual(await mock.logouts(), ["logout-gateway"]);
});

describe("a logout ends the sessions of its scope, on this device and on another", () => {
  for (const [scope, here, there] of [
    ["local", ENDED, ALIVE], ["others", ALIVE, ENDED], ["global", ENDED, ENDED],
  ]) {
    test(scope, async (context) => {
      const testApp = await startTestApp(context);
      const { profile, url, user } = testApp;
      const device = await newProfile(context);
      const tab = await openTab(profile, `${url}/?scope=${scope}`);
      const elsewhere = await openTab(device, url);
      await signIn(elsewhere, user);
      await signIn(tab, user);
      const sessions = [await sessionOf(profile), await sessionOf(device)];
      // Wait for the next second: the gateway refuses tokens of the logout's second, even of a new sign-in.
      const { iat } = claimsOf(sessions[0].access_token);
      await eventually("the second of the sign-in has passed", () => Date.now() / 1000 > iat + 1);

      await logOut(tab, "You are signed out.");

      if (here === ENDED) assert.deepEqual(await authCookies(profile), []);
      else assert.deepEqual(await sessionOf(profile), sessions[0]);
      await elsewhere.goto(`${url}/private/`);
      const page = there === ALIVE ? "Private page" : '{"error"';
      assert.ok((await elsewhere.textContent("body")).trim().startsWith(page));
      assert.deepEqual(await sessionStatuses(testApp, sessions[0]), here);
      assert.deepEqual(await sessionStatuses(testApp, sessions[1]), there);
    });
  }
});
