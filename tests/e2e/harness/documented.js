// Pages with the code that docs/frontend.md shows in its section about a form: the form, the function that gets
// its token, and the script for a page that no server renders.

import { readFile } from "node:fs/promises";

const page = await readFile(new URL("../../../docs/frontend.md", import.meta.url), "utf8");
const [section] = page.split("\n## A form without script\n")[1].split("\n## ");
const [FORM, FUNCTION, SCRIPT] = ["html", "js", "html"].map((language, number) => {
  const block = [...section.matchAll(/^```(\w+)\n([^]*?)^```$/gm)][number];
  if (block?.[1] !== language) throw new Error(`block ${number} of the section is not ${language}`);
  return block[2];
});

const TITLE = `<!doctype html>
  <title>Sign out</title>
  <link rel="icon" href="data:,">`;

// The document's function, for a gateway at this URL.
export function logoutFormFor(gateway) {
  const define = new Function("process", `${FUNCTION}\nreturn logoutForm;`);
  return define({ env: { GATEWAY_URL: gateway } });
}

export async function showDocumentedForm(gateway, request, response) {
  const form = await logoutFormFor(gateway)(request.headers.cookie ?? "");
  response.writeHead(200, {
    "Content-Type": "text/html",
    "Cache-Control": "no-store",
    "Set-Cookie": form?.setCookie ?? [],
  }).end(TITLE + (form ? FORM.replace("{{ token }}", form.token) : "<p>You are not signed in.</p>"));
}

export function showDocumentedScript(response) {
  const button = "<button id=logout type=button>Log out</button>";
  response.writeHead(200, { "Content-Type": "text/html" }).end(TITLE + button + SCRIPT);
}
