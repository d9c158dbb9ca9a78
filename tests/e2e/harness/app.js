// What a user does and sees in the app, and what is left of a session.

import assert from "node:assert/strict";

import { eventually } from "../../../clients/js/test/harness.js";
import { serverClient } from "./server.js";

export async function openTab(profile, url) {
  const tab = await profile.newPage();
  await tab.goto(url);
  return tab;
}

// The page says so, sooner or later.
export async function reads(tab, id, text) {
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
    await reads(tab, "who", `${email} is signed in.`);
  }
  // The page knows of it before the browser has stored the last cookie.
  const name = new URL(tab.url()).searchParams.get("name") ?? undefined;
  await eventually("the cookies hold the session", () => sessionOf(tab.context(), name));
}

export async function logOut(tab, told) {
  await tab.click("#log-out");
  await reads(tab, "told", told);
}

export const authCookies = async (profile) => (
  (await profile.cookies()).map(({ name }) => name).filter((name) => name.startsWith("sb-"))
);

// The tokens, as a server of the app reads them out of this browser's cookies.
export async function sessionOf(profile, name) {
  const cookies = { getAll: () => profile.cookies(), setAll: () => {} };
  const { auth } = serverClient("http://any.test", cookies, name && { name });
  const { data: { session } } = await auth.getSession();
  return session && { access_token: session.access_token, refresh_token: session.refresh_token };
}

export const getSession = (tab) => (
  tab.evaluate(async () => (await window.supabase.auth.getSession()).data.session)
);

export async function breakGotrue(mock, fault) {
  for (const operation of ["logout", "token", "user"]) await mock.fault({ operation, ...fault });
}

// What each part of the system says of the session's tokens.
export async function judgements({ mock, gateway, port }, { access_token, refresh_token }) {
  const headers = { Authorization: `Bearer ${access_token}`, "Content-Type": "application/json" };
  const status = async (url, options) => (await fetch(url, { headers, ...options })).status;
  return {
    verify: await status(`${gateway}/api/auth/verify`),
    private: await status(`http://127.0.0.1:${port}/private/`),
    user: await status(`${mock.url}/auth/v1/user`),
    // The last, for it is good once only.
    refresh: await status(`${mock.url}/auth/v1/token?grant_type=refresh_token`, {
      method: "POST", body: JSON.stringify({ refresh_token }),
    }),
  };
}

export const ALIVE = { verify: 200, private: 200, user: 200, refresh: 200 };
export const DEAD = { verify: 401, private: 401, user: 403, refresh: 400 };

export async function assertAlive(scene, session) {
  assert.deepEqual(await judgements(scene, session), ALIVE);
}

export async function assertDead(scene, session) {
  assert.deepEqual(await judgements(scene, session), DEAD);
}

// The user's only session has ended, and the page knows of none.
export async function assertOver(scene, tab, session) {
  await tab.reload();
  assert.equal(await getSession(tab), null);
  await assertDead(scene, session);
  assert.deepEqual(await scene.mock.sessions(), []);
}
