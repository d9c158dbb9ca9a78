// Writes the pictures of the README: what the page of the demo shows of a logout, in light and in dark colours.

import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { logOut, openDemo, signIn, waitForSessions } from "./harness/demo.js";

const PICTURES = new URL("../../docs/pictures/", import.meta.url);
const MARGIN = 12;
// Higher than the page, so that it does not scroll: the positions of its parts are those of the picture.
const VIEWPORT = { width: 960, height: 2600 };

// The part of the page from the gateway's response to the table of what changed.
async function partOfPage(tab) {
  const first = await tab.getByRole("heading", { name: "The reply", exact: true }).boundingBox();
  const last = await tab.locator("#changes").boundingBox();
  return {
    x: first.x - MARGIN,
    y: first.y - MARGIN,
    width: last.width + 2 * MARGIN,
    height: last.y + last.height - first.y + 2 * MARGIN,
  };
}

for (const colorScheme of ["light", "dark"]) {
  test(`the demo in ${colorScheme} colours`, async (context) => {
    const tab = await openDemo(context, { colorScheme, viewport: VIEWPORT });
    await signIn(tab);
    await logOut(tab, {}, "Logged out: GoTrue ended this session.");
    await waitForSessions(tab, 0);
    const path = fileURLToPath(new URL(`demo-${colorScheme}.png`, PICTURES));
    await tab.screenshot({ path, clip: await partOfPage(tab) });
  });
}
