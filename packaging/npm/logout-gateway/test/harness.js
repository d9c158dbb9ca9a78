// Runs the launcher in a project where it is installed beside the package of the platform.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const BUILT = fileURLToPath(new URL("../../../../target/debug/logout-gateway", import.meta.url));
export const BINARY = process.env.GATEWAY_BINARY ?? BUILT;
export const PLATFORM_PACKAGE = `logout-gateway-${process.platform}-${process.arch}`;

// The two ways in which the launcher runs the binary, each with the flags of Node that select it.
export const WAYS = {
  "in the place of Node": { flags: [], skip: process.execve ? false : "this Node has no execve" },
  "as a child of Node": { flags: ["--import", "data:text/javascript,process.execve=undefined"], skip: false },
};

// Creates a project with the launcher. Resolves to the project's directory and the path of the launcher.
export async function createProject(context) {
  const directory = await mkdtemp(join(tmpdir(), "project-"));
  context.after(() => rm(directory, { recursive: true }));
  const installed = join(directory, "node_modules/logout-gateway");
  for (const name of ["launcher.cjs", "package.json"]) await cp(join(PACKAGE, name), join(installed, name));
  return { directory, launcher: join(installed, "launcher.cjs") };
}

// Creates the directory of the platform's package in a project. Resolves to the path that its binary has.
export async function createPlatformPackage({ directory }) {
  const installed = join(directory, "node_modules", PLATFORM_PACKAGE);
  await mkdir(installed);
  await writeFile(join(installed, "package.json"), JSON.stringify({ name: PLATFORM_PACKAGE }));
  return join(installed, "logout-gateway");
}

// Creates a project with the launcher and the binary. Resolves to the path of the launcher.
export async function install(context) {
  const project = await createProject(context);
  await symlink(BINARY, await createPlatformPackage(project));
  return project.launcher;
}

// Starts a process that has no terminal, without the variable LOGOUT_GATEWAY_BINARY of this process. `exited` resolves to
// its status, its signal and its output.
export function start(context, command, args, env = {}) {
  const { LOGOUT_GATEWAY_BINARY, ...inherited } = process.env;
  const child = spawn(command, args, { detached: true, env: { ...inherited, ...env } });
  context.after(() => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
  });
  child.output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      child.output += text;
      child.emit("output");
    });
  }
  child.exited = once(child, "close").then(([status, signal]) => ({ status, signal, output: child.output }));
  return child;
}

// Resolves to the match as soon as the output of the process has it. Rejects if the process ends without it.
export async function untilOutput(child, pattern) {
  const ended = child.exited.then(({ output }) => { throw new Error(`ended without ${pattern}: ${output}`); });
  for (;;) {
    const match = child.output.match(pattern);
    if (match) return match;
    await Promise.race([once(child, "output"), ended]);
  }
}
