#!/usr/bin/env node
// Runs the binary `logout-gateway` of the package for this platform. CommonJS, because Yarn Plug'n'Play loads an ES
// module from an archive only with a loader of its own.

"use strict";

const { spawn } = require("node:child_process");
const { accessSync, constants, readFileSync } = require("node:fs");
const { constants: { signals: SIGNAL_NUMBERS } } = require("node:os");
const { isatty } = require("node:tty");

const { optionalDependencies = {} } = require("./package.json");

const PLATFORM_PACKAGE = `logout-gateway-${process.platform}-${process.arch}`;
const BY_CARGO = `To build the binary on Linux or macOS, run this in a checkout of the repository:
  cargo install --locked --path .`;

/** The signals that the binary handles, or passes on to the command of `logout-gateway mock`. */
const PASSED_ON = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM"];

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

function findBinary() {
  try {
    const path = require.resolve(`${PLATFORM_PACKAGE}/logout-gateway`);
    // Check this first, because Node 24 aborts if execve fails.
    accessSync(path, constants.X_OK);
    return path;
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") return fail(`the binary cannot be executed: ${error.message}`);
    if (!Object.hasOwn(optionalDependencies, PLATFORM_PACKAGE)) {
      return fail(`logout-gateway has no npm package for ${process.platform}-${process.arch}.\n${BY_CARGO}`);
    }
    return fail(`the package ${PLATFORM_PACKAGE}, which has the binary, is not installed.
It is an optional dependency of logout-gateway: install without --omit=optional, on this platform.\n${BY_CARGO}`);
  }
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
// With execve the binary takes the place of this process: signals and the exit status need not be passed on.
if (process.execve) process.execve(binary, [binary, ...args]);
else runAsChild(binary, args);
