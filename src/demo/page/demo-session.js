// Does what a Supabase app does: keeps the session in cookies, and sends requests to GoTrue and to the
// gateway.

import { createLogout } from "./logout-gateway-client.js";

const MAX_AGE_SECONDS = 400 * 24 * 60 * 60;
const CHUNK = 3180;
const TIMEOUT_MS = 3000;
const METADATA_BYTES = 3000;

export const settings = await (await fetch("demo.json")).json();

// Reads and writes cookies as @supabase/ssr's browser client does.

export function readCookies() {
  const pairs = document.cookie.split("; ").filter(Boolean).map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return new Map(pairs);
}

function writeCookie(name, value, maxAge = MAX_AGE_SECONDS) {
  document.cookie = `${name}=${value}; Max-Age=${maxAge}; Path=/; SameSite=Lax`;
}

function encode(value) {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  const letters = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `base64-${letters.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

function decode(base64url) {
  const letters = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function isChunk(name) {
  const key = settings.cookie_name;
  return name === key || (name.startsWith(`${key}.`) && /^\d+$/.test(name.slice(key.length + 1)));
}

export function storeSession(session) {
  const key = settings.cookie_name;
  const parts = encode(session).match(new RegExp(`.{1,${CHUNK}}`, "g"));
  const names = parts.map((_, index) => (parts.length === 1 ? key : `${key}.${index}`));
  for (const name of readCookies().keys()) {
    if (isChunk(name) && !names.includes(name)) writeCookie(name, "", 0);
  }
  parts.forEach((part, index) => writeCookie(names[index], part));
}

export function storedSession() {
  const [key, cookies] = [settings.cookie_name, readCookies()];
  let text = cookies.get(key) ?? "";
  for (let index = 0; !cookies.get(key) && cookies.has(`${key}.${index}`); index += 1) {
    text += cookies.get(`${key}.${index}`);
  }
  try {
    const session = decode(text.replace(/^base64-/, ""));
    claimsOf(session.access_token);
    return session;
  } catch {
    return null;
  }
}

function randomHex(length) {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Writes the cookies that @supabase/ssr leaves behind after a sign-up with PKCE (RFC 7636).
function leaveCodeVerifiers() {
  const [key, flow, verifier] = [settings.cookie_name, randomHex(16), encode(randomHex(56))];
  writeCookie(`${key}-flow-${flow}-code-verifier`, verifier);
  writeCookie(`${key}-flows-code-verifier`, encode([flow]));
  writeCookie(`${key}-code-verifier`, verifier);
}

export function claimsOf(accessToken) {
  return decode(accessToken.split(".")[1]);
}

// Sends requests to GoTrue and to the mock's control endpoints.

class Refused extends Error {}

export function messageOf(error) {
  if (error instanceof Refused) return error.message;
  return "No answer. Is GoTrue switched off, or has the demo ended?";
}

async function ask(url, body) {
  const response = await fetch(url, {
    method: body ? "POST" : "GET",
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

async function sessionFrom(path, body) {
  const answer = await ask(`${settings.gotrue}${path}`, body);
  if (answer.status === 200) return answer.body;
  throw new Refused(`GoTrue refuses: ${answer.body?.msg ?? answer.body?.message ?? answer.status}`);
}

export function signIn(email, password) {
  return sessionFrom("/token?grant_type=password", { email, password });
}

export async function signUp(email, password, large) {
  // The mock cannot simulate failing sign-ups, so check the switch here.
  if (!(await gotrueWorks())) throw new Error("GoTrue is switched off");
  const data = large ? { about: "metadata ".repeat(METADATA_BYTES / 9) } : {};
  const session = await sessionFrom("/signup", { email, password, data });
  leaveCodeVerifiers();
  return session;
}

export async function tryRefreshToken(refreshToken) {
  try {
    const path = "/token?grant_type=refresh_token";
    const given = { refresh_token: refreshToken };
    const { status, body } = await ask(`${settings.gotrue}${path}`, given);
    const reason = body?.error_code ?? body?.code ?? "";
    return { status, reason, session: status === 200 ? body : null };
  } catch {
    return { status: null, reason: "", session: null };
  }
}

export async function sessionsOf(userId) {
  const { body } = await ask(`${settings.control}/sessions`);
  return body.filter((session) => session.user_id === userId);
}

export async function gotrueWorks() {
  try {
    // A working GoTrue refuses this request with 401, because it has no token.
    const { status } = await ask(`${settings.gotrue}/user`);
    return status < 500;
  } catch {
    return false;
  }
}

export function switchGotrueOn() {
  return fetch(`${settings.control}/faults`, { method: "DELETE" });
}

export async function switchGotrueOff(kind) {
  await switchGotrueOn();
  for (const operation of ["logout", "token", "user"]) {
    await ask(`${settings.control}/faults`, { operation, kind });
  }
}

// Sends requests to the gateway.

const SHOWN_HEADERS = [
  "x-logout-outcome", "x-logout-cookies-left", "retry-after", "www-authenticate", "content-type",
  "x-request-id",
];

async function csrfToken() {
  const { status, body } = await ask(settings.csrf);
  return status === 200 ? body.data.csrf_token : null;
}

// Logs out without the browser client, by any route. It leaves out the CSRF token if the page's user chose
// that.
async function logOutByHand(recordingFetch, { path, scope, credential, accessToken }) {
  const sent = {};
  if (credential === "bearer" && accessToken) sent.Authorization = `Bearer ${accessToken}`;
  const token = credential === "cookie" ? await csrfToken() : null;
  if (token) sent["X-CSRF-Token"] = token;
  const { status, headers } = await recordingFetch(`${path}?scope=${scope}`, {
    method: "POST", headers: sent,
  });
  const outcome = headers.get("X-Logout-Outcome") ?? "refused";
  return { outcome, status, requestId: headers.get("X-Request-Id") };
}

// Returns a `fetch` that records each request, the cookies before it, and its response in `exchanges`.
function recordExchanges(exchanges) {
  return async (url, options) => {
    const { method = "GET", headers = {} } = options;
    const exchange = { method, url, headers: Object.keys(headers), before: readCookies() };
    exchanges.push(exchange);
    const response = await fetch(url, options);
    exchange.response = response.clone();
    return response;
  };
}

// The first logout request that got a response. Later ones only delete more cookies.
const firstAnsweredLogout = (exchanges) => (
  exchanges.find(({ method, response }) => method === "POST" && response) ?? exchanges.at(-1)
);

export async function logOut(chosen) {
  const exchanges = [];
  const recordingFetch = recordExchanges(exchanges);
  const logout = chosen.credential === "client"
    ? createLogout({ scope: chosen.scope, fetch: recordingFetch })
    : () => logOutByHand(recordingFetch, chosen);
  const [at, start] = [new Date(), performance.now()];
  const result = await logout();
  const took = performance.now() - start;
  const { method, url, headers, before, response } = firstAnsweredLogout(exchanges);
  const shown = SHOWN_HEADERS.filter((name) => response?.headers.has(name));
  return {
    ...result,
    at,
    took,
    request: `${method} ${url}`,
    sent: [...(before.size ? ["cookies"] : []), ...headers],
    before,
    statusText: response?.statusText ?? "",
    headers: shown.map((name) => [name, response.headers.get(name)]),
    body: await response?.text() ?? "",
  };
}

export async function verify(accessToken) {
  try {
    const headers = { Authorization: `Bearer ${accessToken}` };
    const response = await fetch(settings.verify, { headers });
    const text = await response.text();
    return { status: response.status, reason: text ? JSON.parse(text).error.reason : "" };
  } catch {
    return { status: null, reason: "" };
  }
}
