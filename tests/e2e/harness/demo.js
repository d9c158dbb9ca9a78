// Uses the page of `logout-gateway demo` as a user does.

import { eventually, start } from "../../../clients/js/test/harness.js";
import { openTab, waitForText } from "./app.js";
import { newProfile } from "./test_app.js";

// Starts the demo, and opens its page in a profile with these options.
export async function openDemo(context, options) {
  const url = await start(context, ["demo", "--bind", "127.0.0.1:0"], "The page");
  const profile = await newProfile(context, options);
  const tab = await openTab(profile, url);
  // The page is ready when its script has filled in the form.
  await eventually("the page is ready", () => tab.inputValue("#email"));
  return tab;
}

export const waitForSessions = (tab, count) => eventually(`${count} sessions are shown`, async () => (
  await tab.locator("#sessions code").count() === count
));
export const waitUntilIdle = (tab) => eventually("the page is idle", () => (
  tab.evaluate(() => !document.body.hasAttribute("aria-busy"))
));

export async function signIn(tab, button = "Sign in") {
  await tab.getByRole("button", { name: button, exact: true }).click();
  await waitForText(tab, "who", "demo@example.com is signed in.");
  await waitUntilIdle(tab);
}

// Signs out with the client library, or with the credential if one is given.
export async function logOut(tab, { scope = "local", credential, path }, summary) {
  await tab.check(`[name=scope][value=${scope}]`);
  if (credential) await tab.check(`[name=credential][value=${credential}]`);
  if (path) await tab.check(`[name=path][value="${path}"]`);
  await tab.locator("#logout .primary").click();
  await waitForText(tab, "summary", summary);
  await waitUntilIdle(tab);
}
