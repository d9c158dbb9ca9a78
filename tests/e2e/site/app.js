// The page that anybody may see: who is signed in, signing in, logging out.

import { logOut, supabase } from "./session.js";

const byId = (id) => document.getElementById(id);
const tell = (text) => { byId("told").textContent = text; };

// For the tests' questions.
Object.assign(window, { supabase });

supabase.auth.onAuthStateChange((_, session) => {
  byId("who").textContent = session ? `${session.user.email} is signed in.` : "Signed out.";
});

const form = byId("sign-in");
// The server writes its cookies where this page would.
form.action += location.search;

byId("by-browser").addEventListener("click", async () => {
  const { error } = await supabase.auth.signInWithPassword({
    email: form.email.value,
    password: form.password.value,
  });
  tell(error?.message ?? "");
});

byId("log-out").addEventListener("click", async () => tell(await logOut()));
