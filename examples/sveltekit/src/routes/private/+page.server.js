import { redirect } from "@sveltejs/kit";

import { signedIn } from "../../lib/server/signed-in.js";

export async function load({ locals }) {
  const user = await signedIn(locals.supabase);
  if (!user) redirect(303, "/");
  return { email: user.email };
}
