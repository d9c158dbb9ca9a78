// Documents show the code that the examples run.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const read = (path) => readFile(new URL(path, ROOT), "utf8");

// A block whose first line is a comment with the name of a file.
const NAMED = /^```\w+\n(?:\/\/|<!--) (examples\/\S+)(?: -->)?\n([^]*?)^```$/gm;

const APPS = ["nextjs", "sveltekit"];
const PAGES = [
  ...APPS.map((app) => `docs/frontend/${app}.md`),
  "docs/ci.md",
  "docs/proxies.md",
  "packaging/npm/logout-gateway-mock/README.md",
];
const pages = await Promise.all(PAGES.map(read));
const shown = pages.flatMap((page) => [...page.matchAll(NAMED)]);

for (const app of APPS) {
  test(`code of ${app} is shown`, () => {
    const paths = shown.map(([, path]) => path);
    assert.ok(paths.filter((path) => path.startsWith(`examples/${app}/`)).length > 3, paths);
  });
}

const SHOWN = [
  "examples/nextjs/app/auth/refresh/route.js",
  "examples/ci/sign-out.test.js",
  "examples/ci/faults.test.js",
  "examples/jest/mock-environment.mjs",
];
for (const path of SHOWN) {
  test(`${path} is shown`, () => assert.ok(shown.some(([, name]) => name === path)));
}

for (const [, path, code] of shown) {
  test(`${path} is shown as it is`, async () => assert.equal(code, await read(path)));
}
