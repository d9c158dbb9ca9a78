// Starts mocks for the tests, and sends the requests of an app.

import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { startMock } from "logout-gateway-mock";

const BUILT = fileURLToPath(new URL("../../../../target/debug/logout-gateway", import.meta.url));
export const BINARY = process.env.GATEWAY_BINARY ?? BUILT;
const TIME_LIMIT_MS = 20_000;

export async function eventually(what, check) {
  const end = Date.now() + TIME_LIMIT_MS;
  while (Date.now() < end) {
    if (await check()) return;
    await pause(20);
  }
  throw new Error(`has not happened in time: ${what}`);
}

export async function start(context, options) {
  const mock = await startMock({ binary: BINARY, ...options });
  context.after(mock.stop);
  return mock;
}

export const answers = (url) => fetch(`${url}/mock/project`).then(({ ok }) => ok, () => false);

export const hasEnded = (url) => (
  eventually(`the mock at ${url} has ended`, async () => !await answers(url))
);

export async function post(url, path, body, headers = {}) {
  const request = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(`${url}${path}`, request);
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text) };
}

export const ANN = { email: "ann@example.com", password: "a password" };

export const signUp = (mock, user = ANN) => post(mock.url, "/auth/v1/signup", user);

export const signIn = (mock, user = ANN) => (
  post(mock.url, "/auth/v1/token?grant_type=password", user)
);

export const refresh = (mock, session) => (
  post(mock.url, "/auth/v1/token?grant_type=refresh_token", { refresh_token: session.refresh_token })
);

export async function userStatus(mock, session) {
  const headers = { Authorization: `Bearer ${session.access_token}` };
  return (await fetch(`${mock.url}/auth/v1/user`, { headers })).status;
}
