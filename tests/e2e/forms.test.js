// A user signs out by an HTML form, in a browser without script, and is told what became of it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually } from "../../clients/js/test/harness.js";
import {
  assertAlive, assertDead, authCookies, breakGotrue, judgements, openTab, reads, sessionOf, signIn,
} from "./harness/app.js";
import { newProfile, stage } from "./harness/stage.js";

const SIGNED_OUT = "/server/signed-out?from=form";

// A user who is signed in at the server, in a tab that shows the form.
async function signedIn(context, options) {
  const scene = await stage(context, options);
  const { url, user } = scene;
  const profile = await newProfile(context, { javaScriptEnabled: false });
  const tab = await openTab(profile, url);
  await signIn(tab, user, "server");
  // Its script would have filled this in.
  assert.equal(await tab.textContent("#who"), "");
  await tab.goto(`${url}/server/sign-out`);
  return { ...scene, profile, tab, session: await sessionOf(profile) };
}

// Lands where the form says, with what the gateway adds to it.
async function submit({ tab, url, asked }, added, told) {
  await tab.getByRole("button", { name: "Sign out" }).click();
  await tab.waitForURL(`${url}${SIGNED_OUT}${added}`);
  await reads(tab, "told", told);
  const logouts = (await asked()).filter(({ path }) => path === "/logout");
  assert.deepEqual(logouts.map(({ method, status }) => [method, status]), [["POST", 303]]);
}

describe("a form signs out without script, of what its scope names", () => {
  for (const [scope, left] of [["local", 1], ["global", 0]]) {
    test(scope, async (context) => {
      const scene = await signedIn(context);
      const { mock, profile, tab, url, user, session } = scene;
      await signIn(await openTab(await newProfile(context), url), user);
      await tab.selectOption("[name=scope]", scope);

      await submit(scene, "", "You are signed out.");

      assert.deepEqual(await authCookies(profile), []);
      await assertDead(scene, session);
      assert.equal((await mock.sessions()).length, left);
      assert.deepEqual(await mock.logouts(), ["logout-gateway"]);
      // Nobody is left to be given a form.
      await tab.goto(`${url}/server/sign-out`);
      assert.equal(tab.url(), `${url}/`);
    });
  }
});

test("where nobody can end the session later, the page says so", async (context) => {
  const scene = await signedIn(context, { durable: false });
  const { mock, profile, session } = scene;
  await breakGotrue(mock, { kind: "reset" });

  await submit(scene, "&logout=failed", "You are signed out here. Your session may live on");

  assert.deepEqual(await authCookies(profile), []);
  await mock.repair();
  // The gateway refuses the token; at GoTrue it is as good as before.
  const still = { verify: 401, private: 401, user: 200, refresh: 200 };
  assert.deepEqual(await judgements(scene, session), still);
});

test("while GoTrue is down the user is signed out here, and later everywhere", async (context) => {
  const scene = await signedIn(context);
  const { mock, profile, session } = scene;
  await breakGotrue(mock, { kind: "reset" });

  await submit(scene, "", "You are signed out.");

  assert.deepEqual(await authCookies(profile), []);
  assert.equal((await mock.sessions()).length, 1);
  await mock.repair();
  await eventually("the session ends", async () => (await mock.sessions()).length === 0);
  await assertDead(scene, session);
});

describe("a form whose CSRF token is wrong signs nobody out, and the page says so", () => {
  for (const [name, spoil] of [
    ["one that nobody gave", ({ tab }) => (
      tab.locator("[name=csrf_token]").evaluate((input) => { input.value = "made up"; })
    )],
    ["none", ({ tab }) => tab.locator("[name=csrf_token]").evaluate((input) => input.remove())],
    ["that of the session before", async ({ mock, profile, url, user }) => {
      const [{ id }] = await mock.sessions();
      await signIn(await openTab(profile, url), user, "server");
      await mock.endSession(id);
    }],
  ]) {
    test(name, async (context) => {
      const scene = await signedIn(context);
      const { mock, profile } = scene;
      await spoil(scene);
      const cookies = await profile.cookies();
      const session = await sessionOf(profile);

      await submit(scene, "&logout=refused", "You are still signed in.");

      assert.deepEqual(await profile.cookies(), cookies);
      assert.deepEqual(await mock.logouts(), []);
      await assertAlive(scene, session);
    });
  }
});
