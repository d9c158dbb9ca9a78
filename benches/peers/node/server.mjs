// Logout and check as an app on Node.js does them with @supabase/ssr, with the gateway's checks: the page's origin, the
// access token's signature, and a CSRF token in a cookie and in a header that is signed for the session.
//
// SUPABASE_URL=http://127.0.0.1:54321 PORT=3000 node server.mjs

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

import { createServerClient, parseCookieHeader, serializeCookieHeader } from "@supabase/ssr";
import { createClient } from "@supabase/supabase-js";

const { SUPABASE_URL, PORT } = process.env;
const KEY = "sb_publishable_of_the_benchmark";
const CSRF_COOKIE = "sb-csrf-token";
const SECRET = randomBytes(32);
const SUCCESS = JSON.stringify({ data: { success: true } });

// One client for all requests with a Bearer token, which is the cheapest way. Cookies need a client for each request.
const shared = createClient(SUPABASE_URL, KEY, { auth: { persistSession: false, autoRefreshToken: false } });

/** A client for the session in the request's cookies. It adds the cookies that it sets to `setCookies`. */
function clientOf(cookies, setCookies) {
  return createServerClient(SUPABASE_URL, KEY, {
    cookies: {
      getAll: () => cookies,
      setAll: (changed) => {
        for (const { name, value, options } of changed) setCookies.push(serializeCookieHeader(name, value, options));
      },
    },
  });
}

function sign(sessionId, random) {
  return createHmac("sha256", SECRET).update(`${sessionId}.${random}`).digest("base64url");
}

/** Whether the header has the cookie's token, and the token is signed for this session. */
function hasCsrfToken(request, cookies, sessionId) {
  const submitted = request.headers["x-csrf-token"] ?? "";
  const held = cookies.find(({ name }) => name === CSRF_COOKIE)?.value ?? "";
  const [random, signature] = submitted.split(".");
  return isEqual(submitted, held) && isEqual(signature ?? "", sign(sessionId, random));
}

function isEqual(one, other) {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function reply(response, status, body, headers = {}) {
  response.writeHead(status, { "Content-Length": Buffer.byteLength(body), "Cache-Control": "no-store", ...headers });
  response.end(body);
}

async function csrf(request, response) {
  const { data } = await clientOf(parseCookieHeader(request.headers.cookie ?? ""), []).auth.getClaims();
  if (!data) return reply(response, 401, "");
  const random = randomBytes(16).toString("base64url");
  const token = `${random}.${sign(data.claims.session_id, random)}`;
  const cookie = serializeCookieHeader(CSRF_COOKIE, token, { path: "/", sameSite: "lax" });
  reply(response, 200, JSON.stringify({ data: { csrf_token: token } }), { "Set-Cookie": cookie });
}

async function verify(request, response) {
  const bearer = request.headers.authorization?.replace(/^Bearer /i, "");
  const { data } = bearer
    ? await shared.auth.getClaims(bearer)
    : await clientOf(parseCookieHeader(request.headers.cookie ?? ""), []).auth.getClaims();
  if (!data) return reply(response, 401, "");
  reply(response, 200, "", { "X-Auth-User-Id": data.claims.sub });
}

async function logout(request, response) {
  if (!["same-origin", "none"].includes(request.headers["sec-fetch-site"])) return reply(response, 403, "");
  const cookies = parseCookieHeader(request.headers.cookie ?? "");
  const setCookies = [];
  const client = clientOf(cookies, setCookies);
  const { data } = await client.auth.getClaims();
  if (!data) return reply(response, 401, "");
  if (!hasCsrfToken(request, cookies, data.claims.session_id)) return reply(response, 403, "");
  const { error } = await client.auth.signOut({ scope: "local" });
  if (error) return reply(response, 500, "");
  setCookies.push(serializeCookieHeader(CSRF_COOKIE, "", { path: "/", maxAge: 0 }));
  reply(response, 200, SUCCESS, { "Content-Type": "application/json", "Set-Cookie": setCookies });
}

const routes = {
  "GET /healthz": async (_request, response) => reply(response, 200, ""),
  "GET /api/auth/csrf": csrf,
  "GET /api/auth/verify": verify,
  "POST /api/auth/logout": logout,
};

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) return reply(response, 404, "");
  route(request, response).catch((error) => {
    console.error(error);
    reply(response, 500, "");
  });
});
// Connections must stay open between the rounds of the benchmark.
server.keepAliveTimeout = 120_000;
server.listen(Number(PORT), "127.0.0.1");
process.on("SIGTERM", () => process.exit());
