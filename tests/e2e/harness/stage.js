// One Chromium and one build of the app for each file of tests; everything else anew for each test.

import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
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

const CHROMIUM = {
  executablePath: "/usr/bin/chromium",
  // By itself it resolves *.localhost, whose pages it trusts as if they came by https.
  args: ["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1"],
  // Users go back to pages that were kept.
  ignoreDefaultArgs: ["--disable-back-forward-cache"],
};

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
  browser = await chromium.launch(CHROMIUM);
});

after(async () => {
  await browser.close();
  await rm(site, { recursive: true });
});

function closedAfter(context, profile) {
  profile.setDefaultTimeout(20_000);
  context.after(() => profile.close());
  return profile;
}

// A browser of its own, as on another device.
export async function newProfile(context, options = {}) {
  return closedAfter(context, await browser.newContext({ ignoreHTTPSErrors: true, ...options }));
}

// A browser that sends cookies along to other sites, which is a setting.
export async function newLenientProfile(context) {
  const folder = await mkdtemp(join(tmpdir(), "logout-gateway-"));
  await mkdir(join(folder, "Default"));
  const preferences = JSON.stringify({ profile: { cookie_controls_mode: 0 } });
  await writeFile(join(folder, "Default", "Preferences"), preferences);
  const options = { ...CHROMIUM, ignoreHTTPSErrors: true };
  const profile = await chromium.launchPersistentContext(folder, options);
  closedAfter(context, profile);
  // Until it is closed it writes there.
  context.after(() => rm(folder, { recursive: true, maxRetries: 5 }));
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

export async function stage(context, {
  alg = "ES256", flags = [], durable = true, about = "",
} = {}) {
  const mock = await startMock(context, "--alg", alg);
  const store = durable ? `file:${await newFolder(context)}/store` : "memory";
  const all = ["--store", store, "--trusted-proxies", "127.0.0.1", ...flags];
  let stopGateway;
  const after = (stop) => {
    stopGateway = stop;
    context.after(stop);
  };
  const gateway = await startGateway({ after }, mock, ...all);
  const server = await startAppServer(context, mock, gateway);
  const { port, securePort, asked } = await startNginx(context, { site, mock, gateway, server });
  const user = await newAccount(mock, { about });
  const profile = await newProfile(context);
  const url = `http://app.example.localhost:${port}`;
  const secureUrl = `https://app.example.localhost:${securePort}`;
  return { mock, gateway, stopGateway, user, profile, port, asked, url, secureUrl };
}
