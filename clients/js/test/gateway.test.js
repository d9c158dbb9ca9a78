// Tests logouts by Bearer token: the real gateway, the mock of GoTrue and the real supabase-js,
// without a browser.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import { createLogout } from "../index.js";
import {
  eventually, newUser, signedIn, startGateway, startMock, supabaseClient,
} from "./harness.js";

const storedSession = async ({ auth }) => (await auth.getSession()).data.session;

async function startAll(context, flags = {}) {
  const mock = await startMock(context, ...flags.mock ?? []);
  const gatewayUrl = await startGateway(context, mock, ...flags.gateway ?? []);
  return { mock, gatewayUrl };
}

async function tokenExpires({ gatewayUrl, session }) {
  const headers = { Authorization: `Bearer ${session.access_token}` };
  await eventually("the token expires", async () => (
    (await fetch(`${gatewayUrl}/api/auth/verify`, { headers })).status === 401
  ));
}

function eventsOf({ auth }) {
  const events = [];
  auth.onAuthStateChange((event) => { events.push(event); });
  return events;
}

test("a logout ends the session at GoTrue and in the client", async (context) => {
  const { mock, gatewayUrl } = await startAll(context);
  const { supabase, session } = await signedIn(mock.url);
  const events = eventsOf(supabase);
  // Both the sign-up and the sign-in created a session.
  assert.equal((await mock.sessions()).length, 2);

  const { outcome, status, requestId } = await createLogout({ gatewayUrl, supabase })();

  assert.deepEqual({ outcome, status }, { outcome: "revoked", status: 200 });
  assert.match(requestId, /^[\w.-]+$/);
  assert.equal((await mock.sessions()).length, 1);
  assert.equal(await storedSession(supabase), null);
  assert.equal(events.filter((event) => event === "SIGNED_OUT").length, 1);
  const { refresh_token } = session;
  const { error } = await supabaseClient(mock.url).auth.refreshSession({ refresh_token });
  assert.equal(error.code, "refresh_token_not_found");
  assert.deepEqual(await mock.logouts(), ["logout-gateway"]);
});

describe("a scope ends the sessions that it names", () => {
  for (const [scope, mine, theirs] of [
    ["local", false, true], ["others", true, false], ["global", false, false],
  ]) {
    test(scope, async (context) => {
      const { mock, gatewayUrl } = await startAll(context);
      const user = newUser();
      const other = await signedIn(mock.url, user);
      const { supabase, session } = await signedIn(mock.url, user);
      const events = eventsOf(supabase);

      const { outcome } = await createLogout({ gatewayUrl, supabase, scope })();

      assert.equal(outcome, "revoked");
      assert.equal(Boolean(await storedSession(supabase)), mine);
      assert.equal(events.includes("SIGNED_OUT"), !mine);
      for (const [{ refresh_token }, lives] of [[session, mine], [other.session, theirs]]) {
        const { error } = await supabaseClient(mock.url).auth.refreshSession({ refresh_token });
        assert.equal(error === null, lives);
      }
    });
  }
});

test("the next logout is refused, because the user is signed out", async (context) => {
  const { mock, gatewayUrl } = await startAll(context);
  const { supabase } = await signedIn(mock.url);
  const logout = createLogout({ gatewayUrl, supabase });
  assert.equal((await logout()).outcome, "revoked");
  const { outcome, status } = await logout();
  assert.deepEqual({ outcome, status }, { outcome: "refused", status: 401 });
});

test("a session that has ended at GoTrue is removed from the client", async (context) => {
  const { mock, gatewayUrl } = await startAll(context);
  const { supabase } = await signedIn(mock.url);
  for (const { id } of await mock.sessions()) await mock.endSession(id);
  const { outcome, status } = await createLogout({ gatewayUrl, supabase })();
  assert.deepEqual({ outcome, status }, { outcome: "already-ended", status: 200 });
  assert.equal(await storedSession(supabase), null);
});

test("an expired Bearer token is refreshed, and its session ends", async (context) => {
  const { mock, gatewayUrl } = await startAll(context, { mock: ["--token-lifetime", "1s"] });
  const { supabase, session } = await signedIn(mock.url);
  await tokenExpires({ gatewayUrl, session });
  assert.equal((await createLogout({ gatewayUrl, supabase })()).outcome, "revoked");
  assert.equal((await mock.sessions()).length, 1);
});

test("a client with throwOnError logs out too", async (context) => {
  const { mock, gatewayUrl } = await startAll(context, { mock: ["--token-lifetime", "1s"] });
  const auth = { throwOnError: true };
  const { supabase, session } = await signedIn(mock.url, newUser(), auth);
  await tokenExpires({ gatewayUrl, session });
  for (const { id } of await mock.sessions()) await mock.endSession(id);
  const { outcome, status } = await createLogout({ gatewayUrl, supabase })();
  assert.deepEqual({ outcome, status }, { outcome: "refused", status: 401 });
  assert.equal(await storedSession(supabase), null);
});

test("a subscriber that throws does not stop the logout", async (context) => {
  const { mock, gatewayUrl } = await startAll(context);
  const { supabase } = await signedIn(mock.url);
  context.mock.method(console, "error", () => {});
  supabase.auth.onAuthStateChange((event) => {
    if (event === "SIGNED_OUT") throw new Error("a bug of the app");
  });
  assert.equal((await createLogout({ gatewayUrl, supabase })()).outcome, "revoked");
  assert.equal(await storedSession(supabase), null);
});

test("if GoTrue fails, the outcome is failed and the client removes the session", async (context) => {
  const { mock, gatewayUrl } = await startAll(context);
  const { supabase } = await signedIn(mock.url);
  await mock.fault({ operation: "logout", kind: "status", status: 503 });
  const { outcome, status } = await createLogout({ gatewayUrl, supabase })();
  assert.deepEqual({ outcome, status }, { outcome: "failed", status: 500 });
  assert.equal(await storedSession(supabase), null);
});

test("if the gateway queues the logout, the outcome is queued", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "logout-gateway-client-"));
  const store = `file:${join(folder, "store")}`;
  const { mock, gatewayUrl } = await startAll(context, { gateway: ["--store", store] });
  context.after(() => rm(folder, { recursive: true }));
  const { supabase } = await signedIn(mock.url);
  await mock.fault({ operation: "logout", kind: "status", status: 503 });
  const { outcome, status } = await createLogout({ gatewayUrl, supabase })();
  assert.deepEqual({ outcome, status }, { outcome: "queued", status: 202 });
  assert.equal(await storedSession(supabase), null);
});

test("after a failed logout by cookie, the client logs out with its Bearer token as well", async (context) => {
  const { mock, gatewayUrl } = await startAll(context, { mock: ["--alg", "HS256"] });
  const { supabase, session } = await signedIn(mock.url);
  for (const operation of ["user", "logout"]) {
    await mock.fault({ operation, kind: "status", status: 503 });
  }
  const cookie = `sb-127-auth-token=${encodeURIComponent(JSON.stringify(session))}`;
  const statuses = [];
  const fetchWithCookie = async (url, { headers, ...options }) => {
    const answer = await fetch(url, { ...options, headers: { ...headers, cookie } });
    statuses.push(answer.status);
    return answer;
  };
  await createLogout({ gatewayUrl, supabase, fetch: fetchWithCookie })();
  // The session is unproven, so its logout is `failed` and not queued.
  assert.deepEqual(statuses, [500, 500]);
});

test("a refresh in progress does not restore the session", async (context) => {
  const { mock, gatewayUrl } = await startAll(context);
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  let refreshed;
  const refreshing = new Promise((resolve) => { refreshed = resolve; });
  const late = async (url, options) => {
    const response = await fetch(url, options);
    if (!String(url).includes("refresh_token")) return response;
    refreshed();
    await released;
    return response;
  };
  const { supabase } = await signedIn(mock.url, newUser(), {}, late);
  const refresh = supabase.auth.refreshSession();
  await refreshing;
  await createLogout({ gatewayUrl, supabase })();
  release();
  await refresh;
  assert.equal(await storedSession(supabase), null);
});
