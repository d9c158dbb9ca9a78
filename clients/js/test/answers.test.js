// Tests how the client handles responses and lost requests. The servers here are scripted.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { promisify } from "node:util";

import { createLogout } from "../index.js";
import { startServer } from "./harness.js";

const csrf = [200, {}, JSON.stringify({ data: { csrf_token: "token" } })];
const revoked = (left = 0) => [200, {
  "X-Logout-Outcome": "revoked",
  ...(left ? { "X-Logout-Cookies-Left": left } : {}),
}];
const lost = null;

// Starts a server that gives one answer for each request, and the last answer for all further
// requests.
async function scripted(context, ...answers) {
  const { url, requests } = await startServer(context, (_, response) => {
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    if (answer === lost) return response.destroy();
    const [status, headers, body] = answer;
    return response.writeHead(status, headers).end(body);
  });
  const asked = () => requests.map(({ method, url: path }) => `${method} ${path}`);
  return { gatewayUrl: url, requests, asked };
}

const CSRF = "GET /api/auth/csrf";
const POST = "POST /api/auth/logout?scope=local";

test("the CSRF token is fetched and sent, with the browser's cookies", async (context) => {
  const { gatewayUrl, requests, asked } = await scripted(context, csrf, revoked());
  const credentials = [];
  const recordCredentials = (url, options) => {
    credentials.push(options.credentials);
    return fetch(url, options);
  };
  await createLogout({ gatewayUrl, scope: "global", fetch: recordCredentials })();
  assert.deepEqual(asked(), [CSRF, "POST /api/auth/logout?scope=global"]);
  assert.equal(requests[1].headers["x-csrf-token"], "token");
  assert.deepEqual(credentials, ["include", "include"]);
});

describe("the outcome is X-Logout-Outcome, or else follows from the status", () => {
  const stated = (outcome) => ({ "X-Logout-Outcome": outcome, "X-Request-Id": "id" });
  for (const [status, headers, outcome] of [
    [200, stated("revoked"), "revoked"],
    [200, stated("already-ended"), "already-ended"],
    [202, stated("queued"), "queued"],
    [500, stated("failed"), "failed"],
    [429, stated("failed"), "failed"],
    [401, stated("failed"), "failed"],
    [400, {}, "failed"],
    [401, {}, "refused"],
    [403, {}, "failed"],
    [404, {}, "failed"],
    [405, {}, "failed"],
    [429, { "Retry-After": "30" }, "failed"],
    [503, { "Retry-After": "1" }, "failed"],
    [500, {}, "failed"],
    [502, {}, "failed"],
    [504, {}, "failed"],
    [200, {}, "failed"],
  ]) {
    test(`${status} ${JSON.stringify(headers)}`, async (context) => {
      const { gatewayUrl, asked } = await scripted(context, csrf, [status, headers]);
      const requestId = headers["X-Request-Id"] ?? null;
      const result = await createLogout({ gatewayUrl })();
      assert.deepEqual(result, { outcome, status, requestId });
      // The client does not wait for Retry-After.
      assert.deepEqual(asked(), [CSRF, POST]);
    });
  }
});

describe("a lost request is sent once more", () => {
  for (const [name, answers, asked, outcome] of [
    ["the request for a CSRF token", [lost, csrf, revoked()], [CSRF, CSRF, POST], "revoked"],
    ["the logout", [csrf, lost, revoked()], [CSRF, POST, POST], "revoked"],
    ["the request for a CSRF token, lost twice", [lost], [CSRF, CSRF], "offline"],
    ["the logout, lost twice", [csrf, lost], [CSRF, POST, POST], "offline"],
  ]) {
    test(name, async (context) => {
      const script = await scripted(context, ...answers);
      const { gatewayUrl } = script;
      const result = await createLogout({ gatewayUrl })();
      assert.equal(result.outcome, outcome);
      assert.deepEqual(script.asked(), asked);
      if (outcome === "offline") assert.deepEqual(result, { outcome, status: 0, requestId: null });
    });
  }
});

// Measures the duration of the logout on a mocked clock, which advances only when no other task is
// left to run.
async function took(context, logout) {
  let result;
  logout().then((value) => { result = value; });
  for (let seconds = 0; seconds <= 60; seconds += 1) {
    await new Promise(setImmediate);
    if (result) return { outcome: result.outcome, seconds };
    context.mock.timers.tick(1_000);
  }
  throw new Error("the logout has not ended");
}

test("a request is aborted at its time limit", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const signals = [];
  const fetch = (_, { signal }) => {
    signals.push(signal);
    return signals.length === 1 ? Promise.resolve(Response.json({})) : new Promise(() => {});
  };
  const { outcome } = await took(context, createLogout({
    gatewayUrl: "http://a.test",
    fetch,
    supabase: { auth: { getSession: async () => ({ data: { session: { access_token: "a" } } }) } },
  }));
  assert.equal(outcome, "offline");
  assert.deepEqual(signals.map(({ aborted }) => aborted), [false, true, true]);
});

test("a Node script exits after its logout", async () => {
  const script = `import { createLogout } from "./index.js";
    const fetch = async () => new Response(null, { status: 401 });
    console.log((await createLogout({ gatewayUrl: "http://a.test", fetch })()).outcome);`;
  const flags = ["--input-type=module", "--eval", script];
  const options = { cwd: new URL("..", import.meta.url), timeout: 5_000 };
  const { stdout } = await promisify(execFile)(process.execPath, flags, options);
  assert.equal(stdout, "refused\n");
});

describe("every step has a time limit", () => {
  const never = () => new Promise(() => {});
  const refused = async () => new Response(null, { status: 401 });
  const headless = async () => Object.assign(new Response("{"), { json: never });
  for (const [name, options, outcome, seconds] of [
    ["the gateway does not answer", { fetch: never }, "offline", 20],
    ["the body of a response does not arrive", { fetch: headless }, "failed", 10],
    ["a refresh does not end", { auth: { getSession: never }, fetch: refused }, "failed", 10],
    ["a subscriber does not return", { auth: { getSession: refused, _removeSession: never }, fetch: refused },
      "refused", 10],
  ]) {
    test(name, async (context) => {
      context.mock.timers.enable({ apis: ["setTimeout"] });
      const { fetch, auth } = options;
      const logout = createLogout({ gatewayUrl: "http://a.test", fetch, supabase: { auth } });
      assert.deepEqual(await took(context, logout), { outcome, seconds });
    });
  }
});

describe("the response of /api/auth/csrf decides the next request", () => {
  for (const [name, answer, asked, outcome, status] of [
    ["no session: the response to a POST deletes the cookies", [401], [CSRF, POST], "refused", 401],
    ["a page of another site", [403], [CSRF], "failed", 403],
    ["overload", [503], [CSRF], "failed", 503],
    ["the token cannot be verified", [500], [CSRF], "failed", 500],
    ["an HTML page of another server", [200, {}, "<!doctype html>"], [CSRF], "failed", 200],
    ["another server's JSON", [200, {}, "{}"], [CSRF], "failed", 200],
  ]) {
    test(name, async (context) => {
      const script = await scripted(context, answer, [401]);
      const result = await createLogout({ gatewayUrl: script.gatewayUrl })();
      assert.deepEqual(script.asked(), asked);
      assert.deepEqual(result, { outcome, status, requestId: null });
      const { headers } = script.requests.at(-1);
      // If a request has a Bearer token, the gateway checks that token alone and leaves the cookies
      // untouched if it is not valid.
      assert.deepEqual([headers["x-csrf-token"], headers.authorization], [undefined, undefined]);
    });
  }
});

describe("without a CSRF token, the client logs out with its Bearer token", () => {
  for (const status of [401, 403, 404, 429, 500, 503]) {
    test(String(status), async (context) => {
      const script = await scripted(context, [status], revoked());
      const session = { access_token: "access" };
      const auth = { getSession: async () => ({ data: { session } }) };
      const { gatewayUrl } = script;
      const { outcome } = await createLogout({ gatewayUrl, supabase: { auth } })();
      assert.equal(outcome, "revoked");
      assert.deepEqual(script.asked(), [CSRF, POST]);
      assert.equal(script.requests[1].headers.authorization, "Bearer access");
    });
  }
});

describe("cookies that did not fit are deleted by further requests", () => {
  for (const [name, answers, posts] of [
    ["until no cookie is left", [revoked(3), [401, { "X-Logout-Cookies-Left": 1 }], [401]], 3],
    ["ten times at most", [revoked(3)], 11],
    ["until a request is lost", [revoked(3), lost], 3],
  ]) {
    test(name, async (context) => {
      const { gatewayUrl, requests, asked } = await scripted(context, csrf, ...answers);
      const { outcome, status } = await createLogout({ gatewayUrl })();
      assert.deepEqual({ outcome, status }, { outcome: "revoked", status: 200 });
      assert.deepEqual(asked(), [CSRF, ...Array(posts).fill(POST)]);
      // The further requests need no session and no CSRF token.
      for (const { headers } of requests.slice(2)) assert.equal(headers["x-csrf-token"], undefined);
    });
  }
});

test("calls during a logout share its result", async (context) => {
  const { gatewayUrl, asked } = await scripted(context, csrf, revoked(), csrf, [401]);
  const logout = createLogout({ gatewayUrl });
  const [first, second] = await Promise.all([logout(), logout()]);
  assert.equal(first, second);
  assert.deepEqual(asked(), [CSRF, POST]);
  assert.equal((await logout()).outcome, "refused");
});

describe("a session that could not be refreshed may still be valid", () => {
  for (const [name, error, outcome] of [
    ["while GoTrue is down", { name: "AuthRetryableFetchError", status: 0 }, "failed"],
    ["because of a rate limit", { code: "over_request_rate_limit", status: 429 }, "failed"],
    ["because the token was used already", { code: "refresh_token_already_used" }, "failed"],
    ["unless GoTrue does not know the token", { code: "refresh_token_not_found" }, "refused"],
    ["unless the session is too old", { code: "session_expired" }, "refused"],
  ]) {
    for (const [how, getSession] of [
      ["returned", async () => ({ data: { session: null }, error })],
      ["thrown", () => Promise.reject(error)],
    ]) {
      test(`${name}, ${how}`, async (context) => {
        const { gatewayUrl, asked } = await scripted(context, [401]);
        const logout = createLogout({ gatewayUrl, supabase: { auth: { getSession } } });
        assert.equal((await logout()).outcome, outcome);
        // The client sends the POST nevertheless, because its response deletes the cookies.
        assert.deepEqual(asked(), [CSRF, POST]);
      });
    }
  }

  test("but an earlier failed refresh does not change the outcome of the next logout", async (context) => {
    const { gatewayUrl } = await scripted(context, [401], [401], csrf, [401]);
    const auth = { getSession: () => Promise.reject(new Error("GoTrue is down")) };
    const logout = createLogout({ gatewayUrl, supabase: { auth } });
    assert.equal((await logout()).outcome, "failed");
    assert.equal((await logout()).outcome, "refused");
  });
});

describe("gatewayUrl may have any form", () => {
  for (const [name, at, path] of [
    ["at a path", (url) => `${url}/auth-gateway`, "/auth-gateway/api/auth/csrf"],
    ["with a slash at the end", (url) => `${url}/`, "/api/auth/csrf"],
    ["as a URL", (url) => new URL(url), "/api/auth/csrf"],
  ]) {
    test(name, async (context) => {
      const { gatewayUrl, asked } = await scripted(context, [401]);
      await createLogout({ gatewayUrl: at(gatewayUrl) })();
      assert.equal(asked()[0], `GET ${path}`);
    });
  }
});
