// Tests the published package: its size, its files and its types.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

import { transform } from "esbuild";

const cwd = fileURLToPath(new URL("..", import.meta.url));

async function run(command, ...flags) {
  const { stdout } = await promisify(execFile)(command, flags, { cwd });
  return stdout;
}

test("the module is at most 1.5 KB minified and gzipped", async () => {
  const source = await readFile(new URL("../index.js", import.meta.url), "utf8");
  const { code } = await transform(source, { minify: true, format: "esm" });
  const { length } = gzipSync(code, { level: 9 });
  assert.ok(length <= 1536, `${length} bytes`);
});

test("the package has the module, its types and the README, and no dependencies", async () => {
  const [{ files }] = JSON.parse(await run("npm", "pack", "--dry-run", "--json"));
  const paths = files.map(({ path }) => path).sort();
  assert.deepEqual(paths, ["README.md", "index.d.ts", "index.js", "package.json"]);
  const { dependencies } = JSON.parse(await readFile(new URL("../package.json", import.meta.url)));
  assert.equal(dependencies, undefined);
  const source = await readFile(new URL("../index.js", import.meta.url), "utf8");
  assert.doesNotMatch(source, /\bimport\b/);
});

describe("the types compile", () => {
  for (const [name, flags] of [
    ["with the clients of supabase-js and @supabase/ssr", ["--project", "."]],
    ["by themselves", ["--noEmit", "--strict", "--ignoreConfig", "--types", "", "index.d.ts"]],
  ]) {
    test(name, async () => {
      await run("node_modules/.bin/tsc", ...flags).catch(({ stdout }) => assert.fail(stdout));
    });
  }
});
