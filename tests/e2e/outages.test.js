// GoTrue is down, or the network: the user is signed out here and told the truth, and what can be
// done later is done later.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually } from "../../clients/js/test/harness.js";
import {
  assertAlive, assertDead, authCookies, breakGotrue, getSession, judgements, logOut, openTab, reads,
  sessionOf, signIn,
} from "./harness/app.js";
import { newProfile, stage } from "./harness/stage.js";

const QUEUED = "You are signed out here. Elsewhere it takes until the sign-in service answers.";
const FAILED = "Logging out may have failed, and your session may live on. Try again later.";
const OFFLINE = "Nobody could be reached. Log out again once you are online.";

async function assertSignedOutHere(tab, profile) {
  assert.deepEqual(await authCookies(profile), []);
  await tab.reload();
  assert.equal(await getSession(tab), null);
  await reads(tab, "who", "Signed out.");
}

describe("while GoTrue is down the user is signed out here, and elsewhere once it is back", () => {
  for (const [name, by, fault] of [
    ["it resets connections", "browser", { kind: "reset" }],
    ["it fails", "server", { kind: "status", status: 503 }],
    ["it never answers", "browser", { kind: "hang" }],
  ]) {
    test(name, async (context) => {
      const scene = await stage(context, { flags: ["--upstream-timeout", "2s"] });
      const { mock, profile, url, user } = scene;
      const tab = await openTab(profile, url);
      await signIn(tab, user, by);
      const other = await openTab(profile, url);
      const session = await sessionOf(profile);
      await breakGotrue(mock, fault);

      await logOut(tab, QUEUED);

      await reads(other, "who", "Signed out.");
      await assertSignedOutHere(tab, profile);
      assert.equal((await tab.goto(`${url}/private/`)).status(), 401);
      assert.equal((await mock.sessions()).length, 1);
      await mock.repair();
      await eventually("the session ends", async () => (await mock.sessions()).length === 0);
      await assertDead(scene, session);
    });
  }

  test("every device, with the scope global", async (context) => {
    const scene = await stage(context);
    const { mock, profile, url, user } = scene;
    const device = await newProfile(context);
    const tab = await openTab(profile, `${url}/?scope=global`);
    await signIn(await openTab(device, url), user);
    await signIn(tab, user);
    const elsewhere = await sessionOf(device);
    await breakGotrue(mock, { kind: "reset" });

    await logOut(tab, QUEUED);

    await assertSignedOutHere(tab, profile);
    assert.equal((await mock.sessions()).length, 2);
    await mock.repair();
    await eventually("the sessions end", async () => (await mock.sessions()).length === 0);
    const { user: atGotrue, refresh } = await judgements(scene, elsewhere);
    assert.deepEqual([atGotrue, refresh], [403, 400]);
  });
});

test("where nobody can end the session later, the user is told so", async (context) => {
  const scene = await stage(context, { durable: false });
  const { mock, profile, url, user } = scene;
  const tab = await openTab(profile, url);
  await signIn(tab, user);
  const session = await sessionOf(profile);
  await breakGotrue(mock, { kind: "reset" });

  await logOut(tab, FAILED);

  await assertSignedOutHere(tab, profile);
  await mock.repair();
  // The gateway refuses the token; at GoTrue it is as good as before.
  const still = { verify: 401, private: 401, user: 200, refresh: 200 };
  assert.deepEqual(await judgements(scene, session), still);
});

test("offline, the user is signed out here and told that nobody was reached", async (context) => {
  const scene = await stage(context);
  const { profile, url, user } = scene;
  const tab = await openTab(profile, url);
  await signIn(tab, user);
  const other = await openTab(profile, url);
  const session = await sessionOf(profile);
  await profile.setOffline(true);

  await logOut(tab, OFFLINE);

  assert.deepEqual(await authCookies(profile), []);
  for (const each of [tab, other]) {
    assert.equal(await getSession(each), null);
    await reads(each, "who", "Signed out.");
  }
  await profile.setOffline(false);
  await assertSignedOutHere(tab, profile);
  await assertAlive(scene, session);
});

describe("while the gateway is down, the user is told to try again", () => {
  for (const [by, cookies] of [["browser", []], ["server", ["sb-127-auth-token"]]]) {
    test(`signed in by the ${by}`, async (context) => {
      const scene = await stage(context);
      const { mock, profile, url, user } = scene;
      const tab = await openTab(profile, url);
      await signIn(tab, user, by);
      await scene.stopGateway();

      await logOut(tab, FAILED);

      // What scripts cannot read, only the gateway deletes.
      assert.deepEqual(await authCookies(profile), cookies);
      assert.equal((await mock.sessions()).length, 1);
      // Nobody is let in meanwhile.
      assert.equal((await tab.goto(`${url}/private/`)).status(), 503);
    });
  }
});

describe("HttpOnly cookies that nobody deleted stay, and the next logout ends the session", () => {
  for (const { name, alg, cut, mend, told } of [
    {
      name: "offline",
      cut: ({ profile }) => profile.setOffline(true),
      mend: ({ profile }) => profile.setOffline(false),
      told: OFFLINE,
    },
    {
      name: "GoTrue is down, and nobody else can judge the session",
      alg: "HS256",
      cut: ({ mock }) => breakGotrue(mock, { kind: "reset" }),
      mend: ({ mock }) => mock.repair(),
      told: FAILED,
    },
  ]) {
    test(name, async (context) => {
      const scene = await stage(context, { alg });
      const { profile, url, user } = scene;
      const tab = await openTab(profile, url);
      await signIn(tab, user, "server");
      const session = await sessionOf(profile);
      await cut(scene);
      await logOut(tab, told);
      // No script can delete them.
      assert.deepEqual(await sessionOf(profile), session);
      await mend(scene);

      await logOut(tab, "You are signed out.");

      await assertSignedOutHere(tab, profile);
      await assertDead(scene, session);
    });
  }
});
