// Tests the client in real pages: in Chromium, with the real supabase-js and @supabase/ssr, the
// gateway and the mock of GoTrue.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { request as forward } from "node:http";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { chromium } from "playwright-core";

import { eventually, newUser, startGateway, startMock, startServer } from "./harness.js";

const KEY = "sb-127-auth-token";
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

let browser;
let files;

before(async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { createClient } from "@supabase/supabase-js";
        export { createBrowserClient } from "@supabase/ssr";`,
      resolveDir: here(".."),
    },
    bundle: true,
    format: "esm",
    write: false,
  });
  files = {
    "/": ["text/html", "<!doctype html><title>App</title>"],
    "/index.js": ["text/javascript", await readFile(here("../index.js"))],
    "/supabase.js": ["text/javascript", outputFiles[0].text],
  };
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--host-resolver-rules=MAP *.example.test 127.0.0.1"],
  });
});

after(() => browser.close());

// Sets the request's cookies again as HttpOnly ones, as an app does that hides them from scripts.
function hideCookies(request, response) {
  const cookies = request.headers.cookie.split("; ").map((cookie) => `${cookie}; Path=/; HttpOnly`);
  response.writeHead(200, { "Set-Cookie": cookies }).end();
}

// Starts the app's own server: its pages, with the gateway and GoTrue on the same origin.
async function startApp(context, mock, gateway) {
  const upstream = (path) => {
    if (path.startsWith("/api/")) return gateway;
    return path.startsWith("/auth/v1/") ? mock.url : null;
  };
  return startServer(context, (request, response) => {
    const { method, url, headers } = request;
    if (upstream(url)) {
      const onward = forward(`${upstream(url)}${url}`, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    } else if (url === "/hide-cookies") {
      hideCookies(request, response);
    } else {
      const [type, body] = files[url] ?? ["text/plain", ""];
      response.writeHead(200, { "Content-Type": type }).end(body);
    }
  }, { maxHeaderSize: 128 * 1024 });
}

async function startAll(context, ...flags) {
  const mock = await startMock(context);
  const gateway = await startGateway(context, mock, ...flags);
  const app = await startApp(context, mock, gateway);
  const profile = await browser.newContext();
  context.after(() => profile.close());
  return { mock, gateway, app, profile };
}

const CLIENTS = {
  ssr: ({ createBrowserClient }) => createBrowserClient(location.origin, "any"),
  localStorage: ({ createClient }) => createClient(location.origin, "any"),
  sessionStorage: ({ createClient }) => (
    createClient(location.origin, "any", { auth: { storage: sessionStorage } })
  ),
};

// Opens a tab whose app has a Supabase client, records the client's events, and can log out.
async function openTab({ profile, url, kind = "ssr", given = true, options = {} }) {
  const tab = await profile.newPage();
  await tab.goto(url);
  const args = [CLIENTS[kind].toString(), given, options];
  await tab.evaluate(async ([makeClient, isGiven, others]) => {
    const library = await import("/supabase.js");
    const { createLogout } = await import("/index.js");
    window.supabase = (0, eval)(`(${makeClient})`)(library);
    window.events = [];
    window.supabase.auth.onAuthStateChange((event) => { window.events.push(event); });
    const client = isGiven ? { supabase: window.supabase } : {};
    window.logout = createLogout({ ...others, ...client });
    await window.supabase.auth.getSession();
  }, args);
  return tab;
}

function signIn(tab, user, data = {}) {
  return tab.evaluate(async ([credentials, about]) => {
    await window.supabase.auth.signUp({ ...credentials, options: { data: about } });
  }, [user, data]);
}

const logOut = (tab) => tab.evaluate(() => window.logout());
const events = (tab, kind) => (
  tab.evaluate((name) => window.events.filter((event) => event === name).length, kind)
);
const hasSession = (tab) => (
  tab.evaluate(async () => Boolean((await window.supabase.auth.getSession()).data.session))
);
const stored = (tab) => tab.evaluate(() => (
  [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...document.cookie.split("; ")]
    .filter((name) => name.startsWith("sb-"))
));

const cookieNames = async (profile) => (await profile.cookies()).map(({ name }) => name);

async function assertSignedOut(tab) {
  await eventually("SIGNED_OUT fires", () => events(tab, "SIGNED_OUT"));
  assert.equal(await hasSession(tab), false);
  assert.deepEqual(await stored(tab), []);
}

describe("a logout in one tab signs the other one out", () => {
  for (const [kind, given] of [
    ["ssr", true], ["ssr", false], ["localStorage", true], ["sessionStorage", true],
  ]) {
    test(`${kind}, the client ${given ? "given" : "not given"}`, async (context) => {
      const { mock, app: { url }, profile } = await startAll(context);
      const tab = await openTab({ profile, url, kind, given });
      const user = newUser();
      await signIn(tab, user);
      const other = await openTab({ profile, url, kind, given });
      // Each tab has its own sessionStorage, and so its own session.
      if (kind === "sessionStorage") await signIn(other, newUser());
      assert.deepEqual([await hasSession(tab), await hasSession(other)], [true, true]);

      const { outcome, status, requestId } = await logOut(tab);

      assert.deepEqual({ outcome, status }, { outcome: "revoked", status: 200 });
      assert.ok(requestId);
      await assertSignedOut(tab);
      await assertSignedOut(other);
      assert.equal(await events(tab, "SIGNED_OUT"), 1);
      assert.equal(await events(other, "SIGNED_OUT"), 1);
      assert.ok((await mock.sessions()).every(({ email }) => email !== user.email));
      assert.deepEqual(await mock.logouts(), ["logout-gateway"]);

      for (const page of [tab, other]) await page.close();
      const later = await openTab({ profile, url, kind });
      assert.equal(await hasSession(later), false);
    });
  }
});

test("a refresh in progress in another tab does not restore the session", async (context) => {
  const { app: { url }, profile } = await startAll(context);
  const [tab, other] = [await openTab({ profile, url }), await openTab({ profile, url })];
  await signIn(tab, newUser());
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  const answered = new Promise((resolve) => {
    other.route("**/token?grant_type=refresh_token", async (route) => {
      const response = await route.fetch();
      resolve();
      await released;
      await route.fulfill({ response });
    });
  });
  await other.evaluate(() => { window.refresh = window.supabase.auth.refreshSession(); });
  await answered;

  assert.equal((await logOut(tab)).outcome, "revoked");
  release();
  await other.evaluate(() => window.refresh);

  await assertSignedOut(other);
  await assertSignedOut(tab);
});

describe("a late sign-out message does not end a new session", () => {
  for (const kind of ["ssr", "localStorage"]) {
    test(kind, async (context) => {
      const { app: { url }, profile } = await startAll(context);
      const open = () => openTab({ profile, url, kind });
      const [tab, other] = [await open(), await open()];
      await signIn(tab, newUser());
      await logOut(tab);
      await assertSignedOut(other);
      await signIn(other, newUser());
      // Simulate a tab that was frozen: the message of the first logout arrives only now.
      await other.evaluate((key) => {
        new BroadcastChannel(key).postMessage({ event: "SIGNED_OUT", session: null });
      }, KEY);
      await eventually("the late message arrives", async () => await events(tab, "SIGNED_OUT") > 1);
      assert.deepEqual([await hasSession(tab), await hasSession(other)], [true, true]);
    });
  }
});

test("all cookies that scripts cannot read are deleted", async (context) => {
  const { mock, app: { url }, profile } = await startAll(context, "--set-cookie-budget", "256");
  const tab = await openTab({ profile, url, given: false });
  await signIn(tab, newUser(), { about: "x".repeat(2_000) });
  await tab.evaluate(() => fetch("/hide-cookies"));
  assert.deepEqual(await stored(tab), []);
  assert.ok((await cookieNames(profile)).length > 4);

  assert.equal((await logOut(tab)).outcome, "revoked");

  assert.deepEqual(await cookieNames(profile), []);
  assert.deepEqual(await mock.sessions(), []);
});

test("cookies are deleted at every domain for which they may have been set", async (context) => {
  const { app, profile } = await startAll(context);
  const { port } = new URL(app.url);
  const tab = await profile.newPage();
  await tab.goto(`http://a.b.example.test:${port}/`);
  const domains = ["", "a.b.example.test", "b.example.test", "example.test"];
  await tab.evaluate(([key, all]) => {
    all.forEach((domain, index) => {
      document.cookie = `${key}.${index}=x; path=/; domain=${domain}`;
    });
    document.cookie = "theme=dark; path=/";
  }, [KEY, domains]);
  assert.equal((await cookieNames(profile)).length, 5);
  // Only the module can delete these cookies: the gateway would refuse them, and is offline here.
  await tab.evaluate(async () => {
    const { createLogout } = await import("/index.js");
    await createLogout({ fetch: () => Promise.reject(new TypeError("offline")) })();
  });
  assert.deepEqual(await cookieNames(profile), ["theme"]);
});

test("a gateway of another site receives a Bearer token", async (context) => {
  const mock = await startMock(context);
  const app = await startApp(context, mock, null);
  const origin = app.url.replace("127.0.0.1", "localhost");
  const gatewayUrl = await startGateway(context, mock, "--allowed-origins", origin);
  const profile = await browser.newContext();
  context.after(() => profile.close());
  const tab = await openTab({ profile, url: origin, options: { gatewayUrl } });
  await signIn(tab, newUser());

  const { outcome, status, requestId } = await logOut(tab);

  assert.deepEqual({ outcome, status }, { outcome: "revoked", status: 200 });
  assert.ok(requestId);
  assert.deepEqual(await mock.sessions(), []);
  await assertSignedOut(tab);
});

describe("the session stays after others, and is removed after a failed logout", () => {
  for (const [name, scope, fault, outcome, isRemoved] of [
    ["others", "others", null, "revoked", false],
    ["failed", "local", { operation: "logout", kind: "status", status: 503 }, "failed", true],
  ]) {
    test(name, async (context) => {
      const { mock, app: { url }, profile } = await startAll(context);
      const tab = await openTab({ profile, url, options: { scope } });
      await signIn(tab, newUser());
      if (fault) await mock.fault(fault);
      assert.equal((await logOut(tab)).outcome, outcome);
      assert.equal(await hasSession(tab), !isRemoved);
      assert.equal((await stored(tab)).some((item) => item.startsWith(KEY)), !isRemoved);
    });
  }
});
