// What a browser must not show when the user goes back in the history after a logout.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually } from "../../clients/js/test/harness.js";
import { logOut, openTab, waitForText, signIn } from "./harness/app.js";
import { startTestApp } from "./harness/test_app.js";

// Goes back in the history. The driver's own `goBack` waits for a `load` event, which a page from the
// back/forward cache does not fire.
async function goBack(tab, path) {
  await tab.evaluate(() => history.back());
  await eventually(`back at ${path}`, () => new URL(tab.url()).pathname === path);
  return tab;
}

const shows = (tab, text) => eventually(`the page shows ${text}`, async () => (
  (await tab.evaluate(() => document.body?.innerText ?? "")).includes(text)
));

const REFUSED = '"code":"NOT_AUTHENTICATED"';

describe("a private page is not shown again after a logout", () => {
  for (const [path, by, where] of [
    ["/private/", "browser", "the same"],
    ["/private/", "server", "another"],
    ["/private/plain", "browser", "another"],
    ["/private/plain", "server", "the same"],
  ]) {
    test(`${path}, signed in by the ${by}, logged out in ${where} tab`, async (context) => {
      const { profile, url, user } = await startTestApp(context);
      const tab = await openTab(profile, url);
      await signIn(tab, user, by);
      await tab.goto(`${url}${path}`);
      await shows(tab, "Private page of");
      await tab.goto(url);

      await logOut(where === "another" ? await openTab(profile, url) : tab, "You are signed out.");

      await goBack(tab, path);
      await shows(tab, REFUSED);
      assert.ok(!(await tab.content()).includes("Private page of"));
    });
  }
});

test("a logout on the private page itself leaves nothing to go back to", async (context) => {
  const { profile, url, user } = await startTestApp(context);
  const tab = await openTab(profile, url);
  await signIn(tab, user);
  await tab.goto(`${url}/private/`);
  await shows(tab, "Private page of");
  await tab.click("#log-out");
  await waitForText(tab, "who", "Signed out.");
  await goBack(tab, "/private/");
  await shows(tab, REFUSED);
});

test("while the user is signed in, the browser shows such a page again from its cache", async (context) => {
  const { profile, url, user } = await startTestApp(context);
  const tab = await openTab(profile, url);
  await signIn(tab, user);
  await tab.goto(`${url}/private/plain`);
  await tab.evaluate(() => {
    addEventListener("pageshow", ({ persisted }) => { window.persisted = persisted; });
  });
  await tab.goto(url);
  await goBack(tab, "/private/plain");
  // Prove that this browser caches pages, because without such a cache the other tests of this file would
  // always pass.
  await eventually("the page comes from the back/forward cache", () => tab.evaluate(() => window.persisted));
  await shows(tab, "Private page of");
});

test("after a logout, going back shows that the user is signed out", async (context) => {
  const { profile, url, user } = await startTestApp(context);
  const tab = await openTab(profile, url);
  await signIn(tab, user);
  await tab.goto(`${url}/shop/`);
  await logOut(tab, "You are signed out.");
  await goBack(tab, "/");
  await waitForText(tab, "who", "Signed out.");
  assert.ok(!(await tab.content()).includes(user.email));
});
