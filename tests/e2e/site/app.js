// The public page: shows the user, signs in and signs out.

import { logOut, supabase } from "./session.js";

const byId = (id) => document.getElementById(id);
const showMessage = (text) => { byId("message").textContent = text; };

// The tests use the client through `window`.
Object.assign(window, { supabase });

supabase.auth.onAuthStateChange((_, session) => {
  byId("who").textContent = session ? `${session.user.email} is signed in.` : "Signed out.";
});

const form = byId("sign-in");
// The server sets its cookies with the same settings as this page.
form.action += location.search;

byId("by-browser").addEventListener("click", async () => {
  const { error } = await supabase.auth.signInWithPassword({
    email: form.email.value,
    password: form.password.value,
  });
  showMessage(error?.message ?? "");
});

byId("log-out").addEventListener("click", async () => showMessage(await logOut()));
