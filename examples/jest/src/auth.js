// The app's own code: what its pages call, with the texts that they show.

const { createClient } = require("@supabase/supabase-js");

const TEXTS = {
  email_not_confirmed: "Confirm your address first: we sent you a mail.",
  over_email_send_rate_limit: "We sent you a mail already. Wait a minute.",
};

exports.createAuth = (url, key) => {
  const { auth } = createClient(url, key, { auth: { autoRefreshToken: false } });
  const textOf = ({ error }) => error && (TEXTS[error.code] ?? "That failed. Try again later.");
  return {
    /** Each resolves to the text of an error, or to `null`. */
    signUp: async (email, password) => textOf(await auth.signUp({ email, password })),
    confirm: async (email, token) => textOf(await auth.verifyOtp({ email, token, type: "signup" })),
    signIn: async (email, password) => textOf(await auth.signInWithPassword({ email, password })),
    signOut: async () => textOf(await auth.signOut()),
  };
};
