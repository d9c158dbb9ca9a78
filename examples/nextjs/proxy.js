import { createServerClient } from "@supabase/ssr";
import { NextResponse } from "next/server";

import { cookieOptions } from "./lib/cookie-options";

const { SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY } = process.env;

export async function proxy(request) {
  let response = NextResponse.next({ request });
  const supabase = createServerClient(SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions,
    cookies: {
      getAll: () => request.cookies.getAll(),
      setAll(fresh, headers) {
        fresh.forEach(({ name, value }) => request.cookies.set(name, value));
        response = NextResponse.next({ request });
        fresh.forEach(({ name, value, options }) => response.cookies.set(name, value, options));
        Object.entries(headers).forEach(([name, value]) => response.headers.set(name, value));
      },
    },
  });
  // Refreshes a session that is about to expire.
  await supabase.auth.getSession();
  return response;
}

export const config = {
  // For pages only. On the gateway's paths this function would refresh the session that a logout is
  // about to end, and set its cookies again beside the gateway's deletions. A form posts to /logout.
  // /auth/refresh refreshes the session by itself: while GoTrue is down, both would take a minute.
  matcher: "/((?!api/auth/|auth/v1/|auth/refresh$|logout$|_next/static|_next/image|favicon.ico).*)",
};
