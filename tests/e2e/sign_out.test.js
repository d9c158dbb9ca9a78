// A user signs out in a browser: what is left there, at GoTrue, in other tabs and on other devices.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually } from "../../clients/js/test/harness.js";
import {
  ALIVE, DEAD, assertDead, authCookies, getSession, judgements, logOut, openTab, reads, sessionOf,
  signIn,
} from "./harness/app.js";
import { claimsOf, newProfile, stage } from "./harness/stage.js";

test("after a sign-out nothing of the session is left", async (context) => {
  const scene = await stage(context);
  const { mock, profile, url, user } = scene;
  const [tab, other] = [await openTab(profile, url), await openTab(profile, url)];
  await signIn(tab, user);
  await reads(other, "who", `${user.email} is signed in.`);
  const session = await sessionOf(profile);
  assert.equal((await mock.sessions()).length, 1);
  assert.equal((await tab.goto(`${url}/private/`)).status(), 200);
  await tab.goto(url);

  await logOut(tab, "You are signed out.");

  assert.deepEqual(await authCookies(profile), []);
  for (const each of [tab, other]) {
    await reads(each, "who", "Signed out.");
    await each.reload();
    assert.equal(await getSession(each), null);
  }
  await assertDead(scene, session);
  assert.equal((await tab.goto(`${url}/private/`)).status(), 401);
  assert.deepEqual(await mock.sessions(), []);
  // The gateway asked GoTrue; the library did not.
  assert.deepEqual(await mock.logouts(), ["logout-gateway"]);
});

describe("a scope ends what it names, on this device and on another", () => {
  for (const [scope, here, there] of [
    ["local", DEAD, ALIVE], ["others", ALIVE, DEAD], ["global", DEAD, DEAD],
  ]) {
    test(scope, async (context) => {
      const scene = await stage(context);
      const { profile, url, user } = scene;
      const device = await newProfile(context);
      const tab = await openTab(profile, `${url}/?scope=${scope}`);
      const elsewhere = await openTab(device, url);
      await signIn(elsewhere, user);
      await signIn(tab, user);
      const sessions = [await sessionOf(profile), await sessionOf(device)];
      // A token of the very second of the logout might be of a new sign-in.
      const { iat } = claimsOf(sessions[0].access_token);
      await eventually("that second is over", () => Date.now() / 1000 > iat + 1);

      await logOut(tab, "You are signed out.");

      if (here === DEAD) assert.deepEqual(await authCookies(profile), []);
      else assert.deepEqual(await sessionOf(profile), sessions[0]);
      await elsewhere.goto(`${url}/private/`);
      const page = there === ALIVE ? "Private page" : '{"error"';
      assert.ok((await elsewhere.textContent("body")).trim().startsWith(page));
      assert.deepEqual(await judgements(scene, sessions[0]), here);
      assert.deepEqual(await judgements(scene, sessions[1]), there);
    });
  }
});
