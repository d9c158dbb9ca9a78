// After a logout no cookie of the session is left, whatever its format, its domain and its path.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  assertNoSessionLeft, authCookies, logOut, openTab, waitForText, sessionOf, signIn,
} from "./harness/app.js";
import { startTestApp } from "./harness/test_app.js";

// A text for the user's metadata that is so long that the session needs at least six cookies.
const ABOUT = "x".repeat(6_000);
const DOMAIN = "?domain=example.localhost";
const AT_DOMAIN = ["--cookie-domains", "example.localhost"];
const AT_SHOP = ["--cookie-paths", "/,/shop"];

describe("a logout deletes all cookies of a session that is stored", () => {
  for (const { name, by, page = "/", flags, about } of [
    { name: "in one cookie, that scripts can read", by: "browser" },
    { name: "in one cookie, HttpOnly", by: "server" },
    { name: "in chunks, that scripts can read", by: "browser", about: ABOUT },
    { name: "in chunks, HttpOnly", by: "server", about: ABOUT },
    {
      name: "in chunks, HttpOnly, that do not fit one answer",
      by: "server",
      about: ABOUT,
      flags: ["--set-cookie-budget", "256"],
    },
    { name: "at a parent domain", by: "browser", page: `/${DOMAIN}`, flags: AT_DOMAIN },
    { name: "at a parent domain, HttpOnly", by: "server", page: `/${DOMAIN}`, flags: AT_DOMAIN },
    {
      name: "at a parent domain, in chunks, HttpOnly",
      by: "server",
      page: `/${DOMAIN}`,
      flags: AT_DOMAIN,
      about: ABOUT,
    },
    // The gateway at the root does not get the cookies of a sub-path, so the client sends a bearer
    // token.
    { name: "at a sub-path", by: "browser", page: "/shop/?path=/shop", flags: AT_SHOP },
    {
      name: "at a sub-path, in chunks",
      by: "browser",
      page: "/shop/?path=/shop",
      flags: AT_SHOP,
      about: ABOUT,
    },
    // Scripts cannot read HttpOnly cookies, so the gateway must be below the same path as the cookies.
    {
      name: "at a sub-path, HttpOnly",
      by: "server",
      page: "/shop/?path=/shop&gatewayUrl=/shop",
      flags: AT_SHOP,
    },
    {
      name: "at a sub-path, in chunks, HttpOnly",
      by: "server",
      page: "/shop/?path=/shop&gatewayUrl=/shop",
      flags: AT_SHOP,
      about: ABOUT,
    },
  ]) {
    test(name, async (context) => {
      const testApp = await startTestApp(context, { flags, about });
      const { profile, url, user } = testApp;
      const tab = await openTab(profile, `${url}${page}`);
      await tab.evaluate(() => { document.cookie = "theme=dark; path=/"; });
      await signIn(tab, user, by);
      const session = await sessionOf(profile);
      const cookies = await profile.cookies();
      assert.equal(cookies.length > 4, Boolean(about));
      const readable = await tab.evaluate(() => document.cookie.includes("sb-"));
      assert.equal(readable, by === "browser");

      await logOut(tab, "You are signed out.");

      assert.deepEqual((await profile.cookies()).map((cookie) => cookie.name), ["theme"]);
      await assertNoSessionLeft(testApp, tab, session);
    });
  }
});

test("a sign-out at one host of a domain signs out at all of them", async (context) => {
  const { profile, url, user } = await startTestApp(context, { flags: AT_DOMAIN });
  const tab = await openTab(profile, `${url}/${DOMAIN}`);
  const sibling = await openTab(profile, `${url.replace("app.", "shop.")}/${DOMAIN}`);
  await signIn(tab, user);
  await sibling.reload();
  await waitForText(sibling, "who", `${user.email} is signed in.`);

  await logOut(tab, "You are signed out.");

  await sibling.reload();
  await waitForText(sibling, "who", "Signed out.");
  assert.equal((await sibling.goto(`${new URL(sibling.url()).origin}/private/`)).status(), 401);
  assert.deepEqual(await authCookies(profile), []);
});

test("one logout ends the sessions of several domains and paths and deletes their cookies", async (context) => {
  const flags = [...AT_DOMAIN, ...AT_SHOP];
  const { mock, profile, url, user } = await startTestApp(context, { flags });
  const tab = await openTab(profile, url);
  for (const page of ["/", `/${DOMAIN}`, "/shop/?path=/shop"]) {
    await tab.goto(`${url}${page}`);
    await signIn(tab, user, "server");
  }
  assert.equal((await authCookies(profile)).length, 3);
  await tab.goto(`${url}/shop/?gatewayUrl=/shop`);

  await logOut(tab, "You are signed out.");

  assert.deepEqual(await authCookies(profile), []);
  // The browser sends the cookies of all three sessions, and success means that all of them have ended.
  assert.equal((await mock.sessions()).length, 0);
});
