// Tests the options of `startMock`: by their effect, and whether each flag of the command has one.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { promisify } from "node:util";

import { startMock } from "logout-gateway-mock";

import { FILE_FLAGS, FLAGS } from "../lib/flags.js";
import { ANN, BINARY, post, signIn, signUp, start } from "./harness.js";

// A value for each option that differs from the default, with the flags for it.
const CASES = {
  bind: ["127.0.0.1:0", "--bind=127.0.0.1:0"],
  externalUrl: ["http://localhost:9999", "--external-url=http://localhost:9999"],
  gateway: [true, "--gateway"],
  alg: ["EdDSA", "--alg=EdDSA"],
  tokenLifetime: ["2s", "--token-lifetime=2s"],
  issuer: ["none", "--issuer=none"],
  seed: [0, "--seed=0"],
  fallback: ["http://127.0.0.1:3000", "--fallback=http://127.0.0.1:3000"],
  autoconfirm: [false, "--no-autoconfirm"],
  siteUrl: ["http://localhost:5173", "--site-url=http://localhost:5173"],
  redirectUrls: [["app://a", "app://b"], "--redirect-url=app://a", "--redirect-url=app://b"],
  otpLifetime: ["5m", "--otp-lifetime=5m"],
  maxFrequency: ["1m", "--max-frequency=1m"],
  emailRateLimit: [2, "--email-rate-limit=2"],
  smsRateLimit: [2, "--sms-rate-limit=2"],
  testOtps: [{ "+15550100001": "123456" }, "--test-otp=+15550100001=123456"],
  passwordLength: [10, "--password-length=10"],
  passwordRequirements: ["letters_digits", "--password-requirements=letters_digits"],
  requireCurrentPassword: [true, "--require-current-password"],
  securePasswordChange: [true, "--secure-password-change"],
  doubleConfirmChanges: [false, "--no-double-confirm-changes"],
  timebox: ["1day", "--timebox=1day"],
  inactivityTimeout: ["1h", "--inactivity-timeout=1h"],
  allowLowAal: ["15m", "--allow-low-aal=15m"],
  singleSession: [true, "--single-session"],
  signup: [false, "--no-signup"],
  email: [false, "--no-email"],
  phone: [false, "--no-phone"],
  anonymousUsers: [false, "--no-anonymous-users"],
  magicLink: [false, "--no-magic-link"],
  manualLinking: [false, "--no-manual-linking"],
  mfa: [false, "--no-mfa"],
  providers: [["github"], "--provider=github"],
};

test("each option becomes its flag, and has no flag for the default", () => {
  assert.deepEqual(Object.keys(CASES), Object.keys(FLAGS));
  for (const [name, [value, ...flags]] of Object.entries(CASES)) {
    assert.deepEqual(FLAGS[name](value), flags, name);
    if (typeof value === "boolean") assert.deepEqual(FLAGS[name](!value), [], name);
  }
});

test("each flag of the command has an option", async () => {
  const { stdout } = await promisify(execFile)(BINARY, ["mock", "--help"]);
  const flags = [...stdout.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].map(([, flag]) => `--${flag}`);
  const known = Object.values(CASES).flatMap(([, ...used]) => used.map((flag) => flag.split("=")[0]));
  const missing = flags.filter((flag) => ![...known, ...Object.values(FILE_FLAGS), "--help"].includes(flag));
  assert.deepEqual(missing, []);
  assert.ok(flags.length > 30, flags);
});

test("the command accepts every option at once", async (context) => {
  const options = Object.entries(CASES).map(([name, [value]]) => [name, value]);
  const mock = await start(context, { ...Object.fromEntries(options), seed: undefined, externalUrl: undefined });
  assert.equal((await signUp(mock)).status, 422);
});

test("users exist from the start, and no file with their passwords is left", async (context) => {
  const files = async () => (await readdir(tmpdir())).filter((name) => name.startsWith("logout-gateway-mock-"));
  const before = await files();
  const mock = await start(context, { users: [ANN] });
  assert.equal((await signIn(mock)).status, 200);
  await assert.rejects(startMock({ binary: BINARY, users: [{ name: "ann" }] }), /user 1: unknown member name/);
  assert.deepEqual((await files()).filter((name) => !before.includes(name)), []);
});

test("signing keys sign the access tokens", async (context) => {
  const secret = Buffer.alloc(32);
  const signingKeys = [{ kty: "oct", kid: "own", k: secret.toString("base64url") }];
  const mock = await start(context, { alg: "HS256", signingKeys });
  const { body } = await signUp(mock);
  const [, signed, signature] = body.access_token.match(/(.*)\.(.*)/);
  assert.equal(createHmac("sha256", secret).update(signed).digest("base64url"), signature);
});

test("a seed makes the same tokens in each run", async (context) => {
  const token = async (seed) => (await signUp(await start(context, { seed }))).body.refresh_token;
  assert.equal(await token(7), await token(7));
  assert.notEqual(await token(7), await token(undefined));
});

test("a gateway in front of the mock ends sessions", async (context) => {
  const mock = await start(context, { gateway: true });
  const { body } = await signUp(mock);
  const headers = { Authorization: `Bearer ${body.access_token}` };
  assert.equal((await post(mock.gatewayUrl, "/api/auth/logout", undefined, headers)).status, 200);
  assert.deepEqual(await mock.sessions(), []);
});

test("without the option there is no gateway, also if the environment has one", async (context) => {
  process.env.GATEWAY_URL = "http://127.0.0.1:1";
  context.after(() => { delete process.env.GATEWAY_URL; });
  assert.equal((await start(context)).gatewayUrl, undefined);
});

test("an unknown option and a refused value are errors with a reason", async () => {
  await assert.rejects(startMock({ binary: BINARY, sead: 1 }), new TypeError("startMock has no option sead"));
  await assert.rejects(startMock({ binary: BINARY, tokenLifetime: "soon" }), /status 2.*--token-lifetime/s);
});
