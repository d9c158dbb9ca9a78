// The script of the application's public page, which shows the user, signs in and signs out.

import { logOut, supabase } from "./session.js";

const byId = (id) => document.getElementById(id);
const showMessage = (text) => { byId("message").textContent = text; };

// The tests call the Supabase client through `window`.
Object.assign(window, { supabase });

supabase.auth.onAuthStateChange((_, session) => {
  byId("who").textContent = session ? `${session.user.email} is signed in.` : "Signed out.";
});

const form = byId("sign-in");
// Pass the page's settings to the server, so that page and server set the same kind of cookies.
form.action += location.search;

byId("by-browser").addEventListener("click", async () => {
  const { error } = await supabase.auth.signInWithPassword({
    email: form.email.value,
    password: form.password.value,
  });
  showMessage(error?.message ?? "");
});

byId("log-out").addEventListener("click", async () => showMessage(await logOut()));
