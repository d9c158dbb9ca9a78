import { describe, expect } from "vitest";

import { test } from "./fixtures.js";

const EMAIL = "ann@example.com";
const PASSWORD = "correct horse";

// All tests use the same address at the same time, each in its world.
describe.concurrent("sign-up", () => {
  test("the code of the mail confirms the address", async ({ auth, mock }) => {
    expect(await auth.signUp(EMAIL, PASSWORD)).toBeNull();
    expect(await auth.signIn(EMAIL, PASSWORD)).toMatch("Confirm your address");
    expect(await auth.currentUser()).toBeNull();

    const { token } = await mock.mail({ to: EMAIL, type: "signup" });
    expect(await auth.confirm(EMAIL, token)).toBeNull();
    expect(await auth.currentUser()).toBe(EMAIL);
  });

  test("a code that is too old confirms nothing", async ({ auth, mock }) => {
    await auth.signUp(EMAIL, PASSWORD);
    const { token } = await mock.mail({ to: EMAIL });
    await mock.advance("2h");
    expect(await auth.confirm(EMAIL, token)).toMatch("That failed");
  });

  test("a rate limit is explained to the user", async ({ auth, mock }) => {
    await mock.fault({ operation: "signup", kind: "status", code: "over_email_send_rate_limit", times: 1 });
    expect(await auth.signUp(EMAIL, PASSWORD)).toMatch("Wait a minute");
    expect(await auth.signUp(EMAIL, PASSWORD)).toBeNull();
  });
});
