// Cookies that need https: those with `Secure`, a name prefix or `Partitioned`, and those sent from
// other sites.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";

import { startServer } from "../../clients/js/test/harness.js";
import {
  assertEnded, assertNoSessionLeft, authCookies, logOut, openTab, sessionOf, signIn,
} from "./harness/app.js";
import { newLenientProfile, startTestApp } from "./harness/test_app.js";

const HOST_NAME = "__Host-session";
const AT_HOST = { page: `?secure=true&name=${HOST_NAME}`, flags: ["--cookie-name", HOST_NAME] };
const ABOUT = "x".repeat(6_000);
const ANYWHERE = "?secure=true&sameSite=none";

describe("over https a logout deletes all cookies of a session", () => {
  for (const { name, by, page, flags, about } of [
    { name: "Secure", by: "browser", page: "?secure=true" },
    { name: "Secure, HttpOnly", by: "server", page: "?secure=true" },
    { name: HOST_NAME, by: "browser", ...AT_HOST },
    { name: `${HOST_NAME}, in chunks, HttpOnly`, by: "server", ...AT_HOST, about: ABOUT },
    {
      name: "Partitioned, HttpOnly",
      by: "server",
      page: `${ANYWHERE}&partitioned=true`,
      flags: ["--cookie-partitioned", "true"],
    },
  ]) {
    test(name, async (context) => {
      const testApp = await startTestApp(context, { flags, about });
      const { profile, secureUrl, user } = testApp;
      const tab = await openTab(profile, `${secureUrl}/${page}`);
      await signIn(tab, user, by);
      const cookies = await profile.cookies();
      assert.equal(cookies.length > 4, Boolean(about));
      for (const { secure, httpOnly, partitionKey } of cookies) {
        assert.deepEqual([secure, httpOnly], [true, by === "server"]);
        assert.equal(Boolean(partitionKey), page.includes("partitioned"));
      }
      const session = await sessionOf(profile, cookies[0].name.replace(/\.\d$/, ""));
      await tab.evaluate(() => { document.cookie = "theme=dark; path=/"; });

      await logOut(tab, "You are signed out.");

      assert.deepEqual((await profile.cookies()).map((cookie) => cookie.name), ["theme"]);
      await assertNoSessionLeft(testApp, tab, session);
    });
  }
});

test("the client deletes partitioned cookies by itself if the gateway does not answer", async (context) => {
  const { profile, secureUrl, user } = await startTestApp(context);
  const tab = await openTab(profile, `${secureUrl}/${ANYWHERE}&partitioned=true`);
  await signIn(tab, user);
  await tab.evaluate(() => ["sb-csrf-token", "theme"].forEach((name) => {
    document.cookie = `${name}=x; path=/; samesite=none; secure; partitioned`;
  }));
  await tab.route("**/api/auth/*", (route) => route.abort());

  await logOut(tab, "Neither the gateway nor GoTrue answered.");

  assert.deepEqual((await profile.cookies()).map((cookie) => cookie.name), ["theme"]);
});

// Starts a page of the application on another site, which has only the client library.
async function startFrontOnAnotherSite(context) {
  const client = await readFile(new URL("../../clients/js/index.js", import.meta.url));
  const { url } = await startServer(context, (request, response) => {
    const [type, body] = request.url === "/client.js"
      ? ["text/javascript", client] : ["text/html", "<!doctype html><title>Front</title>"];
    response.writeHead(200, { "Content-Type": type }).end(body);
  });
  return `http://front.localhost:${new URL(url).port}`;
}

test("a page of an allowed other site ends the session whose cookies the browser sends", async (context) => {
  const front = await startFrontOnAnotherSite(context);
  const testApp = await startTestApp(context, { flags: ["--allowed-origins", front] });
  const { mock, secureUrl, user } = testApp;
  const profile = await newLenientProfile(context);
  const tab = await openTab(profile, `${secureUrl}/${ANYWHERE}`);
  await signIn(tab, user, "server");
  const session = await sessionOf(profile);

  const page = await openTab(profile, front);
  const { outcome } = await page.evaluate(async (gatewayUrl) => {
    const { createLogout } = await import("/client.js");
    return createLogout({ gatewayUrl })();
  }, secureUrl);

  assert.equal(outcome, "revoked");
  assert.deepEqual(await authCookies(profile), []);
  await assertEnded(testApp, session);
  assert.deepEqual(await mock.logouts(), ["logout-gateway"]);
});
