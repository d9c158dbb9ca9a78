// package.test.js compiles this file and never runs it.

import { createBrowserClient } from "@supabase/ssr";
import { createClient } from "@supabase/supabase-js";

import { createLogout, type LogoutResult, type Outcome } from "logout-gateway-client";

const plain: () => Promise<LogoutResult> = createLogout();
const ssr = createBrowserClient("https://a.supabase.co", "key");
const whole = createLogout({ gatewayUrl: "https://b.test", supabase: ssr, scope: "global", fetch });
createLogout({ supabase: createClient("https://a.supabase.co", "key") });

const { outcome, status, requestId } = await whole();
const fields: [Outcome, number, string | null] = [outcome, status, requestId];
document.addEventListener("click", plain);
console.log(fields);

// @ts-expect-error There is no such scope.
createLogout({ scope: "all" });
// @ts-expect-error This object is not a Supabase client.
createLogout({ supabase: {} });
// @ts-expect-error There is no such outcome.
if (outcome === "ok") console.log();
