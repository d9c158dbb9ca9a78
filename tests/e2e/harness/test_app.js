// Starts Chromium and builds the application once for each test file, and starts all servers anew for
// each test.

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { chromium } from "playwright-core";

import { newUser, startGateway, startMock } from "../../../clients/js/test/harness.js";
import { newDirectory } from "./directory.js";
import { startNginx } from "./nginx.js";
import { startAppServer } from "./server.js";

const SOURCES = fileURLToPath(new URL("../site/", import.meta.url));

const CLIENT = fileURLToPath(new URL("../../../clients/js/index.js", import.meta.url));

const CHROMIUM = {
  executablePath: "/usr/bin/chromium",
  // Chromium resolves *.localhost by itself and trusts those pages as if they came over https.
  args: ["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1"],
  // The driver switches the back/forward cache off by default, but users have it.
  ignoreDefaultArgs: ["--disable-back-forward-cache"],
};

let browser;
let site;

before(async () => {
  site = await mkdtemp(join(tmpdir(), "logout-gateway-"));
  for (const page of ["index.html", "shop.html"]) await cp(join(SOURCES, page), join(site, page));
  // A page without a bundler has a copy of the client.
  await cp(CLIENT, join(site, "logout-gateway-client.js"));
  await build({
    entryPoints: ["app.js", "auth.js", "private.js"].map((name) => join(SOURCES, name)),
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

// A file of the application as it was built.
export const siteFile = (name) => readFile(join(site, name));

function closedAfter(context, profile) {
  profile.setDefaultTimeout(20_000);
  context.after(() => profile.close());
  return profile;
}

// Opens a new browser profile, like that of another device.
export async function newProfile(context, options = {}) {
  return closedAfter(context, await browser.newContext({ ignoreHTTPSErrors: true, ...options }));
}

// Opens a profile of a browser whose settings allow third-party cookies.
export async function newLenientProfile(context) {
  const directory = await mkdtemp(join(tmpdir(), "logout-gateway-"));
  await mkdir(join(directory, "Default"));
  const preferences = JSON.stringify({ profile: { cookie_controls_mode: 0 } });
  await writeFile(join(directory, "Default", "Preferences"), preferences);
  const options = { ...CHROMIUM, ignoreHTTPSErrors: true };
  const profile = await chromium.launchPersistentContext(directory, options);
  closedAfter(context, profile);
  // Chromium writes to the directory until it is closed, so the removal may need several tries.
  context.after(() => rm(directory, { recursive: true, maxRetries: 5 }));
  return profile;
}

// Creates a user who has signed up and has no session.
export async function newAccount(mock, data = {}) {
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

// Starts the mock, a gateway, the application's server and nginx in front of them, and opens a browser
// profile.
export async function startTestApp(context, {
  alg = "ES256", tokenLifetime = "1h", flags = [], durable = true, about = "",
} = {}) {
  const mock = await startMock(context, "--alg", alg, "--token-lifetime", tokenLifetime);
  const store = durable ? `file:${await newDirectory(context)}/store` : "memory";
  const all = ["--store", store, "--trusted-proxies", "127.0.0.1", ...flags];
  let stopGateway;
  const after = (stop) => {
    stopGateway = stop;
    context.after(stop);
  };
  const gateway = await startGateway({ after }, mock, ...all);
  const server = await startAppServer(context, mock, gateway);
  const { port, securePort, proxyRequests } = await startNginx(context, { site, mock, gateway, server });
  const user = await newAccount(mock, { about });
  const profile = await newProfile(context);
  const url = `http://app.example.localhost:${port}`;
  const secureUrl = `https://app.example.localhost:${securePort}`;
  // The page of another site, which shows the application in a frame.
  const shopUrl = `https://shop.test:${securePort}/shop.html`;
  return { mock, gateway, stopGateway, user, profile, port, proxyRequests, url, secureUrl, shopUrl };
}
