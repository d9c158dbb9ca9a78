// Each app, built and driven in Chromium, with the demo's gateway and GoTrue behind it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import {
  aboutToExpire, cookieHeader, sessionOf, startApp, startDemo,
} from "./harness.js";

let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
});

after(() => browser.close());

const at = (tab, path) => tab.waitForURL((url) => url.pathname === path);
// Until the page's scripts have taken over, a click goes nowhere.
const alive = (tab) => tab.waitForLoadState("networkidle");

async function signedIn(context, url) {
  const profile = await browser.newContext();
  context.after(() => profile.close());
  const tab = await profile.newPage();
  await tab.goto(url);
  await alive(tab);
  await tab.getByRole("button", { name: "Sign in" }).click();
  await at(tab, "/private");
  await tab.getByText("Signed in as demo@example.com").waitFor();
  await alive(tab);
  return { profile, tab };
}

async function page(url, cookie = "") {
  const request = { headers: { cookie }, redirect: "manual" };
  const { status, headers } = await fetch(`${url}/private`, request);
  return { status, to: headers.get("Location"), cookies: headers.getSetCookie() };
}

async function assertRedirected(url, cookie) {
  const { status, to } = await page(url, cookie);
  assert.match(String(status), /^30[37]$/);
  assert.equal(to, "/");
}

for (const name of ["nextjs", "sveltekit"]) {
  test(name, async (suite) => {
    const demo = await startDemo(suite);
    const url = await startApp(suite, name, demo);

    await suite.test("whoever is not signed in sees no private page", () => assertRedirected(url));

    await suite.test("a logout ends the session here, at GoTrue, in every tab", async (context) => {
      const { profile, tab } = await signedIn(context, url);
      const other = await profile.newPage();
      await other.goto(`${url}/private`);
      await alive(other);
      const cookies = await profile.cookies();
      const { refresh_token: refreshToken } = sessionOf(cookies);
      assert.equal((await demo.sessions()).length, 1);

      await tab.getByRole("button", { name: "Log out" }).click();

      for (const each of [tab, other]) {
        await at(each, "/");
        assert.equal(new URL(each.url()).search, "");
      }
      assert.deepEqual(await profile.cookies(), []);
      await tab.goto(`${url}/private`);
      await at(tab, "/");
      assert.deepEqual(await demo.sessions(), []);
      assert.equal((await demo.refresh(refreshToken)).error_code, "refresh_token_not_found");
      // Whoever kept the cookies has a token that is good for an hour by itself.
      await assertRedirected(url, cookieHeader(cookies));
    });

    await suite.test("a page refreshes a session; no logout sets its cookies", async (context) => {
      const { profile } = await signedIn(context, url);
      const cookie = aboutToExpire(await profile.cookies());
      const refreshes = () => demo.calls("/token").then((calls) => (
        calls.filter(({ query }) => query.includes("refresh_token")).length
      ));
      const atFirst = await refreshes();

      const csrf = await fetch(`${url}/api/auth/csrf`, { headers: { cookie } });
      const { data } = await csrf.json();
      const token = data.csrf_token;
      const { status, cookies } = await page(url, cookie);
      assert.equal(status, 200);
      assert.ok(cookies.some((line) => line.startsWith("sb-127-auth-token=base64-")));
      assert.equal(await refreshes(), atFirst + 1);

      const answer = await fetch(`${url}/api/auth/logout`, {
        method: "POST",
        headers: {
          Cookie: `${cookie}; sb-csrf-token=${token}`,
          Origin: url,
          "Sec-Fetch-Site": "same-origin",
          "X-CSRF-Token": token,
        },
      });
      assert.equal(answer.headers.get("X-Logout-Outcome"), "revoked");
      assert.ok(csrf.headers.getSetCookie().every((line) => line.startsWith("sb-csrf-token=")));
      const lines = answer.headers.getSetCookie();
      assert.ok(lines.length > 1 && lines.every((line) => line.includes("Max-Age=0")), lines);
      assert.equal(await refreshes(), atFirst + 1);
      assert.deepEqual(await demo.sessions(), []);
    });

    await suite.test("the user is told of a logout that failed", async (context) => {
      const { profile, tab } = await signedIn(context, url);
      await demo.fault({ operation: "logout", kind: "status", status: 503 });
      await tab.getByRole("button", { name: "Log out" }).click();
      await tab.getByText("Other devices may hold on to the session").waitFor();
      assert.deepEqual(await profile.cookies(), []);
    });
  });
}
