// The gateway at a subdomain of its own, as docs/hosting.md sets it up for an app on a hosting platform: the page at
// app.example.localhost calls the gateway at auth.example.localhost.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { startGateway } from "../../clients/js/test/harness.js";
import { logOut, openTab, sessionOf, signIn } from "./harness/app.js";
import { startTestApp } from "./harness/test_app.js";

const atSubdomain = (gateway) => gateway.replace("127.0.0.1", "auth.example.localhost");

describe("a page signs out at the gateway's subdomain, which deletes the cookies of the shared domain", () => {
  for (const [name, by, about] of [
    ["that scripts can read", "browser", ""],
    ["HttpOnly, in chunks", "server", "x".repeat(6_000)],
  ]) {
    test(name, async (context) => {
      const testApp = await startTestApp(context, { about });
      const { mock, profile, url, user } = testApp;
      const flags = ["--allowed-origins", url, "--cookie-domains", "example.localhost"];
      const gateway = await startGateway(context, mock, ...flags);
      const options = new URLSearchParams({
        domain: "example.localhost", gatewayUrl: atSubdomain(gateway),
      });
      const tab = await openTab(profile, `${url}/?${options}`);
      await signIn(tab, user, by);
      const session = await sessionOf(profile);
      const requests = [];
      tab.on("request", (request) => requests.push(request));

      await logOut(tab, "You are signed out.");

      assert.deepEqual(await profile.cookies(), []);
      const logout = requests.find((request) => request.method() === "POST");
      assert.equal(new URL(logout.url()).host, new URL(atSubdomain(gateway)).host);
      // The credential was the cookie of the shared domain, not a Bearer token.
      assert.ok(logout.headers()["x-csrf-token"]);
      assert.equal(logout.headers().authorization, undefined);
      // nginx asks a gateway of its own, which does not know this logout.
      assert.deepEqual(await mock.sessions(), []);
      const verify = { headers: { Authorization: `Bearer ${session.access_token}` } };
      assert.equal((await fetch(`${gateway}/api/auth/verify`, verify)).status, 401);
    });
  }
});
