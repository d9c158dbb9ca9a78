// What the client makes of answers, and of none: servers that answer by a script.

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

// One answer for each request, the last for all that follow.
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
  const watched = (url, options) => {
    credentials.push(options.credentials);
    return fetch(url, options);
  };
  await createLogout({ gatewayUrl, scope: "global", fetch: watched })();
  assert.deepEqual(asked(), [CSRF, "POST /api/auth/logout?scope=global"]);
  assert.equal(requests[1].headers["x-csrf-token"], "token");
  assert.deepEqual(credentials, ["include", "include"]);
});

describe("an outcome is the gateway's word, and else what the status means", () => {
  const said = (outcome) => ({ "X-Logout-Outcome": outcome, "X-Request-Id": "id" });
  for (const [status, headers, outcome] of [
    [200, said("revoked"), "revoked"],
    [200, said("already-ended"), "already-ended"],
    [202, said("queued"), "queued"],
    [500, said("failed"), "failed"],
    [429, said("failed"), "failed"],
    [401, said("failed"), "failed"],
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
      // Nobody waits for Retry-After.
      assert.deepEqual(asked(), [CSRF, POST]);
    });
  }
});

describe("a lost request is sent once more", () => {
  for (const [name, answers, asked, outcome] of [
    ["the first", [lost, csrf, revoked()], [CSRF, CSRF, POST], "revoked"],
    ["the second", [csrf, lost, revoked()], [CSRF, POST, POST], "revoked"],
    ["the first, twice", [lost], [CSRF, CSRF], "offline"],
    ["the second, twice", [csrf, lost], [CSRF, POST, POST], "offline"],
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

// How long it takes, by a clock that stands still while there is anything else to do.
async function took(context, logout) {
  let result;
  logout().then((value) => { result = value; });
  for (let seconds = 0; seconds <= 60; seconds += 1) {
    await new Promise(setImmediate);
    if (result) return { outcome: result.outcome, seconds };
    context.mock.timers.tick(1_000);
  }
  throw new Error("it still waits");
}

test("a request that is given up is aborted", async (context) => {
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

test("a script ends with its logout", async () => {
  const script = `import { createLogout } from "./index.js";
    const fetch = async () => new Response(null, { status: 401 });
    console.log((await createLogout({ gatewayUrl: "http://a.test", fetch })()).outcome);`;
  const flags = ["--input-type=module", "--eval", script];
  const options = { cwd: new URL("..", import.meta.url), timeout: 5_000 };
  const { stdout } = await promisify(execFile)(process.execPath, flags, options);
  assert.equal(stdout, "refused\n");
});

describe("nobody waits for ever", () => {
  const never = () => new Promise(() => {});
  const refused = async () => new Response(null, { status: 401 });
  const headless = async () => Object.assign(new Response("{"), { json: never });
  for (const [name, options, outcome, seconds] of [
    ["for a gateway", { fetch: never }, "offline", 20],
    ["for the rest of an answer", { fetch: headless }, "failed", 10],
    ["for a refresh", { auth: { getSession: never }, fetch: refused }, "failed", 10],
    ["for a subscriber", { auth: { getSession: refused, _removeSession: never }, fetch: refused },
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

describe("what csrf answers decides what is asked next", () => {
  for (const [name, answer, asked, outcome, status] of [
    ["no session: the POST deletes what cookies there are", [401], [CSRF, POST], "refused", 401],
    ["a foreign page", [403], [CSRF], "failed", 403],
    ["too much at once", [503], [CSRF], "failed", 503],
    ["nobody can judge the token", [500], [CSRF], "failed", 500],
    ["a page, so that is no gateway", [200, {}, "<!doctype html>"], [CSRF], "failed", 200],
    ["another server's JSON", [200, {}, "{}"], [CSRF], "failed", 200],
  ]) {
    test(name, async (context) => {
      const script = await scripted(context, answer, [401]);
      const result = await createLogout({ gatewayUrl: script.gatewayUrl })();
      assert.deepEqual(script.asked(), asked);
      assert.deepEqual(result, { outcome, status, requestId: null });
      const { headers } = script.requests.at(-1);
      // A Bearer decides alone: with one that is none, the gateway would leave the cookies.
      assert.deepEqual([headers["x-csrf-token"], headers.authorization], [undefined, undefined]);
    });
  }
});

describe("whatever csrf refuses for, a Bearer is posted", () => {
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
    ["until none is left", [revoked(3), [401, { "X-Logout-Cookies-Left": 1 }], [401]], 3],
    ["ten times at most", [revoked(3)], 11],
    ["until one is lost", [revoked(3), lost], 3],
  ]) {
    test(name, async (context) => {
      const { gatewayUrl, requests, asked } = await scripted(context, csrf, ...answers);
      const { outcome, status } = await createLogout({ gatewayUrl })();
      assert.deepEqual({ outcome, status }, { outcome: "revoked", status: 200 });
      assert.deepEqual(asked(), [CSRF, ...Array(posts).fill(POST)]);
      // They need no session.
      for (const { headers } of requests.slice(2)) assert.equal(headers["x-csrf-token"], undefined);
    });
  }
});

test("calls while a logout is under way share it", async (context) => {
  const { gatewayUrl, asked } = await scripted(context, csrf, revoked(), csrf, [401]);
  const logout = createLogout({ gatewayUrl });
  const [one, other] = await Promise.all([logout(), logout()]);
  assert.equal(one, other);
  assert.deepEqual(asked(), [CSRF, POST]);
  assert.equal((await logout()).outcome, "refused");
});

describe("a session that could not be refreshed may live on", () => {
  for (const [name, error, outcome] of [
    ["while GoTrue is down", { name: "AuthRetryableFetchError", status: 0 }, "failed"],
    ["for it was asked too often", { code: "over_request_rate_limit", status: 429 }, "failed"],
    ["for the token was used already", { code: "refresh_token_already_used" }, "failed"],
    ["unless GoTrue knows no such token", { code: "refresh_token_not_found" }, "refused"],
    ["unless it is too old", { code: "session_expired" }, "refused"],
  ]) {
    for (const [how, getSession] of [
      ["told", async () => ({ data: { session: null }, error })],
      ["thrown", () => Promise.reject(error)],
    ]) {
      test(`${name}, ${how}`, async (context) => {
        const { gatewayUrl, asked } = await scripted(context, [401]);
        const logout = createLogout({ gatewayUrl, supabase: { auth: { getSession } } });
        assert.equal((await logout()).outcome, outcome);
        // The cookies that there are go all the same.
        assert.deepEqual(asked(), [CSRF, POST]);
      });
    }
  }

  test("until the next logout, which judges anew", async (context) => {
    const { gatewayUrl } = await scripted(context, [401], [401], csrf, [401]);
    const auth = { getSession: () => Promise.reject(new Error("GoTrue is down")) };
    const logout = createLogout({ gatewayUrl, supabase: { auth } });
    assert.equal((await logout()).outcome, "failed");
    assert.equal((await logout()).outcome, "refused");
  });
});

describe("the gateway may be anywhere", () => {
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
