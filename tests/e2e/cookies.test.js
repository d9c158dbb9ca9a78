// Whatever the session's cookies look like, and wherever they are: after a logout there are none.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  assertOver, authCookies, logOut, openTab, reads, sessionOf, signIn,
} from "./harness/app.js";
import { stage } from "./harness/stage.js";

// Much user metadata: a session of six cookies and more.
const ABOUT = "x".repeat(6_000);
const DOMAIN = "?domain=example.localhost";
const AT_DOMAIN = ["--cookie-domains", "example.localhost"];
const AT_SHOP = ["--cookie-paths", "/,/shop"];

describe("no auth cookie is left of a session", () => {
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
    // The gateway at the root does not see these: the client sends a Bearer.
    { name: "at a sub-path", by: "browser", page: "/shop/?path=/shop", flags: AT_SHOP },
    {
      name: "at a sub-path, in chunks",
      by: "browser",
      page: "/shop/?path=/shop",
      flags: AT_SHOP,
      about: ABOUT,
    },
    // Nobody else could read these: the gateway is below that path too.
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
      const scene = await stage(context, { flags, about });
      const { profile, url, user } = scene;
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
      await assertOver(scene, tab, session);
    });
  }
});

test("a sign-out at one host of a domain is one at all of them", async (context) => {
  const { profile, url, user } = await stage(context, { flags: AT_DOMAIN });
  const tab = await openTab(profile, `${url}/${DOMAIN}`);
  const sibling = await openTab(profile, `${url.replace("app.", "shop.")}/${DOMAIN}`);
  await signIn(tab, user);
  await sibling.reload();
  await reads(sibling, "who", `${user.email} is signed in.`);

  await logOut(tab, "You are signed out.");

  await sibling.reload();
  await reads(sibling, "who", "Signed out.");
  assert.equal((await sibling.goto(`${new URL(sibling.url()).origin}/private/`)).status(), 401);
  assert.deepEqual(await authCookies(profile), []);
});

test("cookies of several scopes go all at once", async (context) => {
  const flags = [...AT_DOMAIN, ...AT_SHOP];
  const { mock, profile, url, user } = await stage(context, { flags });
  const tab = await openTab(profile, url);
  for (const page of ["/", `/${DOMAIN}`, "/shop/?path=/shop"]) {
    await tab.goto(`${url}${page}`);
    await signIn(tab, user, "server");
  }
  assert.equal((await authCookies(profile)).length, 3);
  await tab.goto(`${url}/shop/?gatewayUrl=/shop`);

  await logOut(tab, "You are signed out.");

  assert.deepEqual(await authCookies(profile), []);
  // The session of the longest path is the one that the browser sends first. The others live on.
  assert.equal((await mock.sessions()).length, 2);
});
