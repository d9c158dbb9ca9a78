import { createBrowserClient } from "@supabase/ssr";
import { createLogout } from "logout-gateway-client";

import { cookieOptions } from "./cookie-options";

// Returns the one client of this page: @supabase/ssr creates it at the first call.
export const browserClient = () => createBrowserClient(
  window.location.origin,
  process.env.NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY,
  { cookieOptions },
);

let logout;

export function logOut() {
  logout ??= createLogout({ supabase: browserClient() });
  return logout();
}
