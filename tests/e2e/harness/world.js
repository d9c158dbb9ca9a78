// A mock for each test file and a world of it for each test, and supabase-js in this world.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { createClient } from "@supabase/supabase-js";

import { NoWebSocket, newUser, startMock } from "../../../clients/js/test/harness.js";
import { connectMock } from "../../../packaging/npm/logout-gateway-mock/index.js";

// Starts a mock with these flags before the tests of a file, and stops it after them.
export function mockOfFile(...flags) {
  const stops = [];
  let mock;
  before(async () => {
    const { url } = await startMock({ after: (stop) => stops.push(stop) }, ...flags);
    mock = await connectMock(url);
  });
  after(() => Promise.all(stops.map((stop) => stop())));
  let worlds = 0;
  return {
    newWorld() {
      worlds += 1;
      return withClients(mock.world(`w${worlds}`));
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

// The world with clients of supabase-js, and with what several tests look for in it.
function withClients(world) {
  const { url, anonKey, serviceRoleKey } = world;
  const client = (auth) => newClient(url, anonKey, auth);
  return {
    ...world,
    // Resolves to the latest mail or text message to this address or number. Fails if there is none yet.
    mailTo: (to) => world.mail({ to, timeout: 0 }),
    // Resolves to the user's row, as administrators see it.
    user: async (id) => (await world.users()).find((user) => user.id === id),
    // Signs later tokens with a new key, and goes on publishing the old one.
    rotateKeys: () => world.rotateKeys({ keepOld: true }),
    advanceClock: world.advance,
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
