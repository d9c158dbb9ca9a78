// Starts the gateway, the mock of GoTrue and scripted servers for the tests, and makes Supabase
// clients.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { createClient } from "@supabase/supabase-js";

const BUILT = fileURLToPath(new URL("../../../target/debug/logout-gateway", import.meta.url));
const BINARY = process.env.GATEWAY_BINARY ?? BUILT;
const TIME_LIMIT_MS = 20_000;

export async function eventually(what, check) {
  const end = Date.now() + TIME_LIMIT_MS;
  while (Date.now() < end) {
    const found = await check();
    if (found) return found;
    await pause(20);
  }
  throw new Error(`has not happened in time: ${what}`);
}

// Starts the binary. Resolves to the address in its first output line that has `marker`.
export async function start(context, flags, marker = "listening", env = {}) {
  const child = spawn(BINARY, flags, { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve, reject) => child.on("exit", resolve).on("error", reject));
  context.after(() => {
    child.kill();
    return ended;
  });
  const address = new Promise((resolve) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on("line", (line) => {
        if (line.includes(marker)) resolve(line.match(/127\.0\.0\.1:\d+/)[0]);
      });
    }
  });
  const none = ended.then((status) => { throw new Error(`${BINARY} ended with ${status}`); });
  return `http://${await Promise.race([address, none])}`;
}

async function json(url, options) {
  const response = await fetch(url, options);
  return response.status === 204 ? null : response.json();
}

export async function startMock(context, ...flags) {
  const url = await start(context, ["mock", "--bind", "127.0.0.1:0", ...flags]);
  const post = (path, body) => fetch(`${url}/mock${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return {
    url,
    sessions: () => json(`${url}/mock/sessions`),
    endSession: (id) => fetch(`${url}/mock/sessions/${id}`, { method: "DELETE" }),
    fault: (fault) => post("/faults", fault),
    repair: () => fetch(`${url}/mock/faults`, { method: "DELETE" }),
    // Resolves to the names of the clients that called GoTrue's logout, from `X-Client-Info`.
    async logouts() {
      const calls = await json(`${url}/mock/calls`);
      const logouts = calls.filter(({ path }) => path.endsWith("/logout"));
      return logouts.map(({ headers }) => new Headers(headers).get("x-client-info").split("/")[0]);
    },
  };
}

export async function startGateway(context, mock, ...flags) {
  const bind = ["--bind", "127.0.0.1:0", "--admin-bind", "off", "--supabase-url", mock.url];
  const secret = { GATEWAY_SECRET: "a secret of the tests, 32 bytes or more" };
  const url = await start(context, ["serve", ...bind, ...flags], "listening", secret);
  await eventually("the gateway is ready", async () => (await fetch(`${url}/readyz`)).ok);
  return url;
}

// Starts a server that answers by `handle` and records the requests.
export async function startServer(context, handle, options = {}) {
  const requests = [];
  const server = createServer(options, (request, response) => {
    requests.push(request);
    handle(request, response);
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  context.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => { server.close(resolve); });
  });
  return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

// supabase-js needs a WebSocket class for Realtime, and Node 20 has none. No test uses Realtime.
export class NoWebSocket {}

export function supabaseClient(url, auth = {}, fetch = globalThis.fetch) {
  return createClient(url, "any", {
    auth: { autoRefreshToken: false, ...auth },
    global: { fetch },
    realtime: { transport: NoWebSocket },
  });
}

let users = 0;

export function newUser() {
  users += 1;
  return { email: `user-${users}@example.com`, password: "a password" };
}

export async function signedIn(url, user = newUser(), ...options) {
  const supabase = supabaseClient(url, ...options);
  await supabase.auth.signUp(user);
  await supabase.auth.signInWithPassword(user);
  const { data: { session } } = await supabase.auth.getSession();
  return { supabase, session };
}
