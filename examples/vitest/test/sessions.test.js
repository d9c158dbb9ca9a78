import { afterEach, beforeEach, expect, vi } from "vitest";

import { test as base } from "./fixtures.js";

const EMAIL = "ann@example.com";

const test = base.extend({
  signedIn: async ({ auth, mock }, use) => {
    await auth.signUp(EMAIL, "correct horse");
    await auth.confirm(EMAIL, (await mock.mail()).token);
    await use(auth);
  },
});

// The client reads the time of this process, the mock its own: a test moves both.
beforeEach(() => { vi.useFakeTimers({ toFake: ["Date"] }); });
afterEach(() => { vi.useRealTimers(); });

const advance = async (mock, duration) => vi.setSystemTime(await mock.advance(duration));

test("an expired session is refreshed", async ({ signedIn, mock }) => {
  await advance(mock, "2h");
  expect(await signedIn.currentUser()).toBe(EMAIL);
  const refreshes = (await mock.calls()).filter(({ query }) => query === "grant_type=refresh_token");
  expect(refreshes).toHaveLength(1);
});

test("a session that GoTrue does not refresh any more is signed out", async ({ signedIn, mock }) => {
  const [{ id }] = await mock.sessions();
  await mock.expireSession(id);
  await advance(mock, "2h");
  expect(await signedIn.currentUser()).toBeNull();
});

test("a sign-out ends the session at the server", async ({ signedIn, mock }) => {
  expect(await mock.sessions()).toHaveLength(1);
  expect(await signedIn.signOut()).toBeNull();
  expect(await mock.sessions()).toEqual([]);
});
