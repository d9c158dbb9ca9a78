// Each app, built and driven in Chromium, with the demo's gateway and GoTrue behind it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import {
  aboutToExpire, cookieHeader, eventually, sessionOf, startApp, startDemo,
} from "./harness.js";
import { testRefreshPage } from "./refresh_page.js";

const CHROMIUM = { executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] };

let browser;
let keeper;

before(async () => {
  browser = await chromium.launch(CHROMIUM);
  // Users' browsers keep the pages that were left, alive; the driver switches that off.
  const ignoreDefaultArgs = ["--disable-back-forward-cache"];
  keeper = await chromium.launch({ ...CHROMIUM, ignoreDefaultArgs });
});

after(() => Promise.all([browser.close(), keeper.close()]));

const at = (tab, path) => tab.waitForURL((url) => url.pathname === path);
// Until the page's scripts have taken over, a click goes nowhere.
const alive = (tab) => tab.waitForLoadState("networkidle");

async function signedIn(context, url, by = browser) {
  const profile = await by.newContext();
  context.after(() => profile.close());
  const tab = await profile.newPage();
  await tab.addInitScript(() => {
    addEventListener("pagehide", () => { window.shown = null; });
    addEventListener("pageshow", ({ persisted }) => {
      window.shown = { persisted, text: document.body.innerText };
    });
  });
  await tab.goto(url);
  await alive(tab);
  await tab.getByRole("button", { name: "Sign in" }).click();
  await at(tab, "/private");
  await tab.getByText("Signed in as demo@example.com").waitFor();
  await alive(tab);
  return { profile, tab };
}

// What back leads to: what it says, and whether the browser had kept that very page.
async function back(tab) {
  await alive(tab);
  const moved = tab.waitForEvent("framenavigated");
  await tab.evaluate(() => { history.back(); });
  await moved;
  return eventually("a page is shown", () => tab.evaluate(() => window.shown).catch(() => null));
}

async function page(url, cookie = "", path = "/private") {
  const request = { headers: { cookie }, redirect: "manual" };
  const { status, headers } = await fetch(`${url}${path}`, request);
  const [to, kept] = [headers.get("Location"), headers.get("Cache-Control")];
  return { status, to, kept, cookies: headers.getSetCookie() };
}

async function assertRedirected(url, cookie) {
  const { status, to } = await page(url, cookie);
  assert.match(String(status), /^30[37]$/);
  assert.equal(to, "/");
}

// What @supabase/ssr asks for.
const KEPT_WITH_FRESH_COOKIES = "private, no-cache, no-store, must-revalidate, max-age=0";

// What the router in the browser asks for instead of the page.
const DATA = {
  nextjs: { path: "/private", headers: { RSC: "1" } },
  sveltekit: { path: "/private/__data.json", headers: {} },
};

async function data(url, name, cookie) {
  const { path, headers } = DATA[name];
  const answer = await fetch(`${url}${path}`, { headers: { ...headers, cookie } });
  return { kept: answer.headers.get("Cache-Control"), text: await answer.text() };
}

for (const name of Object.keys(DATA)) {
  test(name, async (suite) => {
    const demo = await startDemo(suite);
    const url = await startApp(suite, name, demo);

    await suite.test("a visitor who is not signed in sees no private page", () => assertRedirected(url));

    await suite.test("a logout ends the session here, at GoTrue, in every tab", async (context) => {
      const { profile, tab } = await signedIn(context, url);
      const other = await profile.newPage();
      await other.goto(`${url}/private`);
      await alive(other);
      const cookies = await profile.cookies();
      const { refresh_token: refreshToken } = sessionOf(cookies);
      assert.equal((await demo.sessions()).length, 1);
      const { kept, text } = await data(url, name, cookieHeader(cookies));
      assert.match(kept, /no-store/);
      assert.match(text, /demo@example\.com/);

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
      // The token in a copy of the cookies has not expired: only verify knows that its session has ended.
      await assertRedirected(url, cookieHeader(cookies));
      assert.doesNotMatch((await data(url, name, cookieHeader(cookies))).text, /demo@example\.com/);
    });

    for (const keeps of [true, false]) {
      const who = keeps ? "a browser that keeps pages alive" : "a browser that keeps none";
      await suite.test(`${who} shows no private page again after a logout`, async (context) => {
        const { tab } = await signedIn(context, url, keeps ? keeper : browser);
        await tab.goto(url);
        // Else what follows would say nothing.
        const whileSignedIn = await back(tab);
        assert.equal(whileSignedIn.persisted, keeps);
        assert.match(whileSignedIn.text, /Signed in as/);
        await alive(tab);

        await tab.getByRole("button", { name: "Log out" }).click();
        await at(tab, "/");
        const { text } = await back(tab);
        assert.doesNotMatch(text, /Signed in as/);
        await at(tab, "/");
      });
    }

    await suite.test("every page refreshes a session; no logout sets its cookies", async (context) => {
      const { profile } = await signedIn(context, url);
      const cookie = aboutToExpire(await profile.cookies());
      const refreshes = () => demo.calls("/token").then((calls) => (
        calls.filter(({ query }) => query.includes("refresh_token")).length
      ));
      const atFirst = await refreshes();

      const csrf = await fetch(`${url}/api/auth/csrf`, { headers: { cookie } });
      const token = (await csrf.json()).data.csrf_token;
      // Where a form posts, whether the app passes it on or not.
      const form = await fetch(`${url}/logout`, { method: "POST", headers: { cookie } });
      assert.deepEqual(form.headers.getSetCookie(), []);
      assert.equal(await refreshes(), atFirst);
      // One does not ask who is signed in.
      for (const path of ["/", "/private"]) {
        const { status, kept, cookies } = await page(url, cookie, path);
        assert.equal(status, 200);
        assert.equal(kept, KEPT_WITH_FRESH_COOKIES);
        assert.ok(cookies.some((line) => line.startsWith("sb-127-auth-token=base64-")), path);
      }
      assert.equal(await refreshes(), atFirst + 2);

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
      assert.equal(await refreshes(), atFirst + 2);
      assert.deepEqual(await demo.sessions(), []);
    });

    await suite.test("the user is told of a logout that failed", async (context) => {
      const { profile, tab } = await signedIn(context, url);
      await demo.fault({ operation: "logout", kind: "status", status: 503 });
      await tab.getByRole("button", { name: "Log out" }).click();
      await tab.getByText("Other devices may hold on to the session").waitFor();
      assert.deepEqual(await profile.cookies(), []);
    });

    // Only this app has such a page.
    if (name === "nextjs") await suite.test("the page that refreshes a session", testRefreshPage);
  });
}
