import { GATEWAY_URL } from "$app/env/private";

// Returns the claims of the signed-in user, or null.
export async function signedIn({ auth }) {
  const { data: { session } } = await auth.getSession();
  if (!session) return null;
  // getClaims alone would accept the token until it expires, up to an hour after the logout.
  const verdict = await fetch(`${GATEWAY_URL}/api/auth/verify`, {
    headers: { Authorization: `Bearer ${session.access_token}` },
  });
  if (verdict.status === 401) return null;
  if (!verdict.ok) throw new Error(`verify answered ${verdict.status}`);
  const { data } = await auth.getClaims(session.access_token);
  return data.claims;
}
