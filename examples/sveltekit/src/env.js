import { defineEnvVars } from "@sveltejs/kit/env";

export const variables = defineEnvVars({
  GATEWAY_URL: {},
  SUPABASE_URL: {},
  PUBLIC_SUPABASE_PUBLISHABLE_KEY: { public: true },
});
