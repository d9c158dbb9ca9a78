// Tests the published package: its files, its types, and how it is loaded.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { FILE_FLAGS, FLAGS } from "../lib/flags.js";
import { start } from "./harness.js";

const cwd = fileURLToPath(new URL("..", import.meta.url));

const read = (name) => readFile(new URL(`../${name}`, import.meta.url), "utf8");

async function run(command, ...flags) {
  const { stdout } = await promisify(execFile)(command, flags, { cwd });
  return stdout;
}

test("the package has the module, its types and the README, and no dependencies", async () => {
  const [{ files }] = JSON.parse(await run("npm", "pack", "--dry-run", "--json"));
  const paths = files.map(({ path }) => path).sort();
  const lib = ["binary.js", "controls.js", "data.d.ts", "flags.js", "options.d.ts", "process.js"];
  assert.deepEqual(paths, [
    "README.md", "index.d.ts", "index.js", ...lib.map((name) => `lib/${name}`), "package.json",
  ]);
  assert.equal(JSON.parse(await read("package.json")).dependencies, undefined);
});

test("the packages have the version of the workspace, and depend on each other's", async () => {
  const cargo = await read("../../../Cargo.toml");
  const [, workspace] = cargo.match(/^\[workspace\.package\]\nversion = "(.*)"$/m);
  const manifests = ["package.json", "../logout-gateway/package.json", "../../../clients/js/package.json"];
  const [mock, launcher, client] = (await Promise.all(manifests.map(read))).map((text) => JSON.parse(text));
  const versions = [mock, launcher, client].map(({ version }) => version);
  assert.deepEqual(versions, [workspace, workspace, workspace]);
  assert.deepEqual(mock.peerDependencies, { "logout-gateway": workspace });
  assert.deepEqual([...new Set(Object.values(launcher.optionalDependencies))], [workspace]);
});

test("require loads the module", async () => {
  assert.equal(await run(process.execPath, "-p", "typeof require('logout-gateway-mock').startMock"), "function\n");
});

describe("the types compile", () => {
  const alone = ["--noEmit", "--strict", "--ignoreConfig", "--types", "", "--module", "nodenext", "--lib", "es2022"];
  for (const [name, flags] of [
    ["in a test that uses them", ["--project", "."]],
    ["by themselves, for a project with an older library", [...alone, "index.d.ts"]],
  ]) {
    test(name, async () => {
      await run("node_modules/.bin/tsc", ...flags).catch(({ stdout }) => assert.fail(stdout));
    });
  }
});

test("the types name every member, option and operation", async (context) => {
  const mock = await start(context);
  const refusal = await mock.fault({ operation: "none", kind: "hang" }).catch(({ message }) => message);
  const operations = refusal.match(/operations are: (.*)"/)[1].split(", ");
  const data = await read("lib/data.d.ts");
  assert.deepEqual(operations.filter((name) => !data.includes(`"${name}"`)), []);
  assert.ok(operations.includes("signup"));

  const options = await read("lib/options.d.ts");
  const names = Object.keys({ binary: "", ...FLAGS, ...FILE_FLAGS });
  assert.deepEqual(names.filter((name) => !options.includes(`  ${name}?:`)), []);

  const index = await read("index.d.ts");
  const members = Object.keys({ ...mock, ...mock.world("one") });
  assert.deepEqual(members.filter((name) => !new RegExp(`^  (readonly )?${name}[(:]`, "m").test(index)), []);
});
