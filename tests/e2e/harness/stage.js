// One Chromium and one build of the app for each file of tests; everything else anew for each test.

import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { chromium } from "playwright-core";

import { newUser, startGateway, startMock } from "../../../clients/js/test/harness.js";
import { newFolder } from "./folder.js";
import { startNginx } from "./nginx.js";
import { startAppServer } from "./server.js";

const SOURCES = fileURLToPath(new URL("../site/", import.meta.url));

let browser;
let site;

before(async () => {
  site = await mkdtemp(join(tmpdir(), "logout-gateway-"));
  await cp(join(SOURCES, "index.html"), join(site, "index.html"));
  await build({
    entryPoints: ["app.js", "private.js"].map((name) => join(SOURCES, name)),
    bundle: true,
    format: "esm",
    outdir: site,
  });
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    // By itself it resolves *.localhost, whose pages it trusts as if they came by https.
    args: ["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1"],
    // Users go back to pages that were kept.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
});

after(async () => {
  await browser.close();
  await rm(site, { recursive: true });
});

// A browser of its own, as on another device.
export async function newProfile(context, options = {}) {
  const profile = await browser.newContext(options);
  profile.setDefaultTimeout(20_000);
  context.after(() => profile.close());
  return profile;
}

// A user who has signed up, and is signed in nowhere.
async function newAccount(mock, data = {}) {
  const user = newUser();
  const response = await fetch(`${mock.url}/auth/v1/signup`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...user, data }),
  });
  const { session_id: id } = claimsOf((await response.json()).access_token);
  await mock.endSession(id);
  return user;
}

export function claimsOf(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}

export async function stage(context, { flags = [], durable = true, about = "" } = {}) {
  const mock = await startMock(context);
  const store = durable ? `file:${await newFolder(context)}/store` : "memory";
  const all = ["--store", store, "--trusted-proxies", "127.0.0.1", ...flags];
  let stopGateway;
  const after = (stop) => {
    stopGateway = stop;
    context.after(stop);
  };
  const gateway = await startGateway({ after }, mock, ...all);
  const server = await startAppServer(context, mock, gateway);
  const { port, asked } = await startNginx(context, { site, mock, gateway, server });
  const user = await newAccount(mock, { about });
  const profile = await newProfile(context);
  const url = `http://app.example.localhost:${port}`;
  return { mock, gateway, stopGateway, user, profile, port, asked, url };
}
