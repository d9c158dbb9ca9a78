// The page of `logout-gateway demo`, clicked through. Pictures of its states stay in artefacts/.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { eventually, start } from "../../clients/js/test/harness.js";
import { authCookies, openTab, reads } from "./harness/app.js";
import { newProfile } from "./harness/stage.js";

const picture = (tab, name) => tab.screenshot({
  fullPage: true,
  path: fileURLToPath(new URL(`artefacts/demo-${name}.png`, import.meta.url)),
});

async function openDemo(context) {
  const url = await start(context, ["demo", "--bind", "127.0.0.1:0"], "The page");
  const profile = await newProfile(context);
  const tab = await openTab(profile, url);
  // Its script fills in the form once it listens.
  await eventually("the page is ready", () => tab.inputValue("#email"));
  return tab;
}

const showsSessions = (tab, count) => eventually(`${count} sessions are shown`, async () => (
  await tab.locator("#sessions code").count() === count
));
const idle = (tab) => eventually("the page is done", () => (
  tab.evaluate(() => !document.body.hasAttribute("aria-busy"))
));

async function signIn(tab, button = "Sign in") {
  await tab.getByRole("button", { name: button, exact: true }).click();
  await reads(tab, "who", "demo@example.com is signed in.");
  await idle(tab);
}

async function logOut(tab, { scope = "local", credential = "cookie" }, told) {
  await tab.check(`[name=scope][value=${scope}]`);
  await tab.check(`[name=credential][value=${credential}]`);
  await tab.locator("#logout .primary").click();
  await reads(tab, "summary", told);
  await idle(tab);
}

const breakGotrue = async (tab) => {
  await tab.click("#gotrue-switch");
  await reads(tab, "gotrue-status", "GoTrue is switched off");
  await idle(tab);
};

test("before anything is done", async (context) => {
  const tab = await openDemo(context);
  await reads(tab, "who", "Nobody is signed in.");
  await picture(tab, "start");
});

test("signed in", async (context) => {
  const tab = await openDemo(context);
  await signIn(tab);
  await showsSessions(tab, 1);
  assert.deepEqual(await authCookies(tab.context()), ["sb-127-auth-token"]);
  await picture(tab, "signed-in");
});

describe("after a logout", () => {
  for (const { name, other, broken, twice, asked = {}, told, sessions = 0, cookies = 0 } of [
    {
      name: "signed out",
      told: "Logged out: GoTrue ended this session. 2 cookies went, 1 session ended.",
    },
    {
      name: "signed out everywhere",
      other: true,
      asked: { scope: "global" },
      told: "Logged out: GoTrue ended every session. 2 cookies went, 2 sessions ended.",
    },
    {
      name: "others signed out",
      other: true,
      asked: { scope: "others" },
      told: "Logged out: GoTrue ended the other sessions.",
      sessions: 1,
      cookies: 2,
    },
    {
      name: "failed, GoTrue down",
      broken: true,
      told: "The logout failed, and the gateway says so instead of pretending. 2 cookies went, 0",
      sessions: 1,
    },
    {
      name: "refused, no CSRF token",
      asked: { credential: "cookie-only" },
      told: "Refused, nothing touched: no CSRF token. 0 cookies went, 0 sessions ended.",
      sessions: 1,
      cookies: 1,
    },
    {
      name: "nothing left to end",
      twice: true,
      asked: { credential: "bearer" },
      told: "Nothing was left to end: it was over.",
    },
  ]) {
    test(name, async (context) => {
      const tab = await openDemo(context);
      if (other) await tab.getByRole("button", { name: "Sign in on another device" }).click();
      if (other) await reads(tab, "sign-in-status", "demo@example.com is signed in on another");
      await signIn(tab);
      if (broken) await breakGotrue(tab);
      if (twice) await logOut(tab, asked, "Logged out");

      await logOut(tab, asked, told);

      await showsSessions(tab, sessions);
      assert.equal((await authCookies(tab.context())).length, cookies);
      await picture(tab, name.replaceAll(/\W+/g, "-"));
    });
  }
});

test("narrow and dark, after a sign-up with chunks", async (context) => {
  const tab = await openDemo(context);
  await tab.emulateMedia({ colorScheme: "dark" });
  await tab.setViewportSize({ width: 375, height: 800 });
  await tab.fill("#email", "ada@example.com");
  await tab.check("#large");
  await tab.getByRole("button", { name: "Sign up" }).click();
  await reads(tab, "who", "ada@example.com is signed in.");
  await idle(tab);
  assert.ok((await authCookies(tab.context())).length > 4);

  await logOut(tab, {}, "Logged out");

  assert.deepEqual(await authCookies(tab.context()), []);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false);
  await picture(tab, "narrow-dark");
});
