// Tests the errors of a launcher that has no binary to run.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";

import { createPlatformPackage, createProject, PLATFORM_PACKAGE, start } from "./harness.js";

// The machine may have a binary on the PATH, which the launcher would run.
const runLauncher = (context, launcher, ...flags) => (
  start(context, process.execPath, [...flags, launcher, "mock", "--", "echo", "has run"], { PATH: "" }).exited
);

test("without the platform's package, the error names it and says how to get the binary", async (context) => {
  const { launcher } = await createProject(context);
  const { status, output } = await runLauncher(context, launcher);
  assert.match(output, new RegExp(`^error: the package ${PLATFORM_PACKAGE}, .* is not installed`));
  assert.match(output, /without --omit=optional/);
  assert.match(output, /LOGOUT_GATEWAY_BINARY, or put it on the PATH as logout-gateway/);
  assert.match(output, /^ {2}cargo install --locked --path \.$/m);
  assert.equal(status, 1);
});

test("on a platform without a package, the error says how to build the binary", async (context) => {
  const { launcher } = await createProject(context);
  const onWindows = "data:text/javascript,Object.defineProperty(process,'platform',{value:'win32'})";
  const { status, output } = await runLauncher(context, launcher, "--import", onWindows);
  assert.match(output, /^error: logout-gateway has no npm package for win32-/);
  assert.match(output, /on Linux or macOS.*\n {2}cargo install --locked --path \.$/m);
  assert.doesNotMatch(output, /--omit/);
  assert.equal(status, 1);
});

test("a binary without the permission to execute it is an error", async (context) => {
  const project = await createProject(context);
  await writeFile(await createPlatformPackage(project), "", { mode: 0o644 });
  const { status, output } = await runLauncher(context, project.launcher);
  assert.match(output, /^error: the binary cannot be executed: EACCES/);
  assert.equal(status, 1);
});
