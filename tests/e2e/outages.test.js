// GoTrue, the gateway or the network is down. The browser must be signed out as far as possible, the
// page must show the true result, and a queued logout must be done later.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually } from "../../clients/js/test/harness.js";
import {
  assertAlive, assertEnded, authCookies, breakGotrue, getSession, sessionStatuses, logOut, openTab,
  waitForText, sessionOf, signIn,
} from "./harness/app.js";
import { newProfile, startTestApp } from "./harness/test_app.js";

const QUEUED = "You are signed out here. Elsewhere it takes until the sign-in service answers.";
const FAILED = "Logging out may have failed, and your session may live on. Try again later.";
const OFFLINE = "Neither the gateway nor GoTrue answered. Log out again once you are online.";

async function assertSignedOutHere(tab, profile) {
  assert.deepEqual(await authCookies(profile), []);
  await tab.reload();
  assert.equal(await getSession(tab), null);
  await waitForText(tab, "who", "Signed out.");
}

describe("while GoTrue is down the browser is signed out, and later the session ends", () => {
  for (const [name, by, fault] of [
    ["GoTrue resets connections", "browser", { kind: "reset" }],
    ["GoTrue answers 503", "server", { kind: "status", status: 503 }],
    ["GoTrue never answers", "browser", { kind: "hang" }],
  ]) {
    test(name, async (context) => {
      const testApp = await startTestApp(context, { flags: ["--upstream-timeout", "2s"] });
      const { mock, profile, url, user } = testApp;
      const tab = await openTab(profile, url);
      await signIn(tab, user, by);
      const other = await openTab(profile, url);
      const session = await sessionOf(profile);
      await breakGotrue(mock, fault);

      await logOut(tab, QUEUED);

      await waitForText(other, "who", "Signed out.");
      await assertSignedOutHere(tab, profile);
      assert.equal((await tab.goto(`${url}/private/`)).status(), 401);
      assert.equal((await mock.sessions()).length, 1);
      await mock.repair();
      await eventually("the session ends", async () => (await mock.sessions()).length === 0);
      await assertEnded(testApp, session);
    });
  }

  test("scope global ends the sessions of all devices", async (context) => {
    const testApp = await startTestApp(context);
    const { mock, profile, url, user } = testApp;
    const device = await newProfile(context);
    const tab = await openTab(profile, `${url}/?scope=global`);
    await signIn(await openTab(device, url), user);
    await signIn(tab, user);
    const elsewhere = await sessionOf(device);
    await breakGotrue(mock, { kind: "reset" });

    await logOut(tab, QUEUED);

    await assertSignedOutHere(tab, profile);
    assert.equal((await mock.sessions()).length, 2);
    await mock.repair();
    await eventually("the sessions end", async () => (await mock.sessions()).length === 0);
    const { user: atGotrue, refresh } = await sessionStatuses(testApp, elsewhere);
    assert.deepEqual([atGotrue, refresh], [403, 400]);
  });
});

test("without a queue, the page says that the logout failed while GoTrue is down", async (context) => {
  const testApp = await startTestApp(context, { durable: false });
  const { mock, profile, url, user } = testApp;
  const tab = await openTab(profile, url);
  await signIn(tab, user);
  const session = await sessionOf(profile);
  await breakGotrue(mock, { kind: "reset" });

  await logOut(tab, FAILED);

  await assertSignedOutHere(tab, profile);
  await mock.repair();
  // The gateway must refuse the token, although GoTrue still accepts it.
  const still = { verify: 401, private: 401, user: 200, refresh: 200 };
  assert.deepEqual(await sessionStatuses(testApp, session), still);
});

test("offline, the browser is signed out and the page says that no server was reached", async (context) => {
  const testApp = await startTestApp(context);
  const { profile, url, user } = testApp;
  const tab = await openTab(profile, url);
  await signIn(tab, user);
  const other = await openTab(profile, url);
  const session = await sessionOf(profile);
  await profile.setOffline(true);

  await logOut(tab, OFFLINE);

  assert.deepEqual(await authCookies(profile), []);
  for (const each of [tab, other]) {
    assert.equal(await getSession(each), null);
    await waitForText(each, "who", "Signed out.");
  }
  await profile.setOffline(false);
  await assertSignedOutHere(tab, profile);
  await assertAlive(testApp, session);
});

describe("while the gateway is down, the page asks the user to try again", () => {
  for (const [by, cookies] of [["browser", []], ["server", ["sb-127-auth-token"]]]) {
    test(`signed in by the ${by}`, async (context) => {
      const testApp = await startTestApp(context);
      const { mock, profile, url, user } = testApp;
      const tab = await openTab(profile, url);
      await signIn(tab, user, by);
      await testApp.stopGateway();

      await logOut(tab, FAILED);

      // The page cannot delete HttpOnly cookies: only the gateway can, and it is down.
      assert.deepEqual(await authCookies(profile), cookies);
      assert.equal((await mock.sessions()).length, 1);
      // The private page must stay closed while the gateway is down.
      assert.equal((await tab.goto(`${url}/private/`)).status(), 503);
    });
  }
});

describe("after a failed logout HttpOnly cookies stay, and the next logout ends the session", () => {
  for (const { name, alg, disconnect, reconnect, message } of [
    {
      name: "offline",
      disconnect: ({ profile }) => profile.setOffline(true),
      reconnect: ({ profile }) => profile.setOffline(false),
      message: OFFLINE,
    },
    {
      name: "GoTrue is down, and only GoTrue can verify tokens",
      alg: "HS256",
      disconnect: ({ mock }) => breakGotrue(mock, { kind: "reset" }),
      reconnect: ({ mock }) => mock.repair(),
      message: FAILED,
    },
  ]) {
    test(name, async (context) => {
      const testApp = await startTestApp(context, { alg });
      const { profile, url, user } = testApp;
      const tab = await openTab(profile, url);
      await signIn(tab, user, "server");
      const session = await sessionOf(profile);
      await disconnect(testApp);
      await logOut(tab, message);
      // HttpOnly cookies must still have the session, because scripts cannot delete them.
      assert.deepEqual(await sessionOf(profile), session);
      await reconnect(testApp);

      await logOut(tab, "You are signed out.");

      await assertSignedOutHere(tab, profile);
      await assertEnded(testApp, session);
    });
  }
});
