// Serves @supabase/lite with its database in memory, on the port that the first argument names. `compare.mjs` copies
// this file beside the installed package, because Node.js looks for packages beside the file that imports them.

import { serve } from "@hono/node-server";
import { App } from "@supabase/lite";
import { createConnection } from "@supabase/lite/sqlite";

const app = new App({
  connection: await createConnection({ url: ":memory:" }),
  auth: { enabled: true },
});
// Without this, the tables of users and sessions are missing.
await app.ensureSystemSchema();
const port = Number(process.argv[2]);
serve({ hostname: "127.0.0.1", port, fetch: (request) => app.fetch(request) });
