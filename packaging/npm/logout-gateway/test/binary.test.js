// Tests which binary the launcher runs: that of the variable, of the platform's package, or on the PATH.

import assert from "node:assert/strict";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { test } from "node:test";

import { BINARY, createPlatformPackage, createProject, start } from "./harness.js";

const VERSION = /^logout-gateway \d/;

// Writes an executable script that prints a word.
async function writeScript(path, word) {
  await writeFile(path, `#!/bin/sh\necho ${word}\n`);
  await chmod(path, 0o755);
}

// A project with the launcher. Its directories `first` and `second` are the PATH, before that of the shell.
async function createPaths(context) {
  const project = await createProject(context);
  const [first, second] = ["first", "second"].map((name) => join(project.directory, name));
  for (const directory of [first, second]) await mkdir(directory);
  const PATH = [first, second, "/usr/bin", "/bin"].join(delimiter);
  const run = (env = {}) => (
    start(context, process.execPath, [project.launcher, "--version"], { PATH, ...env }).exited
  );
  return { ...project, first, second, run };
}

test("the variable goes before the package, which goes before the PATH", async (context) => {
  const { directory, second, run } = await createPaths(context);
  await symlink(BINARY, join(second, "logout-gateway"));
  const other = await run();
  assert.match(other.output, /^the package .* is not installed: .*\/second\/logout-gateway runs\nlogout-gateway \d/);

  await writeScript(await createPlatformPackage({ directory }), "packaged");
  assert.equal((await run()).output, "packaged\n");
  assert.equal((await run({ LOGOUT_GATEWAY_BINARY: "" })).output, "packaged\n");

  await writeScript(join(directory, "named"), "named");
  assert.equal((await run({ LOGOUT_GATEWAY_BINARY: join(directory, "named") })).output, "named\n");
  // A name without a slash is looked up on the PATH.
  assert.match((await run({ LOGOUT_GATEWAY_BINARY: "logout-gateway" })).output, VERSION);
});

test("the launcher does not run itself, nor a script that starts it", async (context) => {
  const { launcher, first, second, run } = await createPaths(context);
  await chmod(launcher, 0o755);
  await symlink(launcher, join(first, "logout-gateway"));
  await writeFile(join(second, "logout-gateway"), `#!/bin/sh\nexec "${process.execPath}" "${launcher}" "$@"\n`);
  await chmod(join(second, "logout-gateway"), 0o755);
  const { status, output } = await run();
  assert.match(output, /^error: the package .* is not installed/);
  assert.equal(status, 1);

  for (const named of [join(first, "logout-gateway"), join(second, "logout-gateway"), "logout-gateway"]) {
    const { status, output } = await run({ LOGOUT_GATEWAY_BINARY: named });
    assert.match(output, /^error: the package .* is not installed/, named);
    assert.equal(status, 1);
  }
});

test("a variable that names the launcher, or a script that starts it, runs the package's binary", async (context) => {
  const { directory, launcher, first, second, run } = await createPaths(context);
  await writeScript(await createPlatformPackage({ directory }), "packaged");
  await chmod(launcher, 0o755);
  await symlink(launcher, join(first, "logout-gateway"));
  await writeFile(join(second, "start"), `#!/bin/sh\nexec "${process.execPath}" "${launcher}" "$@"\n`);
  await chmod(join(second, "start"), 0o755);
  for (const named of [join(first, "logout-gateway"), "logout-gateway", "start"]) {
    assert.equal((await run({ LOGOUT_GATEWAY_BINARY: named })).output, "packaged\n", named);
  }
});

test("a variable that names no program is an error, even if the package has one", async (context) => {
  const { directory, run } = await createPaths(context);
  await writeScript(await createPlatformPackage({ directory }), "packaged");
  for (const [value, message] of [
    ["/nowhere", /^error: LOGOUT_GATEWAY_BINARY: \/nowhere is no file that can be executed/],
    [directory, /^error: LOGOUT_GATEWAY_BINARY: .* is no file that can be executed/],
    ["no-such-program", /^error: LOGOUT_GATEWAY_BINARY: no program no-such-program is on the PATH/],
  ]) {
    const { status, output } = await run({ LOGOUT_GATEWAY_BINARY: value });
    assert.match(output, message);
    assert.equal(status, 1);
  }
});
