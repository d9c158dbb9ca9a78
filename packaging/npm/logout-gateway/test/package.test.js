// Tests the published package: its files, and how other packages find its launcher.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { createProject } from "./harness.js";

const cwd = fileURLToPath(new URL("..", import.meta.url));

test("the package has the launcher and the README", async () => {
  const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json"], { cwd });
  const [{ files }] = JSON.parse(stdout);
  assert.deepEqual(files.map(({ path }) => path).sort(), ["README.md", "launcher.cjs", "package.json"]);
});

test("other packages find the launcher by the manifest", async (context) => {
  const { directory, launcher } = await createProject(context);
  const require = createRequire(join(directory, "index.js"));
  const manifest = require.resolve("logout-gateway/package.json");
  assert.equal(join(manifest, "..", require(manifest).bin["logout-gateway"]), launcher);
});
