import { createServerClient } from "@supabase/ssr";
import { cookies } from "next/headers";

import { cookieOptions } from "./cookie-options";

const { GATEWAY_URL, SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY } = process.env;

// Returns the claims of the signed-in user, or null.
export async function signedIn() {
  const jar = await cookies();
  const supabase = createServerClient(SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions,
    // A page cannot set cookies; proxy.js has refreshed the session.
    cookies: { getAll: () => jar.getAll(), setAll() {} },
  });
  const { data: { session } } = await supabase.auth.getSession();
  if (!session) return null;
  // getClaims alone would accept the token until it expires, up to an hour after the logout.
  const verdict = await fetch(`${GATEWAY_URL}/api/auth/verify`, {
    headers: { Authorization: `Bearer ${session.access_token}` },
    cache: "no-store",
  });
  if (verdict.status === 401) return null;
  if (!verdict.ok) throw new Error(`verify answered ${verdict.status}`);
  const { data } = await supabase.auth.getClaims(session.access_token);
  return data.claims;
}
