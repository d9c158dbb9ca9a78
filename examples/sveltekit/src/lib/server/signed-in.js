import { GATEWAY_URL } from "$app/env/private";

// Who is signed in, or null.
export async function signedIn({ auth }) {
  const { data: { session } } = await auth.getSession();
  if (!session) return null;
  // A token outlives its session: getClaims alone would believe it for an hour after the logout.
  const verdict = await fetch(`${GATEWAY_URL}/api/auth/verify`, {
    headers: { Authorization: `Bearer ${session.access_token}` },
  });
  if (verdict.status === 401) return null;
  if (!verdict.ok) throw new Error(`verify answered ${verdict.status}`);
  const { data } = await auth.getClaims(session.access_token);
  return data.claims;
}
