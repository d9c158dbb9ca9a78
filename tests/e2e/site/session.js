// Code that all pages of the application share: the client, and the messages for each result of a
// logout.

import { createBrowserClient } from "@supabase/ssr";
import { createLogout } from "logout-gateway-client";

const MESSAGES = {
  revoked: "You are signed out.",
  "already-ended": "You were signed out already.",
  queued: "You are signed out here. Elsewhere it takes until the sign-in service answers.",
  failed: "Logging out may have failed, and your session may live on. Try again later.",
  refused: "Nobody is signed in.",
  offline: "Neither the gateway nor GoTrue answered. Log out again once you are online.",
};

// The settings are in the query of the page's URL, so that one page serves all tests.
const { scope, gatewayUrl, ...cookieOptions } = Object.fromEntries(
  new URLSearchParams(location.search),
);

export const supabase = createBrowserClient(location.origin, "any", {
  cookieOptions: { name: "sb-127-auth-token", ...cookieOptions },
});

const logout = createLogout({ supabase, scope, gatewayUrl });

export async function logOut() {
  const { outcome } = await logout();
  return MESSAGES[outcome];
}
