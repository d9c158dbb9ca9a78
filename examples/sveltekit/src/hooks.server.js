import { createServerClient } from "@supabase/ssr";

import { GATEWAY_URL, SUPABASE_URL } from "$app/env/private";
import { PUBLIC_SUPABASE_PUBLISHABLE_KEY } from "$app/env/public";
import { cookieOptions } from "./lib/cookie-options.js";
import { forward } from "./lib/server/forward.js";

function serverBehind({ pathname }) {
  if (/^\/api\/auth\/(logout|csrf)$/.test(pathname)) return GATEWAY_URL;
  return pathname.startsWith("/auth/v1/") ? SUPABASE_URL : null;
}

export async function handle({ event, resolve }) {
  const server = serverBehind(event.url);
  // Before any Supabase client: it would refresh the session that a logout is about to end, and set
  // its cookies again.
  if (server) return forward(event, server);

  event.locals.supabase = createServerClient(SUPABASE_URL, PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions,
    cookies: {
      getAll: () => event.cookies.getAll(),
      setAll(fresh, headers) {
        fresh.forEach(({ name, value, options }) => event.cookies.set(name, value, options));
        event.setHeaders(headers);
      },
    },
  });
  return resolve(event);
}
