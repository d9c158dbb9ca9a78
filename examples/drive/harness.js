// What the tests stand on: the demo, the apps, and the cookies of a session.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const BUILT = fileURLToPath(new URL("../../target/debug/logout-gateway", import.meta.url));
const BINARY = process.env.GATEWAY_BINARY ?? BUILT;
const PATIENCE = 60_000;
const KEY = "sb-127-auth-token";

export async function eventually(what, check) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const found = await check();
    if (found) return found;
    await pause(50);
  }
  throw new Error(`never: ${what}`);
}

// Ends with the test, and what it started with it.
function run(context, command, flags, options) {
  const stdio = ["ignore", "pipe", "pipe"];
  const child = spawn(command, flags, { stdio, detached: true, ...options });
  child.output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => { child.output += text; });
  }
  child.ended = new Promise((resolve, reject) => child.on("close", resolve).on("error", reject));
  context.after(async () => {
    if ((child.exitCode ?? child.signalCode) === null) process.kill(-child.pid);
    await child.ended;
  });
  return child;
}

// Until it has said or done what is waited for; if it ends before, what it said is the error.
function outlived(child, wait) {
  const ended = child.ended.then(() => { throw new Error(`it ended: ${child.output}`); });
  return Promise.race([wait, ended]);
}

// The mock's control endpoints.
function controls(gotrue) {
  const json = async (path, options) => (await fetch(`${gotrue}${path}`, options)).json();
  const post = (path, body) => fetch(`${gotrue}${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return {
    sessions: () => json("/mock/sessions"),
    endSession: (id) => fetch(`${gotrue}/mock/sessions/${id}`, { method: "DELETE" }),
    calls: (ending) => json("/mock/calls")
      .then((calls) => calls.filter(({ path }) => path.endsWith(ending))),
    fault: (fault) => post("/mock/faults", fault),
    repair: () => fetch(`${gotrue}/mock/faults`, { method: "DELETE" }),
    signUp: (user) => post("/auth/v1/signup", user).then((answer) => answer.json()),
    refresh: (refreshToken) => post("/auth/v1/token?grant_type=refresh_token", {
      refresh_token: refreshToken,
    }).then((answer) => answer.json()),
  };
}

// The output names both addresses.
async function startGateway(context, flags, pattern) {
  const child = run(context, BINARY, flags, { env: {} });
  const shown = eventually(`${flags[0]} shows its addresses`, () => child.output.match(pattern));
  const { groups: { gateway, gotrue } } = await outlived(child, shown);
  return { gateway, gotrue, ...controls(gotrue) };
}

export const startDemo = (context) => startGateway(
  context,
  ["demo", "--bind", "127.0.0.1:0"],
  /^The gateway +(?<gateway>\S+)\nGoTrue +(?<gotrue>\S+)/m,
);

// A mock whose access tokens expire soon, and a gateway.
export const startMock = (context, tokenLifetime) => startGateway(
  context,
  ["mock", "--gateway", "--bind", "127.0.0.1:0", "--token-lifetime", tokenLifetime],
  /^listening on (?<gotrue>\S+)\nthe gateway listens on (?<gateway>\S+)/m,
);

// The apps tell no port that was chosen for them before they need to know it.
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// Next.js stores the addresses of its rewrites in the build: build anew if a test uses them.
export async function startApp(context, name, demo, { isBuilt = false } = {}) {
  const cwd = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    GATEWAY_URL: demo.gateway,
    SUPABASE_URL: demo.gotrue,
    PORT: port,
    ORIGIN: url,
  };
  if (!isBuilt) {
    const build = run(context, "npm", ["run", "build"], { cwd, env });
    if (await build.ended) throw new Error(build.output);
  }
  const app = run(context, "npm", ["start"], { cwd, env });
  await outlived(app, eventually(`${name} answers`, () => fetch(url).catch(() => null)));
  return url;
}

// As a Cookie header has them.
export const cookieHeader = (cookies) => (
  cookies.map(({ name, value }) => `${name}=${value}`).join("; ")
);

export function sessionOf(cookies) {
  const chunks = cookies.filter(({ name }) => name.startsWith(KEY))
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const value = chunks.map((chunk) => chunk.value).join("");
  return JSON.parse(Buffer.from(value.replace("base64-", ""), "base64url"));
}

// The same session, as a server client sees it in the last minute of its hour.
export function aboutToExpire(cookies) {
  return cookieOf({ ...sessionOf(cookies), expires_at: Math.floor(Date.now() / 1000) + 30 });
}

// The cookie in which @supabase/ssr keeps a session.
export const cookieOf = (session) => (
  `${KEY}=base64-${Buffer.from(JSON.stringify(session)).toString("base64url")}`
);
