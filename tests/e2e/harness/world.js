// A mock for each test file and a world of it for each test, and supabase-js in this world.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { createClient } from "@supabase/supabase-js";

import { NoWebSocket, newUser, startMock } from "../../../clients/js/test/harness.js";

// Starts a mock with these flags before the tests of a file, and stops it after them.
export function mockOfFile(...flags) {
  const stops = [];
  let project;
  before(async () => {
    const { url } = await startMock({ after: (stop) => stops.push(stop) }, ...flags);
    project = await (await fetch(`${url}/mock/project`)).json();
  });
  after(() => Promise.all(stops.map((stop) => stop())));
  let worlds = 0;
  return {
    newWorld() {
      worlds += 1;
      return worldAt(`${project.url}/mock/worlds/w${worlds}`, project);
    },
  };
}

// Resolves to `data`. The test fails if the call has an error.
export async function dataOf(call) {
  const { data, error } = await call;
  assert.ifError(error);
  return data;
}

// Resolves to what identifies the call's error. The test fails if the call succeeds.
export async function errorOf(call) {
  const { error } = await call;
  assert.ok(error, "the call must fail");
  const { name, status, code } = error;
  return { name, status, code };
}

// Resolves to the address to which a link leads, without following it.
export async function redirectOf(link) {
  const response = await fetch(link, { redirect: "manual" });
  return new URL(response.headers.get("Location"));
}

async function newClient(url, key, auth = {}) {
  const supabase = createClient(url, key, {
    auth: { autoRefreshToken: false, ...auth },
    realtime: { transport: NoWebSocket },
  });
  const events = [];
  await new Promise((resolve) => {
    supabase.auth.onAuthStateChange((event) => {
      events.push(event);
      resolve();
    });
  });
  // Every client begins with INITIAL_SESSION.
  assert.deepEqual(events.splice(0), ["INITIAL_SESSION"]);
  return { auth: supabase.auth, events };
}

function worldAt(url, { anon_key: anonKey, service_role_key: serviceRoleKey }) {
  const request = async (method, path, body) => {
    const response = await fetch(`${url}/mock${path}`, { method, body: JSON.stringify(body) });
    assert.ok(response.ok, `${method} ${path}: ${response.status}`);
    return response.status === 204 ? null : response.json();
  };
  const mails = () => request("GET", "/mails");
  const client = (auth) => newClient(url, anonKey, auth);
  return {
    url,
    anonKey,
    serviceRoleKey,
    mails,
    // Resolves to the latest mail or text message to this address or number.
    async mailTo(to) {
      const mail = (await mails()).findLast((each) => each.to === to);
      assert.ok(mail, `a mail to ${to}`);
      return mail;
    },
    users: () => request("GET", "/users"),
    // Resolves to the user's row, as administrators see it.
    user: async (id) => (await request("GET", "/users")).find((user) => user.id === id),
    sessions: () => request("GET", "/sessions"),
    calls: () => request("GET", "/calls"),
    // Signs later tokens with a new key, and goes on publishing the old one.
    rotateKeys: () => request("POST", "/keys/rotate", { keep_old: true }),
    fault: (fault) => request("POST", "/faults", fault),
    advanceClock: (advance) => request("POST", "/clock", { advance }),
    // A client of its own, as on another device, and the events that it emits.
    client,
    admin: () => createClient(url, serviceRoleKey, {
      auth: { autoRefreshToken: false, persistSession: false },
      realtime: { transport: NoWebSocket },
    }).auth.admin,
    // A client that a new user has signed up with. The mock must confirm users at once.
    async signedIn(user = newUser(), auth = {}) {
      const device = await client(auth);
      const { session } = await dataOf(device.auth.signUp(user));
      device.events.splice(0);
      return { ...device, user, session };
    },
  };
}
