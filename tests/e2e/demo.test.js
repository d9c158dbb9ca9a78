// Uses the page of `logout-gateway demo` as a user does, and keeps screenshots of its states in
// artefacts/.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { authCookies, waitForText } from "./harness/app.js";
import { logOut, openDemo, signIn, waitForSessions, waitUntilIdle } from "./harness/demo.js";

const takeScreenshot = (tab, name) => tab.screenshot({
  fullPage: true,
  path: fileURLToPath(new URL(`artefacts/demo-${name}.png`, import.meta.url)),
});

const reportOf = async (tab) => (await tab.locator("#report").textContent()).split("\n");

const COOKIES = "2 cookies (sb-127-auth-token, sb-csrf-token)";
const GATEWAY_HEADERS = { "X-Request-Id": "01234567-89ab-cdef-0123-456789abcdef" };
// A response to a queued logout, which the test makes up because the demo's store has no queue.
const QUEUED = { ...GATEWAY_HEADERS, "X-Logout-Outcome": "queued" };

const breakGotrue = async (tab) => {
  await tab.click("#gotrue-switch");
  await waitForText(tab, "gotrue-status", "GoTrue is switched off");
  await waitUntilIdle(tab);
};

test("the page at the start", async (context) => {
  const tab = await openDemo(context);
  await waitForText(tab, "who", "Nobody is signed in.");
  assert.equal(await tab.isChecked("#with-client"), true);
  assert.equal(await tab.isVisible("#routes"), false);
  await takeScreenshot(tab, "start");
});

test("signed in", async (context) => {
  const tab = await openDemo(context);
  await signIn(tab);
  await waitForSessions(tab, 1);
  assert.deepEqual(await authCookies(tab.context()), ["sb-127-auth-token"]);
  await takeScreenshot(tab, "signed-in");
});

describe("after a logout", () => {
  for (const {
    name, other, gotrueDown, intercepted, respond, twice, options = {}, summary, report,
    sessions = 0, cookies = 0,
  } of [
    {
      name: "signed out",
      summary: "Logged out: GoTrue ended this session. 2 cookies went, 1 session ended.",
      report: ["revoked, 200", "1 of 1 session (this browser)", COOKIES],
    },
    {
      name: "signed out everywhere",
      other: true,
      options: { scope: "global" },
      summary: "Logged out: GoTrue ended every session. 2 cookies went, 2 sessions ended.",
      report: ["revoked, 200", "2 of 2 sessions (another device, this browser)", COOKIES],
    },
    {
      name: "others signed out",
      other: true,
      options: { scope: "others" },
      summary: "Logged out: GoTrue ended the other sessions.",
      report: ["revoked, 200", "1 of 2 sessions (another device)", "0 cookies"],
      sessions: 1,
      cookies: 2,
    },
    {
      name: "failed, GoTrue down",
      gotrueDown: true,
      summary: "The logout failed, and the gateway says so instead of pretending. 2 cookies went, 0",
      report: ["failed, 500", "0 of 1 session", COOKIES],
      sessions: 1,
    },
    {
      name: "gateway down, signed out here alone",
      intercepted: /auth\/(csrf|logout)/,
      respond: (route) => route.abort(),
      summary: "No gateway answered: the session may live on. 1 cookie went, 0 sessions ended.",
      report: ["offline, no answer", "0 of 1 session", "1 cookie (sb-127-auth-token)"],
      sessions: 1,
    },
    {
      name: "no gateway but a proxy answers",
      intercepted: /auth\/logout/,
      respond: (route) => route.fulfill({ status: 502 }),
      summary: "No gateway answered: the session may live on. 2 cookies went, 0 sessions ended.",
      report: ["failed, 502", "0 of 1 session", COOKIES],
      sessions: 1,
    },
    {
      name: "queued, GoTrue down",
      intercepted: /auth\/logout/,
      respond: (route) => route.fulfill({ status: 202, headers: QUEUED }),
      summary: "Logged out here: GoTrue is asked once it answers. 2 cookies went, 0 sessions ended.",
      report: ["queued, 202", "0 of 1 session", COOKIES],
      sessions: 1,
    },
    {
      name: "refused to the client",
      intercepted: /auth\/csrf/,
      respond: (route) => route.fulfill({ status: 403, headers: GATEWAY_HEADERS }),
      summary: "The logout failed, and the gateway says so instead of pretending. 1 cookie went, 0",
      report: ["failed, 403", "0 of 1 session", "1 cookie (sb-127-auth-token)"],
      sessions: 1,
    },
    {
      name: "by hand, at another route",
      options: { credential: "cookie", path: "/api/v1/auth/logout" },
      summary: "Logged out: GoTrue ended this session. 2 cookies went, 1 session ended.",
      report: ["revoked, 204", "1 of 1 session (this browser)", COOKIES],
    },
    {
      name: "refused, no CSRF token",
      options: { credential: "cookie-only" },
      summary: "Refused, nothing touched: no CSRF token. 0 cookies went, 0 sessions ended.",
      report: ["refused, 403", "0 of 1 session", "0 cookies"],
      sessions: 1,
      cookies: 1,
    },
    {
      name: "nothing left to end",
      twice: true,
      options: { credential: "bearer" },
      summary: "Nothing was left to end: it was over.",
      report: ["already-ended, 200", "0 of 0 sessions", "0 cookies"],
    },
  ]) {
    test(name, async (context) => {
      const tab = await openDemo(context);
      if (other) await tab.getByRole("button", { name: "Sign in on another device" }).click();
      if (other) await waitForText(tab, "sign-in-status", "demo@example.com is signed in on another");
      await signIn(tab);
      if (gotrueDown) await breakGotrue(tab);
      if (intercepted) await tab.route(intercepted, respond);
      if (twice) await logOut(tab, options, "Logged out");

      await logOut(tab, options, summary);

      await waitForSessions(tab, sessions);
      assert.equal((await authCookies(tab.context())).length, cookies);
      const [, , answered, ended, cleared] = await reportOf(tab);
      assert.deepEqual([answered.replace(/, request id [\w-]{36}$/, ""), ended, cleared], [
        `Outcome: ${report[0]}`, `Ended at GoTrue: ${report[1]}`, `Cleared here: ${report[2]}`,
      ]);
      await takeScreenshot(tab, name.replaceAll(/\W+/g, "-"));
    });
  }
});

test("offline, the summary does not repeat the sessions that an earlier logout ended", async (context) => {
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
  await waitForText(tab, "who", "demo@example.com is signed out of this browser.");
  await takeScreenshot(tab, "offline");
  await tab.context().setOffline(false);
  await tab.click("#check-again");
  await waitForSessions(tab, 1);
});

describe("the summary", () => {
  test("shows the time and the duration, and no secret", async (context) => {
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
    await waitForText(tab, "who", "demo@example.com is signed out of this browser.");
    assert.equal(await tab.locator("#sign-in-status").textContent(), "");
  });

  test("can be copied", async (context) => {
    const tab = await openDemo(context);
    await tab.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await signIn(tab);
    await logOut(tab, {}, "Logged out");

    await tab.click("#copy");

    await waitForText(tab, "copy-status", "Copied.");
    const copied = await tab.evaluate(() => navigator.clipboard.readText());
    assert.deepEqual(copied.split("\n"), await reportOf(tab));
    await logOut(tab, {}, "Refused: nobody is signed in here.");
    assert.equal(await tab.locator("#copy-status").textContent(), "");
  });

  test("is selected if the page may not copy", async (context) => {
    const tab = await openDemo(context);
    await tab.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    await signIn(tab);
    await logOut(tab, {}, "Logged out");

    await tab.click("#copy");

    await waitForText(tab, "copy-status", "The browser does not let this page copy.");
    const selected = await tab.evaluate(() => getSelection().toString());
    assert.deepEqual(selected.split("\n"), await reportOf(tab));
    await takeScreenshot(tab, "summary-selected");
  });
});

test("a narrow, dark page after a sign-up with a chunked session", async (context) => {
  const tab = await openDemo(context);
  await tab.emulateMedia({ colorScheme: "dark" });
  await tab.setViewportSize({ width: 375, height: 800 });
  await tab.fill("#email", "ada@example.com");
  await tab.check("#large");
  await tab.getByRole("button", { name: "Sign up" }).click();
  await waitForText(tab, "who", "ada@example.com is signed in.");
  await waitUntilIdle(tab);
  assert.ok((await authCookies(tab.context())).length > 4);

  await logOut(tab, {}, "Logged out");

  assert.deepEqual(await authCookies(tab.context()), []);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false);
  await takeScreenshot(tab, "narrow-dark");
});
