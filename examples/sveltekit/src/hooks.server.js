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
  // Forward before a Supabase client is created: it would refresh the session that a logout is about
  // to end, and set its cookies again.
  if (server) return forward(event, server);

  const fresh = {};
  event.locals.supabase = createServerClient(SUPABASE_URL, PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions,
    cookies: {
      getAll: () => event.cookies.getAll(),
      setAll(changed, headers) {
        changed.forEach(({ name, value, options }) => event.cookies.set(name, value, options));
        Object.assign(fresh, headers);
      },
    },
  });
  // Refreshes a session that is about to expire, while cookies can still be set.
  await event.locals.supabase.auth.getSession();
  const answer = await resolve(event);
  // Copy the response: the headers of one that an endpoint got from fetch are immutable.
  const response = new Response(answer.body, answer);
  // Without this header the back button shows private pages after a logout. A page may set its own
  // Cache-Control, but the headers of a refreshed session replace it.
  const kept = response.headers.get("Cache-Control") ?? "private, no-store";
  Object.entries({ "Cache-Control": kept, ...fresh })
    .forEach(([name, value]) => response.headers.set(name, value));
  return response;
}
