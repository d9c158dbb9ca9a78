import { createServerClient } from "@supabase/ssr";
import { isAuthRetryableFetchError } from "@supabase/supabase-js";
import { cookies } from "next/headers";

import { cookieOptions } from "../../../lib/cookie-options";

const { SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY } = process.env;

export async function GET(request) {
  const jar = await cookies();
  const supabase = createServerClient(SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions,
    cookies: {
      getAll: () => jar.getAll(),
      setAll: (fresh) => fresh.forEach(({ name, value, options }) => jar.set(name, value, options)),
    },
  });
  // Refreshes the expired session.
  const { data: { session }, error } = await supabase.auth.getSession();
  // GoTrue does not answer: the session may still be valid.
  if (isAuthRetryableFetchError(error)) return new Response(null, { status: 503 });
  const Location = session ? request.headers.get("X-Forwarded-Uri") ?? "/" : "/login";
  return new Response(null, { status: 303, headers: { Location, "Cache-Control": "no-store" } });
}
