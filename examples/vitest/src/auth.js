// The app's own code: what its pages call, with the texts that they show.

import { createClient } from "@supabase/supabase-js";

const TEXTS = {
  email_not_confirmed: "Confirm your address first: we sent you a mail.",
  invalid_credentials: "Address or password is wrong.",
  over_email_send_rate_limit: "We sent you a mail already. Wait a minute.",
};

export function createAuth(url, key) {
  const { auth } = createClient(url, key, { auth: { autoRefreshToken: false } });
  const textOf = ({ error }) => error && (TEXTS[error.code] ?? "That failed. Try again later.");
  return {
    /** Each resolves to the text of an error, or to `null`. */
    signUp: async (email, password) => textOf(await auth.signUp({ email, password })),
    confirm: async (email, token) => textOf(await auth.verifyOtp({ email, token, type: "signup" })),
    signIn: async (email, password) => textOf(await auth.signInWithPassword({ email, password })),
    signOut: async () => textOf(await auth.signOut()),
    /** Resolves to the address of the user that is signed in, or to `null`. */
    currentUser: async () => (await auth.getUser()).data.user?.email ?? null,
  };
}
