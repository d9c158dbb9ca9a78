// The application in a frame of another site. There browsers ignore cookies with `SameSite=Lax`, and cookies
// with `Partitioned` are those of this frame alone: the application in a tab of its own does not get them.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  assertAlive, assertEnded, authCookies, openTab, sessionOf, signIn, waitForText,
} from "./harness/app.js";
import { newAccount, newLenientProfile, newProfile, startTestApp } from "./harness/test_app.js";

const SAME_SITE_NONE = "/?sameSite=none&secure=true";
const PARTITIONED = `${SAME_SITE_NONE}&partitioned=true`;
const FOR_PARTITIONED = ["--cookie-partitioned", "true"];
const FOR_SAME_SITE_NONE = ["--cookie-samesite", "none"];

const BROWSERS = {
  "a browser that blocks third-party cookies": newProfile,
  "a browser that allows third-party cookies": newLenientProfile,
};

const isOfFrame = ({ partitionKey }) => partitionKey?.startsWith("https://shop.test");
const tabCookies = async (profile) => (await profile.cookies()).filter((cookie) => !isOfFrame(cookie));
const frameCookies = async (profile) => (await profile.cookies()).filter(isOfFrame);
const sessionOfFrame = (profile) => sessionOf({ cookies: () => frameCookies(profile) });

// Resolves to the frame, in a page of another site, that shows the application.
async function openFrame({ shopUrl, secureUrl }, profile, page) {
  const app = encodeURIComponent(`${secureUrl}${page}`);
  const shop = await openTab(profile, `${shopUrl}?app=${app}`);
  return shop.frames()[1];
}

async function signInInFrame(frame, { email, password }, by = "browser") {
  await frame.fill("[name=email]", email);
  await frame.fill("[name=password]", password);
  if (by === "server") {
    await Promise.all([frame.waitForNavigation(), frame.click("#by-server")]);
  } else {
    await frame.click("#by-browser");
    await waitForText(frame, "who", `${email} is signed in.`);
  }
}

// The ways to log out in the frame. Each waits until the page says that the user is signed out.
const LOGOUTS = {
  async "the client"(frame) {
    await frame.click("#log-out");
    await waitForText(frame, "message", "You are signed out.");
  },
  async "a form"(frame, { secureUrl }) {
    await frame.goto(`${secureUrl}/server/sign-out`);
    await frame.getByRole("button", { name: "Sign out" }).click();
    await frame.waitForURL(`${secureUrl}/server/signed-out?from=form`);
    await waitForText(frame, "message", "You are signed out.");
  },
};

async function assertSignedIn(tab, { email }) {
  await tab.reload();
  await waitForText(tab, "who", `${email} is signed in.`);
}

async function assertSignedOut({ mock, secureUrl }, frame, page, users = []) {
  await frame.goto(`${secureUrl}${page}`);
  await waitForText(frame, "who", "Signed out.");
  assert.deepEqual((await mock.sessions()).map(({ email }) => email), users);
}

// Starts the application with a user who is signed in in a tab. By default the cookies of the tab are those that
// the library sets without options.
async function startWithTab(context, newBrowser, { flags = FOR_PARTITIONED, page = "/" } = {}) {
  const testApp = await startTestApp(context, { flags });
  const profile = await newBrowser(context);
  const tab = await openTab(profile, `${testApp.secureUrl}${page}`);
  const tabUser = await newAccount(testApp.mock);
  await signIn(tab, tabUser);
  return { ...testApp, profile, tab, tabUser, tabSession: await sessionOf(profile) };
}

for (const [browser, newBrowser] of Object.entries(BROWSERS)) {
  describe(`in ${browser}, a logout ends the session of partitioned cookies, and not that of the tab`, () => {
    for (const by of ["browser", "server"]) {
      for (const [name, logOut] of Object.entries(LOGOUTS)) {
        test(`signed in at the ${by}, logged out by ${name}`, async (context) => {
          const testApp = await startWithTab(context, newBrowser);
          const { profile, tab, tabUser, tabSession, user, mock } = testApp;
          const before = await tabCookies(profile);
          const frame = await openFrame(testApp, profile, PARTITIONED);
          await signInInFrame(frame, user, by);
          const cookies = await frameCookies(profile);
          assert.deepEqual(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite]), [
            [by === "server", "None"],
          ]);
          assert.deepEqual(await tabCookies(profile), before);
          assert.equal((await mock.sessions()).length, 2);
          const session = await sessionOfFrame(profile);

          await logOut(frame, testApp);

          assert.deepEqual(await frameCookies(profile), []);
          assert.deepEqual(await tabCookies(profile), before);
          await assertSignedOut(testApp, frame, PARTITIONED, [tabUser.email]);
          await assertEnded(testApp, session);
          await assertSignedIn(tab, tabUser);
          await assertAlive(testApp, tabSession);
        });
      }
    }

    test("the client deletes the frame's cookies by itself if the gateway does not answer", async (context) => {
      const testApp = await startWithTab(context, newBrowser);
      const { profile, tab, tabUser, user } = testApp;
      // Without `SameSite=None` the frame does not get this cookie, so the client must leave it alone.
      await tab.evaluate(() => { document.cookie = "sb-access-token=tab; path=/; secure"; });
      const before = await tabCookies(profile);
      const frame = await openFrame(testApp, profile, PARTITIONED);
      await signInInFrame(frame, user);
      await frame.evaluate(() => ["sb-access-token", "sb-csrf-token", "theme"].forEach((name) => {
        document.cookie = `${name}=frame; path=/; samesite=none; secure; partitioned`;
      }));
      assert.equal((await frameCookies(profile)).length, 4);
      await frame.page().route("**/api/auth/*", (route) => route.abort());

      await frame.click("#log-out");

      await waitForText(frame, "message", "Neither the gateway nor GoTrue answered.");
      assert.deepEqual((await frameCookies(profile)).map(({ name }) => name), ["theme"]);
      assert.deepEqual(await tabCookies(profile), before);
      await assertSignedIn(tab, tabUser);
    });
  });
}

describe("in a frame with cookies of SameSite=None that are not partitioned, a logout also signs the tab out", () => {
  for (const [name, logOut] of Object.entries(LOGOUTS)) {
    test(`by ${name}`, async (context) => {
      const testApp = await startTestApp(context, { flags: FOR_SAME_SITE_NONE });
      const { secureUrl, user } = testApp;
      const profile = await newLenientProfile(context);
      const frame = await openFrame(testApp, profile, SAME_SITE_NONE);
      await signInInFrame(frame, user, "server");
      const session = await sessionOf(profile);
      const tab = await openTab(profile, `${secureUrl}/private/plain`);
      assert.match(await tab.textContent("p"), /^Private page of /);

      await logOut(frame, testApp);

      assert.deepEqual(await authCookies(profile), []);
      assert.equal((await tab.reload()).status(), 401);
      await assertSignedOut(testApp, frame, SAME_SITE_NONE);
      await assertEnded(testApp, session);
    });
  }

  test("the client deletes the cookies by itself if the gateway does not answer", async (context) => {
    const testApp = await startTestApp(context, { flags: FOR_SAME_SITE_NONE });
    const profile = await newLenientProfile(context);
    const frame = await openFrame(testApp, profile, SAME_SITE_NONE);
    await signInInFrame(frame, testApp.user);
    await frame.evaluate(() => { document.cookie = "sb-csrf-token=x; path=/; samesite=none; secure"; });
    await frame.page().route("**/api/auth/*", (route) => route.abort());

    await frame.click("#log-out");

    await waitForText(frame, "message", "Neither the gateway nor GoTrue answered.");
    assert.deepEqual(await authCookies(profile), []);
  });
});

test("a frame whose requests carry the cookies of the tab too ends both sessions with one logout", async (context) => {
  const flags = [...FOR_PARTITIONED, ...FOR_SAME_SITE_NONE];
  const testApp = await startWithTab(context, newLenientProfile, { flags, page: SAME_SITE_NONE });
  const { profile, tab, tabSession, user } = testApp;
  const frame = await openFrame(testApp, profile, PARTITIONED);
  await signInInFrame(frame, user);
  const session = await sessionOfFrame(profile);

  await LOGOUTS["the client"](frame);

  assert.deepEqual(await authCookies(profile), []);
  await assertSignedOut(testApp, frame, PARTITIONED);
  await tab.reload();
  await waitForText(tab, "who", "Signed out.");
  await assertEnded(testApp, session);
  await assertEnded(testApp, tabSession);
});
