// What a user does and sees in the application, and assertions about sessions.

import assert from "node:assert/strict";

import { combineChunks, stringFromBase64URL } from "@supabase/ssr";

import { eventually } from "../../../clients/js/test/harness.js";
import { NAME } from "./server.js";

export async function openTab(profile, url) {
  const tab = await profile.newPage();
  await tab.goto(url);
  return tab;
}

// Waits until the element's text begins with `text`.
export async function waitForText(tab, id, text) {
  const shown = () => tab.locator(`#${id}`).textContent();
  await eventually(`"${text}" is shown, after "${await shown()}"`, async () => (
    (await shown()).startsWith(text)
  ));
}

export async function signIn(tab, { email, password }, by = "browser") {
  await tab.fill("[name=email]", email);
  await tab.fill("[name=password]", password);
  if (by === "server") {
    await Promise.all([tab.waitForEvent("load"), tab.click("#by-server")]);
  } else {
    await tab.click("#by-browser");
    await waitForText(tab, "who", `${email} is signed in.`);
  }
  // Wait for the cookies, because the page may show the user before the browser has stored the last
  // cookie.
  const name = new URL(tab.url()).searchParams.get("name") ?? undefined;
  await eventually("the cookies have the session", () => sessionOf(tab.context(), name));
}

export async function logOut(tab, message) {
  await tab.click("#log-out");
  await waitForText(tab, "message", message);
}

export const authCookies = async (profile) => (
  (await profile.cookies()).map(({ name }) => name).filter((name) => name.startsWith("sb-"))
);

// The session's tokens, as the library stores them in this browser's cookies. It does not use the library's
// `getSession`, which would refresh a session that is about to expire.
export async function sessionOf(profile, name = NAME) {
  const cookies = await profile.cookies();
  const stored = await combineChunks(name, (chunk) => cookies.find((each) => each.name === chunk)?.value);
  if (!stored) return null;
  const { access_token, refresh_token } = JSON.parse(stringFromBase64URL(stored.replace("base64-", "")));
  return { access_token, refresh_token };
}

export const getSession = (tab) => (
  tab.evaluate(async () => (await window.supabase.auth.getSession()).data.session)
);

export async function breakGotrue(mock, fault) {
  for (const operation of ["logout", "token", "user"]) await mock.fault({ operation, ...fault });
}

// The status with which each part of the system responds to a request with the session's tokens.
export async function sessionStatuses({ mock, gateway, port }, { access_token, refresh_token }) {
  const headers = { Authorization: `Bearer ${access_token}`, "Content-Type": "application/json" };
  const status = async (url, options) => (await fetch(url, { headers, ...options })).status;
  return {
    verify: await status(`${gateway}/api/auth/verify`),
    private: await status(`http://127.0.0.1:${port}/private/`),
    user: await status(`${mock.url}/auth/v1/user`),
    // The refresh comes last, because the refresh token can be used only once.
    refresh: await status(`${mock.url}/auth/v1/token?grant_type=refresh_token`, {
      method: "POST", body: JSON.stringify({ refresh_token }),
    }),
  };
}

export const ALIVE = { verify: 200, private: 200, user: 200, refresh: 200 };
export const ENDED = { verify: 401, private: 401, user: 403, refresh: 400 };

export async function assertAlive(testApp, session) {
  assert.deepEqual(await sessionStatuses(testApp, session), ALIVE);
}

export async function assertEnded(testApp, session) {
  assert.deepEqual(await sessionStatuses(testApp, session), ENDED);
}

// Asserts that neither the page nor GoTrue has a session.
export async function assertNoSessionLeft(testApp, tab, session) {
  await tab.reload();
  assert.equal(await getSession(tab), null);
  await assertEnded(testApp, session);
  assert.deepEqual(await testApp.mock.sessions(), []);
}
