// The page of docs/proxies.md, to which the proxy sends a page load whose access token has expired. The app of
// examples/nextjs must be built already.

import assert from "node:assert/strict";

import { cookieOf, eventually, sessionOf, startApp, startMock } from "./harness.js";

// A new user's session whose access token has expired. The gateway answers a request with its cookie so that
// the proxies of deploy/ send a page load to the page.
async function expired({ gateway, signUp }, email) {
  const session = await signUp({ email, password: "a password" });
  const cookie = cookieOf(session);
  const reason = async () => (
    (await fetch(`${gateway}/api/auth/verify`, { headers: { cookie } })).headers.get("X-Auth-Reason")
  );
  await eventually("the session can only be refreshed", async () => await reason() === "refreshable");
  return { session, cookie };
}

// Requests the page as the proxies do, which name the path that the browser requested.
async function load(url, headers) {
  const answer = await fetch(`${url}/auth/refresh`, { headers, redirect: "manual" });
  const [location, cached] = ["Location", "Cache-Control"].map((name) => answer.headers.get(name));
  return { status: answer.status, location, cached, lines: answer.headers.getSetCookie() };
}

// The session in the lines of `Set-Cookie`.
const sessionIn = (lines) => sessionOf(lines.map((line) => {
  const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
  return { name, value };
}));

export async function testRefreshPage(suite) {
  const mock = await startMock(suite, "6s");
  const { gateway } = mock;
  const url = await startApp(suite, "nextjs", mock, { isBuilt: true });
  const refreshes = async () => (await mock.calls("/token")).length;

  async function assertRefreshed({ session, cookie }, headers, requested) {
    const before = await refreshes();
    const { status, location, cached, lines } = await load(url, { ...headers, cookie });
    assert.deepEqual([status, location, cached], [303, requested, "no-store"]);
    const fresh = sessionIn(lines);
    assert.notEqual(fresh.access_token, session.access_token);
    assert.equal(fresh.user.id, session.user.id);
    const verify = { headers: { cookie: cookieOf(fresh) } };
    assert.equal((await fetch(`${gateway}/api/auth/verify`, verify)).status, 200);
    assert.equal(await refreshes(), before + 1);
  }

  await suite.test("sets the cookies of the refreshed session and redirects to the requested path", async () => {
    const headers = { "X-Forwarded-Uri": "/private?tab=2" };
    await assertRefreshed(await expired(mock, "ann@example.com"), headers, "/private?tab=2");
  });

  await suite.test("redirects to / if the proxy names no path", async () => {
    await assertRefreshed(await expired(mock, "bob@example.com"), {}, "/");
  });

  await suite.test("redirects to /login without a session, and if GoTrue refuses the refresh", async () => {
    const headers = { "X-Forwarded-Uri": "/private" };
    const { status, location, lines } = await load(url, headers);
    assert.deepEqual([status, location, lines], [303, "/login", []]);

    const { session, cookie } = await expired(mock, "cem@example.com");
    const ids = (await mock.sessions()).filter(({ user_id: id }) => id === session.user.id).map(({ id }) => id);
    assert.equal(ids.length, 1);
    await mock.endSession(ids[0]);
    const refused = await load(url, { ...headers, cookie });
    assert.deepEqual([refused.status, refused.location], [303, "/login"]);
    assert.ok(refused.lines.length > 0 && refused.lines.every((line) => line.includes("Max-Age=0")), refused.lines);

    assert.equal((await fetch(`${url}/login`)).status, 200);
  });

  // The Supabase client repeats the refresh for almost 30 s. A second client, as in proxy.js, would double the time.
  await suite.test("answers 503 and keeps the cookies while GoTrue is down", async () => {
    const down = await expired(mock, "dua@example.com");
    await mock.fault({ operation: "token", kind: "reset" });
    const start = Date.now();
    const { status, lines } = await load(url, { "X-Forwarded-Uri": "/private", cookie: down.cookie });
    assert.deepEqual([status, lines], [503, []]);
    const seconds = (Date.now() - start) / 1000;
    assert.ok(seconds < 40, `the answer took ${seconds} s`);
    await mock.repair();
    await assertRefreshed(down, { "X-Forwarded-Uri": "/private" }, "/private");
  });
}
