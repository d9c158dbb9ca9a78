// A page with supabase-js in Chromium, for the flows that leave the application and come back to it.

import assert from "node:assert/strict";

import { startServer } from "../../../clients/js/test/harness.js";
import { newProfile, siteFile } from "./test_app.js";

// Opens the page in a browser profile of its own. `flow` is how the client signs in and where it stores the
// session: `implicit` and `pkce` in the browser's storage, `cookies` by PKCE in cookies.
export async function openAuthPage(context, world, flow) {
  const script = await siteFile("auth.js");
  const { url } = await startServer(context, (request, response) => {
    if (request.url === "/auth.js") {
      return response.writeHead(200, { "Content-Type": "text/javascript" }).end(script);
    }
    return response.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html>
      <html data-url="${world.url}" data-key="${world.anonKey}" data-flow="${flow}">
      <title>Application</title>
      <link rel="icon" href="data:,">
      <script type="module" src="/auth.js"></script>`);
  });
  const profile = await newProfile(context);
  const tab = await profile.newPage();
  await tab.goto(url);
  const page = {
    url,
    tab,
    // Calls a method of `supabase.auth` in the page.
    call: async (method, ...parameters) => {
      await page.event("INITIAL_SESSION");
      return tab.evaluate(async ([name, values]) => {
        const { data, error } = await window.auth[name](...values);
        return { data, error: error && { name: error.name, status: error.status, message: error.message } };
      }, [method, parameters]);
    },
    session: async () => {
      const { data, error } = await page.call("getSession");
      assert.equal(error, null);
      return data.session;
    },
    // Waits until the page's client has emitted the event.
    event: (name) => tab.waitForFunction((event) => window.events?.includes(event), name),
  };
  return page;
}
