/* global mock */
const { createAuth } = require("../src/auth.js");

const EMAIL = "ann@example.com";
const PASSWORD = "correct horse";

let auth;

// The mock of this file is empty again before each test.
beforeEach(async () => {
  await mock.reset();
  auth = createAuth(mock.url, mock.anonKey);
});

test("the code of the mail confirms the address", async () => {
  expect(await auth.signUp(EMAIL, PASSWORD)).toBeNull();
  expect(await auth.signIn(EMAIL, PASSWORD)).toMatch("Confirm your address");

  const { token } = await mock.mail({ to: EMAIL, type: "signup" });
  expect(await auth.confirm(EMAIL, token)).toBeNull();
  expect(await auth.signIn(EMAIL, PASSWORD)).toBeNull();
});

test("a code that is too old confirms nothing", async () => {
  expect(await auth.signUp(EMAIL, PASSWORD)).toBeNull();
  const { token } = await mock.mail({ to: EMAIL });
  await mock.advance("2h");
  expect(await auth.confirm(EMAIL, token)).toMatch("That failed");
});

test("a rate limit is explained to the user", async () => {
  await mock.fault({ operation: "signup", kind: "status", code: "over_email_send_rate_limit", times: 1 });
  expect(await auth.signUp(EMAIL, PASSWORD)).toMatch("Wait a minute");
  expect(await auth.signUp(EMAIL, PASSWORD)).toBeNull();
});
