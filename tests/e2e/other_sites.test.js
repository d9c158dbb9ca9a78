// Only the application's own pages may sign its user out: requests of other sites must have no effect.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually, startServer } from "../../clients/js/test/harness.js";
import { logOut, openTab, waitForText, sessionOf, signIn } from "./harness/app.js";
import { startTestApp } from "./harness/test_app.js";

// The attacks that a foreign page tries. Each function runs in that page.
const ATTACKS = {
  form(origin) {
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: `${origin}/logout` });
    document.body.append(form);
    form.submit();
  },
  "form in a frame": (origin) => {
    document.body.innerHTML = `<iframe name="frame"></iframe>
      <form method="post" action="${origin}/logout" target="frame"></form>`;
    document.forms[0].submit();
  },
  "form in a frame without an origin": (origin) => {
    document.body.innerHTML = `<iframe sandbox="allow-scripts allow-forms" srcdoc='
      <form method="post" action="${origin}/logout"></form>
      <script>document.forms[0].submit()</script>'></iframe>`;
  },
  image(origin) {
    document.body.innerHTML = `<img src="${origin}/logout">`;
  },
  "fetch that reads nothing": async (origin) => {
    const options = { method: "POST", mode: "no-cors", credentials: "include" };
    await fetch(`${origin}/api/auth/logout`, options);
  },
  // This attack sends a CSRF token as the application's own client does, or no token if the page gets
  // none.
  "fetch that asks for a CSRF token": async (origin) => {
    const credentials = "include";
    const csrf = await fetch(`${origin}/api/auth/csrf`, { credentials }).catch(() => null);
    const headers = csrf?.ok ? { "X-CSRF-Token": (await csrf.json()).data.csrf_token } : {};
    const options = { method: "POST", credentials, headers };
    await fetch(`${origin}/api/auth/logout`, options).catch(() => {});
  },
};

async function startForeignServer(context) {
  const headers = { "Content-Type": "text/html" };
  const { url } = await startServer(context, (request, response) => (
    response.writeHead(200, headers).end("<!doctype html><title>Foreign</title><body>")
  ));
  return new URL(url).port;
}

// The status with which the gateway must respond: it answers every form with a redirect.
const statusOf = (attack) => {
  if (attack === "image") return 405;
  return attack.startsWith("form") ? 303 : 403;
};

// Runs the attack in a foreign page; resolves to the logout request that nginx logged.
async function runAttack({ profile, proxyRequests }, page, attack, origin) {
  const before = (await proxyRequests()).length;
  const tab = await openTab(profile, page);
  await tab.evaluate(ATTACKS[attack], origin);
  const logout = await eventually("nginx has logged a logout", async () => (
    (await proxyRequests()).slice(before).findLast(({ path }) => path.endsWith("/logout"))
  ));
  // A form in the page itself follows the redirect. In a frame the target of the redirect is not shown.
  if (attack === "form") {
    await eventually("the redirect has logout=refused", () => tab.url() === `${origin}/?logout=refused`);
  }
  await tab.close();
  return logout;
}

// Signs in; resolves to a function that asserts that cookies and sessions have not changed since.
async function signedIn({ mock, profile, user }, tab) {
  await signIn(tab, user);
  const before = await profile.cookies();
  const { access_token } = await sessionOf(profile);
  return async () => {
    assert.deepEqual(await profile.cookies(), before);
    assert.deepEqual(await mock.logouts(), []);
    const headers = { Authorization: `Bearer ${access_token}` };
    assert.equal((await fetch(`${mock.url}/auth/v1/user`, { headers })).status, 200);
    await tab.reload();
    await waitForText(tab, "who", `${user.email} is signed in.`);
  };
}

// The settings of the weakest cookies, which browsers send with the requests of all sites. An
// application in frames of other sites needs such cookies.
const CROSS_SITE_COOKIES = "/?sameSite=none&secure=true";
const FRAME_WITHOUT_ORIGIN = "form in a frame without an origin";

describe("a foreign page cannot sign the user out, and the application can", () => {
  for (const [name, host, site] of [
    ["another site", "other.localhost", "cross-site"],
    ["a sibling of the host", "other.example.localhost", "same-site"],
    ["another port of the host", "app.example.localhost", "same-site"],
  ]) {
    test(name, async (context) => {
      const testApp = await startTestApp(context);
      const { profile, url } = testApp;
      const page = `http://${host}:${await startForeignServer(context)}/`;
      const tab = await openTab(profile, `${url}${CROSS_SITE_COOKIES}`);
      const assertUnchanged = await signedIn(testApp, tab);
      for (const attack of Object.keys(ATTACKS)) {
        await context.test(attack, async () => {
          const logout = await runAttack(testApp, page, attack, url);
          assert.equal(logout.status, statusOf(attack));
          assert.equal(logout.site, attack === FRAME_WITHOUT_ORIGIN ? "cross-site" : site);
          // If the browser sends the session's cookies, only the gateway can stop the attack.
          if (attack === "form" || (site === "same-site" && attack !== FRAME_WITHOUT_ORIGIN)) {
            assert.equal(logout.session, "present");
          }
          await assertUnchanged();
        });
      }
      await logOut(tab, "You are signed out.");
    });
  }
});

test("a frame without an origin in the application's own page cannot sign the user out", async (context) => {
  const testApp = await startTestApp(context);
  const { profile, url } = testApp;
  const tab = await openTab(profile, `${url}${CROSS_SITE_COOKIES}`);
  const assertUnchanged = await signedIn(testApp, tab);
  const logout = await runAttack(testApp, url, FRAME_WITHOUT_ORIGIN, url);
  assert.deepEqual([logout.status, logout.origin], [303, "null"]);
  await assertUnchanged();
});

test("without Sec-Fetch-Site the gateway decides by Origin", async (context) => {
  const testApp = await startTestApp(context);
  const { profile, port } = testApp;
  // Chromium sends no Sec-Fetch-Site over http to hosts that it does not trust.
  const url = `http://app.example.test:${port}`;
  const page = `http://other.example.test:${await startForeignServer(context)}/`;
  const tab = await openTab(profile, url);
  const assertUnchanged = await signedIn(testApp, tab);
  for (const attack of ["form", "fetch that asks for a CSRF token"]) {
    await context.test(attack, async () => {
      const logout = await runAttack(testApp, page, attack, url);
      assert.deepEqual([logout.site, logout.session], ["", "present"]);
      assert.equal(logout.status, statusOf(attack));
      assert.equal(logout.origin, new URL(page).origin);
      await assertUnchanged();
    });
  }
  await logOut(tab, "You are signed out.");
});
