/* global mock */
const { createAuth } = require("../src/auth.js");

const EMAIL = "ann@example.com";

test("a sign-out ends the session at the server", async () => {
  const auth = createAuth(mock.url, mock.anonKey);
  await auth.signUp(EMAIL, "correct horse");
  await auth.confirm(EMAIL, (await mock.mail({ to: EMAIL })).token);
  expect(await mock.sessions()).toHaveLength(1);

  expect(await auth.signOut()).toBeNull();
  expect(await mock.sessions()).toEqual([]);
});
