// The application's own server behind nginx. It signs users in with HttpOnly cookies, and has a sign-out
// form without scripts and private pages.

import { createServerClient, parseCookieHeader, serializeCookieHeader } from "@supabase/ssr";
import { isAuthRetryableFetchError } from "@supabase/supabase-js";

import { NoWebSocket, startServer } from "../../../clients/js/test/harness.js";
import { showDocumentedForm, showDocumentedScript } from "./documented.js";

export const NAME = "sb-127-auth-token";

function serverClient(url, cookies, cookieOptions = {}) {
  return createServerClient(url, "any", {
    cookieOptions: { name: NAME, ...cookieOptions },
    cookies,
    realtime: { transport: NoWebSocket },
  });
}

async function formOf(request) {
  const parts = await request.toArray();
  return Object.fromEntries(new URLSearchParams(Buffer.concat(parts).toString()));
}

const clientFor = (mock, request, response, cookieOptions) => serverClient(mock.url, {
  getAll: () => parseCookieHeader(request.headers.cookie ?? ""),
  setAll: (cookies) => cookies.forEach(({ name, value, options }) => {
    response.appendHeader("Set-Cookie", serializeCookieHeader(name, value, options));
  }),
}, { httpOnly: true, ...cookieOptions });

async function signIn(mock, request, response) {
  const { searchParams } = new URL(request.url, "http://app");
  const { gatewayUrl, scope, ...cookieOptions } = Object.fromEntries(searchParams);
  const { auth } = clientFor(mock, request, response, cookieOptions);
  const { error } = await auth.signInWithPassword(await formOf(request));
  if (error) throw error;
  response.writeHead(303, { Location: request.headers.referer }).end();
}

// The page of docs/proxies.md to which nginx sends a page load with an expired session.
async function refreshSession(mock, request, response) {
  const { auth } = clientFor(mock, request, response);
  const { data: { session }, error } = await auth.getSession();
  if (isAuthRetryableFetchError(error)) return response.writeHead(503).end();
  const Location = session ? request.headers["x-forwarded-uri"] ?? "/" : "/";
  return response.writeHead(303, { Location, "Cache-Control": "no-store" }).end();
}

// Shows the user's id, which nginx adds after the gateway has verified the session. Without `no-store` a
// browser would show the page again when the user goes back after a logout.
function showPrivatePage(request, response) {
  const hasClient = request.url !== "/private/plain";
  const headers = { "Content-Type": "text/html", "Cache-Control": "no-store" };
  response.writeHead(200, headers).end(`<!doctype html>
    <title>Private</title>
    <link rel="icon" href="data:,">
    <p>Private page of ${request.headers["x-auth-user-id"]}</p>
    <button id="log-out" type="button">Log out</button>
    ${hasClient ? "<script type=module src=/private.js></script>" : ""}`);
}

// Shows a form with a CSRF token for the session in the request's cookies, and sets the CSRF cookie.
async function showSignOut(gateway, request, response) {
  const headers = { Cookie: request.headers.cookie ?? "" };
  const csrf = await fetch(`${gateway}/api/auth/csrf`, { headers });
  if (!csrf.ok) return response.writeHead(303, { Location: "/" }).end();
  const { csrf_token } = (await csrf.json()).data;
  return response.writeHead(200, {
    "Content-Type": "text/html",
    "Cache-Control": "no-store",
    "Set-Cookie": csrf.headers.getSetCookie(),
  }).end(`<!doctype html>
    <title>Sign out</title>
    <link rel="icon" href="data:,">
    <form method="post" action="/logout">
      <input type="hidden" name="csrf_token" value="${csrf_token}">
      <input type="hidden" name="redirect_to" value="/server/signed-out?from=form">
      <select name="scope"><option>local<option>others<option>global</select>
      <button>Sign out</button>
    </form>`);
}

const MESSAGES = {
  failed: "You are signed out here. Your session may live on elsewhere.",
  refused: "You are still signed in. Try again.",
};

function showSignedOut(request, response) {
  const outcome = new URL(request.url, "http://app").searchParams.get("logout");
  response.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html>
    <title>Signed out</title>
    <link rel="icon" href="data:,">
    <p id="message" role="status">${MESSAGES[outcome] ?? "You are signed out."}</p>`);
}

export function startAppServer(context, mock, gateway) {
  return startServer(context, (request, response) => {
    if (request.url.startsWith("/server/sign-in")) return signIn(mock, request, response);
    if (request.url === "/auth/refresh") return refreshSession(mock, request, response);
    if (request.url === "/server/sign-out") return showSignOut(gateway, request, response);
    if (request.url === "/server/documented/form") return showDocumentedForm(gateway, request, response);
    if (request.url === "/server/documented/script") return showDocumentedScript(response);
    if (request.url.startsWith("/server/signed-out")) return showSignedOut(request, response);
    return showPrivatePage(request, response);
  }, { maxHeaderSize: 128 * 1024 });
}
