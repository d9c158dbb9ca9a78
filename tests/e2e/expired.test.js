// A user comes back after the access token has expired. nginx sends the page load to the page that refreshes
// the session, unless the session has ended.

import assert from "node:assert/strict";
import { test } from "node:test";

import { eventually } from "../../clients/js/test/harness.js";
import { logOut, openTab, sessionOf, signIn } from "./harness/app.js";
import { newProfile, startTestApp } from "./harness/test_app.js";

// Signs a user in at the application's server and waits until the access token has expired.
async function expired(context) {
  // Long enough for a page load with a token that has just been refreshed.
  const testApp = await startTestApp(context, { tokenLifetime: "6s" });
  const { gateway, profile, url, user } = testApp;
  const tab = await openTab(profile, url);
  await signIn(tab, user, "server");
  const session = await sessionOf(profile);
  const cookies = await profile.cookies();
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  const verify = () => fetch(`${gateway}/api/auth/verify`, { headers: { cookie } });
  await eventually("the token expires", async () => (await verify()).status === 401);
  return { ...testApp, tab, session, cookies, verify };
}

const reasonOf = async (verify) => (await verify()).headers.get("X-Auth-Reason");

test("a page load with an expired access token shows the page after a refresh", async (context) => {
  const { mock, profile, tab, url, session, verify } = await expired(context);
  assert.equal(await reasonOf(verify), "refreshable");
  // A script refreshes the session by itself, so the proxy does not redirect its request.
  assert.equal(await tab.evaluate(async () => (await fetch("/private/plain")).status), 401);
  assert.equal((await sessionOf(profile)).access_token, session.access_token);

  const response = await tab.goto(`${url}/private/plain?tab=2`);

  assert.equal(response.status(), 200);
  assert.equal(tab.url(), `${url}/private/plain?tab=2`);
  assert.match(await tab.textContent("p"), /^Private page of /);
  assert.equal((await mock.sessions()).length, 1);
});

test("after a logout elsewhere, a page load with the old cookies gets no page and no new cookies", async (context) => {
  const { mock, tab, url, cookies, verify } = await expired(context);
  const copy = await newProfile(context);
  await copy.addCookies(cookies);
  await tab.goto(url);
  await logOut(tab, "You are signed out.");
  assert.equal(await reasonOf(verify), "revoked");

  const response = await (await copy.newPage()).goto(`${url}/private/plain`);

  assert.equal(response.status(), 401);
  assert.deepEqual(await copy.cookies(), cookies);
  assert.deepEqual(await mock.sessions(), []);
});

test("a page load whose session GoTrue does not refresh leads to the public page", async (context) => {
  const { mock, profile, tab, url } = await expired(context);
  const [{ id }] = await mock.sessions();
  await mock.endSession(id);

  await tab.goto(`${url}/private/plain`);

  assert.equal(tab.url(), `${url}/`);
  assert.equal(await sessionOf(profile), null);
});
