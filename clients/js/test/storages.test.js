// Tests which entries the client removes from the storages and cookies of a page. The page is a
// fake here, and a real one in browser.test.js.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { createLogout } from "../index.js";

class FakeStorage {
  #items = new Map();

  constructor(names) {
    for (const name of names) this.setItem(name, "value");
  }

  get length() {
    return this.#items.size;
  }

  key(index) {
    return this.names()[index] ?? null;
  }

  setItem(name, value) {
    this.#items.set(name, value);
  }

  removeItem(name) {
    this.#items.delete(name);
  }

  names() {
    return [...this.#items.keys()];
  }
}

// Returns a `fetch` that answers every request in the same way.
const answering = (status, headers = {}) => async () => new Response(null, { status, headers });

const PLACES = ["localStorage", "sessionStorage", "cookies"];

// Replaces the globals of a page by fakes. `instead` replaces further globals, or removes them.
function page(context, { names = [], places = PLACES, denied = [], instead = {} } = {}) {
  const at = (place) => (places.includes(place) ? names : []);
  const written = [];
  const announced = [];
  const closed = [];
  const deny = () => { throw new DOMException("denied", "SecurityError"); };
  const globals = {
    localStorage: new FakeStorage(at("localStorage")),
    sessionStorage: new FakeStorage(at("sessionStorage")),
    location: { hostname: "app.example.com" },
    document: {
      get cookie() {
        if (denied.includes("cookies")) deny();
        return at("cookies").map((name) => `${name}=value=`).join("; ");
      },
      set cookie(line) { written.push(line); },
    },
    BroadcastChannel: class {
      constructor(name) { this.name = name; }
      postMessage(message) { announced.push({ channel: this.name, ...message }); }
      close() { closed.push(this.name); }
    },
    ...instead,
  };
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    const now = denied.includes(name) ? { get: deny } : { value };
    Object.defineProperty(globalThis, name, { ...now, configurable: true });
    context.after(() => {
      if (before) Object.defineProperty(globalThis, name, before);
      else delete globalThis[name];
    });
  }
  const left = () => (
    [globals.localStorage, globals.sessionStorage].map((storage) => storage?.names() ?? [])
  );
  return { left, written, announced, closed };
}

const suffixes = ["", ".0", ".12", "-user", "-code-verifier", "-code-verifier.0",
  "-flows-code-verifier", "-flow-0123456789-code-verifier"];
const otherSuffixes = ["-other", "x", ".x", "-user-x", "/"];
const CSRF = "sb-csrf-token";

function client(storageKey) {
  const calls = [];
  const auth = {
    storageKey,
    getSession: async () => ({ data: { session: null } }),
    onAuthStateChange: () => {},
    _removeSession: async () => { calls.push("_removeSession"); },
  };
  return { calls, supabase: { auth } };
}

describe("names of the session are removed, others stay", () => {
  const named = (key, list) => list.map((suffix) => `${key}${suffix}`);
  const elsewhere = ["theme", "sb-auth-token", "x-sb-a-auth-token"];
  for (const [name, options, ours, others] of [
    ["without a client, of any project", {},
      [...named("sb-a-auth-token", suffixes), ...named("sb-b-auth-token", suffixes), CSRF],
      [...named("sb-a-auth-token", otherSuffixes), ...elsewhere]],
    ["with a client, of its key", client("sb-a-auth-token"),
      [...named("sb-a-auth-token", suffixes), CSRF],
      [...named("sb-a-auth-token", otherSuffixes), ...named("sb-b-auth-token", suffixes), ...elsewhere]],
    ["with a client of another key", client("my.app(1)"),
      [...named("my.app(1)", suffixes), CSRF],
      [...named("my.app(1)", otherSuffixes), "my-app(1)", ...elsewhere]],
  ]) {
    for (const place of PLACES) {
      test(`${name}, in ${place}`, async (context) => {
        const { left, written } = page(context, { names: [...others, ...ours], places: [place] });
        await createLogout({ ...options, fetch: answering(401) })();
        const stay = (storage) => (storage === place ? others : []);
        assert.deepEqual(left(), [stay("localStorage"), stay("sessionStorage")]);
        const expired = new Set(written.map((line) => line.split("=")[0]));
        assert.deepEqual(expired, new Set(place === "cookies" ? ours : []));
      });
    }
  }
});

const DELETION = "sb-a-auth-token=; path=/; max-age=0; domain=";
const DELETIONS = ["", "samesite=none; secure; partitioned", "samesite=none; secure"]
  .flatMap((attributes) => (
    ["app.example.com", "example.com", "com", ""].map((domain) => `${DELETION}${domain}; ${attributes}`)
  ));

test("a cookie is expired at the host, each parent domain and no domain, also in frames", async (context) => {
  const { written } = page(context, { names: ["sb-a-auth-token"] });
  await createLogout({ fetch: answering(401) })();
  assert.deepEqual(written, DELETIONS);
});

describe("no deletion follows the one that succeeded", () => {
  for (const [index, deletion] of DELETIONS.entries()) {
    test(deletion, async (context) => {
      const written = [];
      const document = {
        get cookie() { return written.includes(deletion) ? "" : "sb-a-auth-token=value"; },
        set cookie(line) { written.push(line); },
      };
      page(context, { instead: { document } });
      await createLogout({ fetch: answering(401) })();
      assert.deepEqual(written, DELETIONS.slice(0, index + 1));
    });
  }
});

test("cookies after a nameless cookie are expired too", async (context) => {
  const cookie = "nameless; sb-a-auth-token.0=value=; theme=dark; sb-a-auth-token.1=value";
  const written = [];
  const document = { get cookie() { return cookie; }, set cookie(line) { written.push(line); } };
  page(context, { instead: { document } });
  await createLogout({ fetch: answering(401) })();
  const expired = new Set(written.map((line) => line.split("=")[0]));
  assert.deepEqual([...expired], ["sb-a-auth-token.0", "sb-a-auth-token.1"]);
});

test("keys that are stored during the request are removed too", async (context) => {
  const { left } = page(context);
  const fetch = async () => {
    localStorage.setItem("sb-a-auth-token", "refreshed");
    return answering(401)();
  };
  await createLogout({ fetch })();
  assert.deepEqual(left(), [[], []]);
});

describe("the session is removed whatever the response, unless the scope is others", () => {
  const offline = async () => { throw new TypeError("fetch failed"); };
  for (const [name, scope, fetch, isRemoved] of [
    ["revoked", "local", answering(200, { "X-Logout-Outcome": "revoked" }), true],
    ["failed", "global", answering(500), true],
    ["refused", "local", answering(403), true],
    ["offline", "global", offline, true],
    ["others", "others", answering(200, { "X-Logout-Outcome": "revoked" }), false],
    ["others, offline", "others", offline, false],
  ]) {
    test(name, async (context) => {
      const names = ["sb-a-auth-token"];
      const { left, written } = page(context, { names });
      const { calls, supabase } = client("sb-a-auth-token");
      await createLogout({ scope, fetch, supabase })();
      assert.deepEqual(left(), isRemoved ? [[], []] : [names, names]);
      assert.equal(written.length > 0, isRemoved);
      assert.deepEqual(calls, isRemoved ? ["_removeSession"] : []);
    });
  }
});

describe("without _removeSession, the module itself notifies the other tabs", () => {
  const { supabase } = client("sb-a-auth-token");
  delete supabase.auth._removeSession;
  for (const [name, options, ours, isNotified] of [
    ["no client", {}, "sb-a-auth-token", true],
    ["no client, and a session in chunks", {}, "sb-a-auth-token.0", true],
    ["a client of a version without _removeSession", { supabase }, "sb-a-auth-token", true],
    ["a client that notifies the other tabs itself", client("sb-a-auth-token"), "sb-a-auth-token", false],
  ]) {
    test(name, async (context) => {
      const { announced, closed } = page(context, { names: [ours] });
      await createLogout({ ...options, fetch: answering(401) })();
      const message = { channel: "sb-a-auth-token", event: "SIGNED_OUT", session: null };
      assert.deepEqual(announced[0], isNotified ? message : undefined);
      assert.deepEqual(closed, announced.map(({ channel }) => channel));
    });
  }
});

describe("a storage that the browser denies does not stop the removal from the others", () => {
  for (const denied of [["localStorage"], ["sessionStorage"], ["cookies"], PLACES]) {
    test(denied.join(" and "), async (context) => {
      const names = ["sb-a-auth-token"];
      const { left, written } = page(context, { names, denied });
      const { calls, supabase } = client("sb-a-auth-token");
      const { status } = await createLogout({ supabase, fetch: answering(401) })();
      assert.equal(status, 401);
      const kept = (storage) => (denied.includes(storage) ? names : []);
      assert.deepEqual(left(), [kept("localStorage"), kept("sessionStorage")]);
      assert.equal(written.length > 0, !denied.includes("cookies"));
      assert.deepEqual(calls, ["_removeSession"]);
    });
  }
});

describe("an API that the runtime lacks does not stop the removal from the others", () => {
  for (const [name, lacks] of [
    ["no localStorage, as in an Android WebView", { localStorage: null }],
    ["no sessionStorage", { sessionStorage: null }],
    ["no storages, as in Node", { localStorage: undefined, sessionStorage: undefined }],
    ["no BroadcastChannel", { BroadcastChannel: undefined }],
    ["no document, as in Deno", { document: undefined, location: undefined }],
  ]) {
    for (const [which, made] of [["with a client", client("sb-a-auth-token")], ["without a client", {}]]) {
      test(`${name}, ${which}`, async (context) => {
        const names = ["sb-a-auth-token"];
        const { left, written, announced } = page(context, { names, instead: lacks });
        const { status } = await createLogout({ ...made, fetch: answering(401) })();
        assert.equal(status, 401);
        assert.deepEqual(left(), [[], []]);
        assert.equal(written.length > 0, !("document" in lacks));
        assert.equal(announced.length, made.supabase || "BroadcastChannel" in lacks ? 0 : 1);
        assert.deepEqual(made.calls, made.supabase && ["_removeSession"]);
      });
    }
  }
});

describe("the session of a broken client is removed", () => {
  const broken = () => { throw new Error("broken"); };
  for (const [name, change, expected = "refused"] of [
    ["_removeSession throws", { _removeSession: broken }],
    ["_removeSession rejects", { _removeSession: async () => broken() }],
    ["getSession throws", { getSession: broken }, "failed"],
    ["getSession rejects", { getSession: async () => broken() }, "failed"],
    ["getSession returns undefined", { getSession: () => {} }],
    ["no onAuthStateChange", { onAuthStateChange: undefined }],
    ["no storageKey", { storageKey: undefined }],
  ]) {
    test(name, async (context) => {
      const { left } = page(context, { names: ["sb-a-auth-token"] });
      const { auth } = client("sb-a-auth-token").supabase;
      const supabase = { auth: { ...auth, ...change } };
      const { outcome } = await createLogout({ supabase, fetch: answering(401) })();
      assert.equal(outcome, expected);
      assert.deepEqual(left(), [[], []]);
    });
  }
});

test("SIGNED_OUT without a sessionStorage causes no error", async (context) => {
  page(context, { names: ["sb-a-auth-token"], instead: { sessionStorage: null } });
  const { supabase } = client("sb-a-auth-token");
  const heard = [];
  supabase.auth.onAuthStateChange = (callback) => { heard.push(callback); };
  createLogout({ supabase });
  heard.forEach((callback) => callback("SIGNED_OUT"));
  assert.equal(heard.length, 1);
});
