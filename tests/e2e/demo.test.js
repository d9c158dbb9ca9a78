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

// With the client, unless another credential is asked for.
async function logOut(tab, { scope = "local", credential, path }, told) {
  await tab.check(`[name=scope][value=${scope}]`);
  if (credential) await tab.check(`[name=credential][value=${credential}]`);
  if (path) await tab.check(`[name=path][value="${path}"]`);
  await tab.locator("#logout .primary").click();
  await reads(tab, "summary", told);
  await idle(tab);
}

const reportOf = async (tab) => (await tab.locator("#report").textContent()).split("\n");

const COOKIES = "2 cookies (sb-127-auth-token, sb-csrf-token)";
const ANSWERED = { "X-Request-Id": "01234567-89ab-cdef-0123-456789abcdef" };
// The demo's store is memory, in which nothing waits.
const QUEUED = { ...ANSWERED, "X-Logout-Outcome": "queued" };

const breakGotrue = async (tab) => {
  await tab.click("#gotrue-switch");
  await reads(tab, "gotrue-status", "GoTrue is switched off");
  await idle(tab);
};

test("before anything is done", async (context) => {
  const tab = await openDemo(context);
  await reads(tab, "who", "Nobody is signed in.");
  assert.equal(await tab.isChecked("#with-client"), true);
  assert.equal(await tab.isVisible("#routes"), false);
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
  for (const {
    name, other, broken, routed, answer, twice, asked = {}, told, report, sessions = 0, cookies = 0,
  } of [
    {
      name: "signed out",
      told: "Logged out: GoTrue ended this session. 2 cookies went, 1 session ended.",
      report: ["revoked, 200", "1 of 1 session (this browser)", COOKIES],
    },
    {
      name: "signed out everywhere",
      other: true,
      asked: { scope: "global" },
      told: "Logged out: GoTrue ended every session. 2 cookies went, 2 sessions ended.",
      report: ["revoked, 200", "2 of 2 sessions (another device, this browser)", COOKIES],
    },
    {
      name: "others signed out",
      other: true,
      asked: { scope: "others" },
      told: "Logged out: GoTrue ended the other sessions.",
      report: ["revoked, 200", "1 of 2 sessions (another device)", "0 cookies"],
      sessions: 1,
      cookies: 2,
    },
    {
      name: "failed, GoTrue down",
      broken: true,
      told: "The logout failed, and the gateway says so instead of pretending. 2 cookies went, 0",
      report: ["failed, 500", "0 of 1 session", COOKIES],
      sessions: 1,
    },
    {
      name: "gateway down, signed out here alone",
      routed: /auth\/(csrf|logout)/,
      answer: (route) => route.abort(),
      told: "No gateway answered: the session may live on. 1 cookie went, 0 sessions ended.",
      report: ["offline, no answer", "0 of 1 session", "1 cookie (sb-127-auth-token)"],
      sessions: 1,
    },
    {
      name: "no gateway but a proxy answers",
      routed: /auth\/logout/,
      answer: (route) => route.fulfill({ status: 502 }),
      told: "No gateway answered: the session may live on. 2 cookies went, 0 sessions ended.",
      report: ["failed, 502", "0 of 1 session", COOKIES],
      sessions: 1,
    },
    {
      name: "queued, GoTrue down",
      routed: /auth\/logout/,
      answer: (route) => route.fulfill({ status: 202, headers: QUEUED }),
      told: "Logged out here: GoTrue is asked once it answers. 2 cookies went, 0 sessions ended.",
      report: ["queued, 202", "0 of 1 session", COOKIES],
      sessions: 1,
    },
    {
      name: "refused to the client",
      routed: /auth\/csrf/,
      answer: (route) => route.fulfill({ status: 403, headers: ANSWERED }),
      told: "The logout failed, and the gateway says so instead of pretending. 1 cookie went, 0",
      report: ["failed, 403", "0 of 1 session", "1 cookie (sb-127-auth-token)"],
      sessions: 1,
    },
    {
      name: "by hand, at another route",
      asked: { credential: "cookie", path: "/api/v1/auth/logout" },
      told: "Logged out: GoTrue ended this session. 2 cookies went, 1 session ended.",
      report: ["revoked, 204", "1 of 1 session (this browser)", COOKIES],
    },
    {
      name: "refused, no CSRF token",
      asked: { credential: "cookie-only" },
      told: "Refused, nothing touched: no CSRF token. 0 cookies went, 0 sessions ended.",
      report: ["refused, 403", "0 of 1 session", "0 cookies"],
      sessions: 1,
      cookies: 1,
    },
    {
      name: "nothing left to end",
      twice: true,
      asked: { credential: "bearer" },
      told: "Nothing was left to end: it was over.",
      report: ["already-ended, 200", "0 of 0 sessions", "0 cookies"],
    },
  ]) {
    test(name, async (context) => {
      const tab = await openDemo(context);
      if (other) await tab.getByRole("button", { name: "Sign in on another device" }).click();
      if (other) await reads(tab, "sign-in-status", "demo@example.com is signed in on another");
      await signIn(tab);
      if (broken) await breakGotrue(tab);
      if (routed) await tab.route(routed, answer);
      if (twice) await logOut(tab, asked, "Logged out");

      await logOut(tab, asked, told);

      await showsSessions(tab, sessions);
      assert.equal((await authCookies(tab.context())).length, cookies);
      const [, , answered, ended, cleared] = await reportOf(tab);
      assert.deepEqual([answered.replace(/, request id [\w-]{36}$/, ""), ended, cleared], [
        `Outcome: ${report[0]}`, `Ended at GoTrue: ${report[1]}`, `Cleared here: ${report[2]}`,
      ]);
      await picture(tab, name.replaceAll(/\W+/g, "-"));
    });
  }
});

test("offline, what was ended before is told no more", async (context) => {
  const tab = await openDemo(context);
  await signIn(tab);
  await logOut(tab, {}, "Logged out");
  await signIn(tab);
  await tab.context().setOffline(true);

  await logOut(tab, {}, "No gateway answered: the session may live on. 1 cookie went, nobody tells");

  assert.deepEqual(await authCookies(tab.context()), []);
  const [, , answered, ended, cleared] = await reportOf(tab);
  assert.deepEqual([answered, ended, cleared], [
    "Outcome: offline, no answer",
    "Ended at GoTrue: unknown",
    "Cleared here: 1 cookie (sb-127-auth-token)",
  ]);
  await reads(tab, "who", "demo@example.com is signed out of this browser.");
  await picture(tab, "offline");
  await tab.context().setOffline(false);
  await tab.click("#check-again");
  await showsSessions(tab, 1);
});

describe("the summary", () => {
  test("tells when and how long, and nothing secret", async (context) => {
    const tab = await openDemo(context);
    await signIn(tab);
    await tab.clock.install();
    await tab.clock.pauseAt("2030-01-02T03:04:05.678Z");
    await tab.route("**/api/auth/logout*", async (route) => {
      await tab.clock.fastForward(1234);
      await route.continue();
    });

    await logOut(tab, {}, "Logged out");

    const report = await reportOf(tab);
    const id = await tab.locator("#reply td").last().textContent();
    assert.deepEqual(report, [
      "logout-gateway, 2030-01-02T03:04:05.678Z",
      "Asked: POST /api/auth/logout?scope=local",
      `Outcome: revoked, 200, request id ${id}`,
      "Ended at GoTrue: 1 of 1 session (this browser)",
      `Cleared here: ${COOKIES}`,
      "Took: 1234 ms",
    ]);
    await reads(tab, "who", "demo@example.com is signed out of this browser.");
    assert.equal(await tab.locator("#sign-in-status").textContent(), "");
  });

  test("is copied", async (context) => {
    const tab = await openDemo(context);
    await tab.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await signIn(tab);
    await logOut(tab, {}, "Logged out");

    await tab.click("#copy");

    await reads(tab, "copy-status", "Copied.");
    const copied = await tab.evaluate(() => navigator.clipboard.readText());
    assert.deepEqual(copied.split("\n"), await reportOf(tab));
    await logOut(tab, {}, "Refused: nobody is signed in here.");
    assert.equal(await tab.locator("#copy-status").textContent(), "");
  });

  test("is selected where the page may not copy", async (context) => {
    const tab = await openDemo(context);
    await tab.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    await signIn(tab);
    await logOut(tab, {}, "Logged out");

    await tab.click("#copy");

    await reads(tab, "copy-status", "The browser does not let this page copy.");
    const selected = await tab.evaluate(() => getSelection().toString());
    assert.deepEqual(selected.split("\n"), await reportOf(tab));
    await picture(tab, "summary-selected");
  });
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
