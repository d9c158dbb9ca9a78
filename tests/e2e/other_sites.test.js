// Nobody but the app's own pages logs its user out.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually, startServer } from "../../clients/js/test/harness.js";
import { logOut, openTab, reads, sessionOf, signIn } from "./harness/app.js";
import { stage } from "./harness/stage.js";

// What a foreign page does, in that page.
const WAYS = {
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
  // As the app's own client does it, or without the token if there is none to be had.
  "fetch that asks for a CSRF token": async (origin) => {
    const credentials = "include";
    const csrf = await fetch(`${origin}/api/auth/csrf`, { credentials }).catch(() => null);
    const headers = csrf?.ok ? { "X-CSRF-Token": (await csrf.json()).data.csrf_token } : {};
    const options = { method: "POST", credentials, headers };
    await fetch(`${origin}/api/auth/logout`, options).catch(() => {});
  },
};

async function foreignPages(context) {
  const headers = { "Content-Type": "text/html" };
  const { url } = await startServer(context, (request, response) => (
    response.writeHead(200, headers).end("<!doctype html><title>Foreign</title><body>")
  ));
  return new URL(url).port;
}

// A form is answered by a redirect, whatever becomes of it.
const statusOf = (way) => {
  if (way === "image") return 405;
  return way.startsWith("form") ? 303 : 403;
};

// Resolves to what nginx was asked for last, a logout.
async function attack({ profile, asked }, page, way, origin) {
  const before = (await asked()).length;
  const tab = await openTab(profile, page);
  await tab.evaluate(WAYS[way], origin);
  const logout = await eventually("a logout is asked for", async () => (
    (await asked()).slice(before).findLast(({ path }) => path.endsWith("/logout"))
  ));
  // In a foreign frame the app's page is not shown.
  if (way === "form") {
    await eventually("the redirect says refused", () => tab.url() === `${origin}/?logout=refused`);
  }
  await tab.close();
  return logout;
}

// Signs in, and resolves to a check that nothing has changed since.
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
    await reads(tab, "who", `${user.email} is signed in.`);
  };
}

// Cookies as an app sets them that lives in frames of other sites: they stand in nobody's way.
const WORST = "/?sameSite=none&secure=true";
const OPAQUE = "form in a frame without an origin";

describe("a foreign page cannot log the user out, and the app can", () => {
  for (const [name, host, site] of [
    ["another site", "other.localhost", "cross-site"],
    ["a sibling of the host", "other.example.localhost", "same-site"],
    ["another port of the host", "app.example.localhost", "same-site"],
  ]) {
    test(name, async (context) => {
      const scene = await stage(context);
      const { profile, url } = scene;
      const page = `http://${host}:${await foreignPages(context)}/`;
      const tab = await openTab(profile, `${url}${WORST}`);
      const assertUnchanged = await signedIn(scene, tab);
      for (const way of Object.keys(WAYS)) {
        await context.test(way, async () => {
          const asked = await attack(scene, page, way, url);
          assert.equal(asked.status, statusOf(way));
          assert.equal(asked.site, way === OPAQUE ? "cross-site" : site);
          // Where the browser holds no cookie back, the gateway alone stands in the way.
          if (way === "form" || (site === "same-site" && way !== OPAQUE)) {
            assert.equal(asked.session, "present");
          }
          await assertUnchanged();
        });
      }
      await logOut(tab, "You are signed out.");
    });
  }
});

test("a frame without an origin in the app's own page cannot either", async (context) => {
  const scene = await stage(context);
  const { profile, url } = scene;
  const tab = await openTab(profile, `${url}${WORST}`);
  const assertUnchanged = await signedIn(scene, tab);
  const asked = await attack(scene, url, OPAQUE, url);
  assert.deepEqual([asked.status, asked.origin], [303, "null"]);
  await assertUnchanged();
});

test("where browsers do not name the site, the origin decides", async (context) => {
  const scene = await stage(context);
  const { profile, port } = scene;
  // Plain http, and no loopback to Chromium.
  const url = `http://app.example.test:${port}`;
  const page = `http://other.example.test:${await foreignPages(context)}/`;
  const tab = await openTab(profile, url);
  const assertUnchanged = await signedIn(scene, tab);
  for (const way of ["form", "fetch that asks for a CSRF token"]) {
    await context.test(way, async () => {
      const asked = await attack(scene, page, way, url);
      assert.deepEqual([asked.site, asked.session], ["", "present"]);
      assert.equal(asked.status, statusOf(way));
      assert.equal(asked.origin, new URL(page).origin);
      await assertUnchanged();
    });
  }
  await logOut(tab, "You are signed out.");
});
