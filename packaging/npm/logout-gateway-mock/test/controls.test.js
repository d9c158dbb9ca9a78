// Tests the functions of a mock by their effect on the requests of an app.

import assert from "node:assert/strict";
import { test } from "node:test";

import { connectMock } from "logout-gateway-mock";

import { ANN, answers, post, refresh, signIn, signUp, start, userStatus } from "./harness.js";

test("an app finds the mock by its URL and its keys", async (context) => {
  const mock = await start(context);
  const users = (key) => fetch(`${mock.url}/auth/v1/admin/users`, {
    headers: { apikey: key, Authorization: `Bearer ${key}` },
  });
  assert.equal((await users(mock.serviceRoleKey)).status, 200);
  assert.equal((await users(mock.anonKey)).status, 403);
  assert.equal((await (await fetch(mock.jwksUrl)).json()).keys.length, 1);
});

test("mails are filtered by address and type", async (context) => {
  const mock = await start(context, { autoconfirm: false });
  await signUp(mock);
  await post(mock.url, "/auth/v1/otp", { email: "ben@example.com" });
  await post(mock.url, "/auth/v1/otp", { phone: "+15550100001" });
  const seen = async (filter) => (await mock.mails(filter)).map(({ to, type }) => `${type} ${to}`);

  const all = ["signup ann@example.com", "signup ben@example.com", "sms 15550100001"];
  assert.deepEqual(await seen(), all);
  assert.deepEqual(await seen({ to: "Ben@Example.com" }), [all[1]]);
  assert.deepEqual(await seen({ type: "signup" }), all.slice(0, 2));
  assert.deepEqual(await seen({ to: "+15550100001", type: "sms" }), [all[2]]);

  await mock.deleteMails();
  assert.deepEqual(await seen(), []);
});

test("the link of a mail confirms the address", async (context) => {
  const mock = await start(context, { autoconfirm: false });
  await signUp(mock);
  assert.equal((await signIn(mock)).body.error_code, "email_not_confirmed");
  const { link } = await mock.mail({ to: ANN.email });
  await fetch(link, { redirect: "manual" });
  assert.equal((await signIn(mock)).status, 200);
});

test("mail waits for a mail that is not there yet, and takes the newest", async (context) => {
  const mock = await start(context);
  const coming = mock.mail({ type: "magiclink" });
  await signUp(mock);
  await post(mock.url, "/auth/v1/otp", { email: ANN.email });
  const first = await coming;
  await post(mock.url, "/auth/v1/otp", { email: ANN.email });
  const second = await mock.mail({ type: "magiclink" });
  assert.notEqual(first.token, second.token);
  assert.deepEqual(await mock.mails(), [first, second]);
});

test("mail rejects after its limit, and says which mails there are", async (context) => {
  const mock = await start(context, { autoconfirm: false });
  await signUp(mock);
  const started = performance.now();
  await assert.rejects(mock.mail({ to: "ben@example.com", timeout: 50 }), {
    message: 'no mail matches {"to":"ben@example.com"} within 50 ms; the mock has sent: signup to ann@example.com',
  });
  assert.ok(performance.now() - started < 4_000, "the limit is not the default of 5 s");
});

test("mail keeps its limit while the test has replaced clock, timers and fetch", async (context) => {
  const mock = await start(context);
  context.mock.timers.enable({ apis: ["Date", "setTimeout", "setInterval"] });
  context.mock.method(globalThis, "fetch", () => { throw new Error("replaced"); });
  await assert.rejects(mock.mail({ timeout: 50 }), /the mock has sent: none/);
});

test("a banned user is refused, and a deleted one has gone", async (context) => {
  const mock = await start(context);
  const { body: session } = await signUp(mock);
  const [user] = await mock.users();
  assert.equal(user.email, ANN.email);

  await mock.banUser(user.id);
  assert.equal((await refresh(mock, session)).body.error_code, "user_banned");
  assert.equal((await mock.sessions())[0].banned, true);

  await mock.deleteUser(user.id);
  assert.deepEqual([await mock.users(), await mock.sessions()], [[], []]);
  await assert.rejects(mock.deleteUser(user.id), /status 404: .*no such user/);
});

test("a deleted session has ended, and an expired one is not refreshed", async (context) => {
  const mock = await start(context);
  await signUp(mock);
  const { body: kept } = await signIn(mock);
  const [deleted, expired] = await mock.sessions();
  assert.deepEqual(expired.amr, ["password"]);

  await mock.deleteSession(deleted.id);
  await mock.expireSession(expired.id, "inactivity");
  assert.deepEqual((await mock.sessions()).map(({ id }) => id), [expired.id]);
  const { body } = await refresh(mock, kept);
  assert.deepEqual([body.error_code, body.msg], [
    "session_expired", "Invalid Refresh Token: Session Expired (Inactivity)",
  ]);
});

test("calls has the requests of the app", async (context) => {
  const mock = await start(context);
  const { status } = await signUp(mock);
  const now = await mock.advance("0s");
  const [{ id, at, method, path, query, body, ...call }, ...others] = await mock.calls();
  assert.deepEqual([id, method, path, query, call.status], [0, "POST", "/auth/v1/signup", "", status]);
  assert.ok(Math.abs(now - Date.parse(at)) < 60_000, at);
  assert.deepEqual(JSON.parse(body), ANN);
  assert.deepEqual(others, []);
});

test("a fault acts as often as it says, or until the faults are cleared", async (context) => {
  const mock = await start(context);
  await mock.fault({ operation: "signup", kind: "status", code: "over_email_send_rate_limit", times: 2 });
  const { status, body } = await signUp(mock);
  assert.deepEqual([status, body.error_code], [429, "over_email_send_rate_limit"]);
  assert.equal((await mock.faults())[0].times, 1);
  await signUp(mock);
  assert.equal((await signUp(mock)).status, 200);

  await mock.fault({ operation: "token", kind: "reset" });
  await assert.rejects(signIn(mock));
  await mock.clearFaults();
  assert.equal((await signIn(mock)).status, 200);
});

test("an error has the mock's message", async (context) => {
  const mock = await start(context);
  await assert.rejects(mock.fault({ operation: "log-out", kind: "hang" }), /status 400: .*unknown operation/);
});

test("advance moves the clock, so that an access token expires", async (context) => {
  const mock = await start(context);
  const { body: session } = await signUp(mock);
  assert.equal(await userStatus(mock, session), 200);
  const now = await mock.advance("2h");
  assert.equal(await userStatus(mock, session), 403);
  assert.ok(Math.abs(now - Date.now() - 2 * 3600 * 1000) < 60_000, now);
});

test("a rotated key refuses the old tokens, unless the old key is kept", async (context) => {
  const mock = await start(context);
  const { body: first } = await signUp(mock);
  assert.equal((await mock.rotateKeys({ keepOld: true })).keys.length, 2);
  assert.equal(await userStatus(mock, first), 200);
  assert.equal((await mock.rotateKeys()).keys.length, 1);
  assert.equal(await userStatus(mock, first), 403);
});

test("reset returns to the start", async (context) => {
  const mock = await start(context, { users: [{ ...ANN, email: "ben@example.com" }] });
  await signUp(mock);
  await mock.fault({ operation: "token", kind: "reset" });
  await mock.reset();
  assert.deepEqual((await mock.users()).map(({ email }) => email), ["ben@example.com"]);
  assert.deepEqual([await mock.calls(), await mock.faults(), await mock.sessions()], [[], [], []]);
});

test("a world has users, mails and a clock of its own, until it ends", async (context) => {
  const mock = await start(context, { autoconfirm: false });
  const [one, two] = [mock.world("one"), mock.world("two")];
  await signUp(one);
  assert.equal((await one.users()).length, 1);
  assert.deepEqual([await two.users(), await mock.users()], [[], []]);

  const { link, token } = await one.mail({ to: ANN.email });
  assert.ok(link.startsWith(`${one.url}/auth/v1/verify?`), link);
  const verification = { type: "email", email: ANN.email, token };
  const { body: session } = await post(one.url, "/auth/v1/verify", verification);
  await two.advance("2h");
  assert.equal(await userStatus(one, session), 200);
  assert.ok(one.jwksUrl.startsWith(one.url) && (await fetch(one.jwksUrl)).ok, one.jwksUrl);

  await one.end();
  assert.deepEqual(await one.users(), []);
  await two[Symbol.asyncDispose]();
  assert.deepEqual(await (await fetch(`${mock.url}/mock/worlds`)).json(), ["one"]);
  await mock.world("without-requests").end();
});

test("a world with a name that is not allowed says so", async (context) => {
  const mock = await start(context);
  await assert.rejects(mock.world("a b").users(), /letters, digits/);
});

test("another process connects by the URL of the mock or of a world", async (context) => {
  const mock = await start(context);
  const connected = await connectMock(`${mock.url}/`);
  await signUp(connected.world("one"));
  assert.deepEqual(
    [connected.url, connected.anonKey, connected.serviceRoleKey, connected.jwksUrl],
    [mock.url, mock.anonKey, mock.serviceRoleKey, mock.jwksUrl],
  );
  const world = await connectMock(mock.world("one").url);
  assert.equal((await world.users()).length, 1);
  assert.equal(connected.stop, undefined);
});

test("connectMock takes the URL from SUPABASE_URL", async (context) => {
  const mock = await start(context);
  await assert.rejects(connectMock(undefined), /SUPABASE_URL/);
  process.env.SUPABASE_URL = mock.url;
  context.after(() => { delete process.env.SUPABASE_URL; });
  assert.equal((await connectMock()).url, mock.url);
  await mock.stop();
  assert.equal(await answers(mock.url), false);
  await assert.rejects(connectMock(), /the mock does not answer/);
});
