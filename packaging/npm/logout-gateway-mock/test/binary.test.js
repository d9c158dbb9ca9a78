// Tests where `startMock` looks for the binary.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { BINARY } from "./harness.js";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const SCRIPT = `
  import { startMock } from "logout-gateway-mock";
  const mock = await startMock({ binary: process.env.OPTION });
  console.log((await mock.users()).length);
  await mock.stop();`;

// A project in which the package `logout-gateway-mock` is installed. Its directory `bin` is the PATH, beside that of the shell.
async function createProject(context) {
  const directory = await mkdtemp(join(tmpdir(), "project-"));
  context.after(() => rm(directory, { recursive: true }));
  const modules = join(directory, "node_modules");
  for (const name of ["index.js", "package.json", "lib"]) {
    await cp(join(PACKAGE, name), join(modules, "logout-gateway-mock", name), { recursive: true });
  }
  await mkdir(join(directory, "bin"));
  await symlink("/bin/sh", join(directory, "bin/sh"));
  await writeFile(join(directory, "script.mjs"), SCRIPT);
  const run = async (env = {}) => {
    const options = { cwd: directory, env: { PATH: join(directory, "bin"), ...env } };
    return (await promisify(execFile)(process.execPath, ["script.mjs"], options)).stdout;
  };
  return { directory, modules, run };
}

test("the option goes before the variable", async (context) => {
  const { run } = await createProject(context);
  assert.equal(await run({ OPTION: BINARY, LOGOUT_GATEWAY_BINARY: "/nowhere" }), "0\n");
  await assert.rejects(run({ OPTION: "/nowhere", LOGOUT_GATEWAY_BINARY: BINARY }), /\/nowhere was not found/);
});

test("the variable goes before the package, which goes before the PATH", async (context) => {
  const { directory, modules, run } = await createProject(context);
  await symlink(BINARY, join(directory, "bin/logout-gateway"));
  assert.equal(await run(), "0\n");

  // The package's executable starts the binary, as one for several platforms does.
  await mkdir(join(modules, "logout-gateway"));
  const manifest = { name: "logout-gateway", bin: { "logout-gateway": "start" } };
  await writeFile(join(modules, "logout-gateway/package.json"), JSON.stringify(manifest));
  const executable = join(modules, "logout-gateway/start");
  await writeFile(executable, "#!/bin/sh\necho started by the package >&2\nexit 3\n");
  await chmod(executable, 0o755);
  await assert.rejects(run(), /status 3\): started by the package/);
  await writeFile(executable, `#!/bin/sh\n"${BINARY}" "$@"\n`);
  assert.equal(await run(), "0\n");

  assert.equal(await run({ LOGOUT_GATEWAY_BINARY: "" }), "0\n");
  await assert.rejects(run({ LOGOUT_GATEWAY_BINARY: "/nowhere" }), /\/nowhere was not found/);
});

test("an error says how to get the binary", async (context) => {
  const { directory, run } = await createProject(context);
  await assert.rejects(run(), /logout-gateway was not found\. .*npm install.*cargo install.*LOGOUT_GATEWAY_BINARY/);
  await assert.rejects(run({ OPTION: directory }), /cannot be executed \(EACCES\)/);
});
