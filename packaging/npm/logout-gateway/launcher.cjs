#!/usr/bin/env node
// Runs the binary `logout-gateway`: the one that LOGOUT_GATEWAY_BINARY names, else that of the package for this platform,
// else the one on the PATH. CommonJS, because Yarn Plug'n'Play loads an ES module from an archive only with a loader of its
// own.

"use strict";

const { spawn } = require("node:child_process");
const { accessSync, closeSync, constants, openSync, readFileSync, readSync, realpathSync, statSync } = require("node:fs");
const { constants: { signals: SIGNAL_NUMBERS } } = require("node:os");
const { delimiter, join } = require("node:path");
const { isatty } = require("node:tty");

const { optionalDependencies = {} } = require("./package.json");

const PLATFORM_PACKAGE = `logout-gateway-${process.platform}-${process.arch}`;
const OTHER_WAYS = `To use another binary, name its path in LOGOUT_GATEWAY_BINARY, or put it on the PATH as logout-gateway.
To build the binary on Linux or macOS, run this in a checkout of the repository:
  cargo install --locked --path .`;

/** The first four octets of a program: ELF of Linux; Mach-O of macOS, for one architecture and for several. */
const PROGRAM_MAGIC = ["7f454c46", "cffaedfe", "cafebabe"];

/** The signals that the binary handles, or passes on to the command of `logout-gateway mock`. */
const PASSED_ON = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM"];

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

/**
 * Whether the file is an executable program. A script is none: on the PATH it may be this launcher, that of another
 * version, or a script by which a package manager starts the launcher, and would start it again and again.
 */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    const file = openSync(path);
    const magic = Buffer.alloc(4);
    try {
      readSync(file, magic, 0, 4, 0);
    } finally {
      closeSync(file);
    }
    return PROGRAM_MAGIC.includes(magic.toString("hex"));
  } catch {
    return false;
  }
}

/** Whether the file can be executed, a script too. */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function findOnPath(name, accepts) {
  const directories = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return directories.map((directory) => join(directory, name)).find(accepts);
}

/**
 * What LOGOUT_GATEWAY_BINARY names: a path, or a name that is looked up on the PATH. Undefined if that is this launcher,
 * which the scripts of npm have on their PATH as logout-gateway.
 */
function namedBinary(name) {
  const path = name.includes("/") ? name : findOnPath(name, isExecutable);
  if (!path) return fail(`LOGOUT_GATEWAY_BINARY: no program ${name} is on the PATH`);
  if (!isExecutable(path)) return fail(`LOGOUT_GATEWAY_BINARY: ${path} is no file that can be executed`);
  return realpathSync(path) === __filename ? undefined : path;
}

/** The binary of the package for this platform, or undefined if that package is not installed. */
function packagedBinary() {
  try {
    const path = require.resolve(`${PLATFORM_PACKAGE}/logout-gateway`);
    // Check this first, because Node 24 aborts if execve fails.
    accessSync(path, constants.X_OK);
    return path;
  } catch (error) {
    if (error.code === "MODULE_NOT_FOUND") return undefined;
    return fail(`the binary cannot be executed: ${error.message}`);
  }
}

/** An empty variable counts as not set. */
function findBinary() {
  const { LOGOUT_GATEWAY_BINARY } = process.env;
  const expected = (LOGOUT_GATEWAY_BINARY && namedBinary(LOGOUT_GATEWAY_BINARY)) || packagedBinary();
  if (expected) return expected;
  const other = findOnPath("logout-gateway", isProgram);
  if (other) {
    // It may be of another version.
    console.error(`the package ${PLATFORM_PACKAGE} is not installed: ${other} runs`);
    return other;
  }
  if (!Object.hasOwn(optionalDependencies, PLATFORM_PACKAGE)) {
    return fail(`logout-gateway has no npm package for ${process.platform}-${process.arch}.\n${OTHER_WAYS}`);
  }
  return fail(`the package ${PLATFORM_PACKAGE}, which has the binary, is not installed.
It is an optional dependency of logout-gateway: install without --omit=optional, on this platform, or install its file
${PLATFORM_PACKAGE}-*.tgz of the release, too.\n${OTHER_WAYS}`);
}

/** Whether the keys of the terminal send their signals to this process group, and so to the binary, too. */
function isInForeground() {
  if (process.platform !== "linux") return isatty(0);
  // The fields after the name are: state, ppid, pgrp, session, tty_nr, tpgid. See proc_pid_stat(5).
  const [, , group, , , foreground] = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1).split(" ");
  return group === foreground;
}

/** Runs the binary as a child process, for Node before 22.15. Ends as the binary ends. */
function runAsChild(binary, args) {
  let child;
  for (const signal of PASSED_ON) {
    process.on(signal, () => {
      // `logout-gateway serve` takes a second signal as the wish to end at once.
      const isOfTerminal = signal === "SIGINT" || signal === "SIGQUIT";
      if (!(isOfTerminal && isInForeground())) child.kill(signal);
    });
  }
  child = spawn(binary, args, { stdio: "inherit" });
  child.on("error", (error) => fail(`the binary cannot be executed: ${error.message}`));
  child.on("exit", (status, signal) => {
    if (!signal) process.exit(status);
    // The status for a signal that does not end Node.
    process.exitCode = 128 + SIGNAL_NUMBERS[signal];
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const binary = findBinary();
const args = process.argv.slice(2);
// What runs now may be a script that starts this launcher: it must not run that script again.
delete process.env.LOGOUT_GATEWAY_BINARY;
// With execve the binary takes the place of this process: signals and the exit status need not be passed on.
if (process.execve) process.execve(binary, [binary, ...args]);
else runAsChild(binary, args);
