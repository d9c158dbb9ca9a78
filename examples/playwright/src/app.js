import { createClient } from "@supabase/supabase-js";

const { url, key } = await (await fetch("/config.json")).json();
const { auth } = createClient(url, key, { auth: { flowType: "pkce" } });

const status = document.querySelector("[role=status]");
const home = location.origin;

const show = (text) => { status.textContent = text; };
const showError = ({ error }) => { if (error) show(error.message); };

auth.onAuthStateChange((event, session) => {
  show(session ? `Signed in as ${session.user.email}` : "Signed out");
});

document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password } = Object.fromEntries(new FormData(event.target));
  const { error } = await auth.signUp({ email, password, options: { emailRedirectTo: home } });
  show(error ? error.message : `We sent a mail to ${email}`);
});

document.querySelector("#github").addEventListener("click", async () => {
  showError(await auth.signInWithOAuth({ provider: "github", options: { redirectTo: home } }));
});

document.querySelector("#sign-out").addEventListener("click", async () => {
  showError(await auth.signOut());
});
