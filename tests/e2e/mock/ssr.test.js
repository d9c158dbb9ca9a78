// @supabase/ssr: a server's client and a browser's client keep the session in cookies, and sign in by PKCE.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createServerClient } from "@supabase/ssr";

import { NoWebSocket } from "../../../clients/js/test/harness.js";
import { sessionOf } from "../harness/app.js";
import { openAuthPage } from "../harness/auth_page.js";
import { claimsOf } from "../harness/test_app.js";
import { dataOf, errorOf, mockOfFile, redirectOf } from "../harness/world.js";

const mock = mockOfFile();
const shortLivedMock = mockOfFile("--token-lifetime", "1m");

// The cookies of one browser, and a client for each of its requests to a server.
function serverSide(world) {
  const jar = new Map();
  const setAll = (cookies) => {
    for (const { name, value, options } of cookies) {
      if (options.maxAge === 0) jar.delete(name);
      else jar.set(name, value);
    }
  };
  const getAll = () => [...jar].map(([name, value]) => ({ name, value }));
  const profile = { cookies: async () => getAll() };
  return {
    names: () => [...jar.keys()],
    session: () => sessionOf(profile),
    request: () => createServerClient(world.url, world.anonKey, {
      cookies: { getAll, setAll },
      realtime: { transport: NoWebSocket },
    }).auth,
  };
}

async function signInByLink(world, browser, email) {
  await dataOf(browser.request().signInWithOtp({ email }));
  const code = (await redirectOf((await world.mailTo(email)).link)).searchParams.get("code");
  return dataOf(browser.request().exchangeCodeForSession(code));
}

test("a server signs a user in by a link and the code verifier in a cookie", async () => {
  const world = mock.newWorld();
  const { user: { email } } = await world.signedIn();
  const browser = serverSide(world);
  await dataOf(browser.request().signInWithOtp({ email }));
  assert.ok(browser.names().some((name) => name.includes("code-verifier")));
  const code = (await redirectOf((await world.mailTo(email)).link)).searchParams.get("code");
  const other = serverSide(world);
  const stolen = await errorOf(other.request().exchangeCodeForSession(code));
  assert.equal(stolen.name, "AuthPKCECodeVerifierMissingError");

  const { user } = await dataOf(browser.request().exchangeCodeForSession(code));

  assert.equal(user.email, email);
  assert.ok(browser.names().includes("sb-127-auth-token"));
  assert.equal((await dataOf(browser.request().getUser())).user.id, user.id);
  assert.equal((await dataOf(browser.request().getClaims())).claims.sub, user.id);
});

test("a server signs a user in at an identity provider", async () => {
  const world = mock.newWorld();
  const browser = serverSide(world);
  const options = { queryParams: { user: "ann" }, redirectTo: "http://127.0.0.1:3000/callback" };
  const { url } = await dataOf(browser.request().signInWithOAuth({ provider: "github", options }));
  const callback = await redirectOf(await redirectOf(url));
  assert.ok(callback.href.startsWith(`${options.redirectTo}?code=`));

  const code = callback.searchParams.get("code");
  await dataOf(browser.request().exchangeCodeForSession(code));

  assert.equal((await dataOf(browser.request().getUser())).user.email, "ann@example.com");
});

test("a server refreshes the session in the cookies before the token expires", async () => {
  const world = shortLivedMock.newWorld();
  const { user: { email } } = await world.signedIn();
  const browser = serverSide(world);
  await signInByLink(world, browser, email);
  const before = await browser.session();

  await dataOf(browser.request().getUser());

  const after = await browser.session();
  assert.notEqual(after.refresh_token, before.refresh_token);
  const ids = [before, after].map(({ access_token }) => claimsOf(access_token).session_id);
  assert.equal(ids[0], ids[1]);
});

test("a server that signs out ends the session and deletes the cookies", async () => {
  const world = mock.newWorld();
  const { user: { email } } = await world.signedIn();
  const browser = serverSide(world);
  const { session } = await signInByLink(world, browser, email);

  await dataOf(browser.request().signOut({ scope: "local" }));

  assert.deepEqual(browser.names(), []);
  const alive = (await world.sessions()).map(({ id }) => id);
  assert.equal(alive.length, 1);
  assert.ok(!alive.includes(claimsOf(session.access_token).session_id));
});

test("a browser signs in by a link, refreshes, and signs out with cookies", async (context) => {
  const world = mock.newWorld();
  const { user: { email }, session } = await world.signedIn();
  const page = await openAuthPage(context, world, "cookies");
  const profile = page.tab.context();
  await dataOf(page.call("signInWithOtp", { email, options: { emailRedirectTo: page.url } }));
  await page.tab.goto((await world.mailTo(email)).link);
  await page.event("SIGNED_IN");
  const first = await sessionOf(profile);
  assert.equal(claimsOf(first.access_token).sub, session.user.id);

  await dataOf(page.call("refreshSession"));
  const second = await sessionOf(profile);
  assert.notEqual(second.refresh_token, first.refresh_token);
  await dataOf(page.call("signOut", { scope: "local" }));

  assert.deepEqual((await profile.cookies()).map(({ name }) => name), []);
  assert.equal((await world.sessions()).length, 1);
  await page.tab.reload();
  assert.equal(await page.session(), null);
});
