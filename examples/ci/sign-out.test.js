import { createClient } from "@supabase/supabase-js";
import { expect, test } from "vitest";

const { SUPABASE_URL, SUPABASE_ANON_KEY } = process.env;
const ANN = { email: "ann@example.com", password: "correct horse" };

test("a sign-out ends the session", async () => {
  const { auth } = createClient(SUPABASE_URL, SUPABASE_ANON_KEY);
  await auth.signUp(ANN);
  const mails = await (await fetch(`${SUPABASE_URL}/mock/mails`)).json();
  await fetch(mails.findLast(({ to }) => to === ANN.email).link, { redirect: "manual" });

  const { data: { session } } = await auth.signInWithPassword(ANN);
  expect((await auth.getUser(session.access_token)).error).toBeNull();
  await auth.signOut();
  expect((await auth.getUser(session.access_token)).error.name).toBe("AuthSessionMissingError");
  expect((await auth.refreshSession(session)).error.code).toBe("refresh_token_not_found");
});
