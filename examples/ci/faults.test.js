import { createClient } from "@supabase/supabase-js";
import { expect, test } from "vitest";

const { SUPABASE_URL, SUPABASE_ANON_KEY } = process.env;

test("one request for a code exceeds the rate limit", async () => {
  const fault = { operation: "otp", kind: "status", code: "over_email_send_rate_limit", times: 1 };
  await fetch(`${SUPABASE_URL}/mock/faults`, { method: "POST", body: JSON.stringify(fault) });

  const { auth } = createClient(SUPABASE_URL, SUPABASE_ANON_KEY);
  const { error } = await auth.signInWithOtp({ email: "bob@example.com" });
  expect([error.status, error.code]).toEqual([429, "over_email_send_rate_limit"]);
  expect((await auth.signInWithOtp({ email: "bob@example.com" })).error).toBeNull();
});
