// The script of a page that the links of mails and identity providers lead back to. The page's root element
// has its settings.

import { createBrowserClient } from "@supabase/ssr";
import { createClient } from "@supabase/supabase-js";

const { url, key, flow } = document.documentElement.dataset;

const auth = { flowType: flow, autoRefreshToken: false, experimental: { passkey: true } };
const supabase = flow === "cookies" ? createBrowserClient(url, key) : createClient(url, key, { auth });

// The tests call the Supabase client through `window`.
const events = [];
supabase.auth.onAuthStateChange((event) => events.push(event));
Object.assign(window, { auth: supabase.auth, events });
