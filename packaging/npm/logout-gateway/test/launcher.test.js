// Tests that the launcher runs the binary as if it were the binary itself.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { install, start, untilOutput, WAYS } from "./harness.js";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"];
const PRINT_SIGNALS = `
  for (const signal of ${JSON.stringify(SIGNALS)}) process.on(signal, () => console.log("got " + signal));
  process.stdin.resume();
  console.log("ready");`;

for (const [way, { flags, skip }] of Object.entries(WAYS)) {
  describe(`the binary runs ${way}`, { skip }, () => {
    async function startBinary(context, ...args) {
      return start(context, process.execPath, [...flags, await install(context), ...args]);
    }

    test("and replaces the process, or has it as parent", async (context) => {
      const child = await startBinary(context, "mock", "--", "sh", "-c", "echo parent $PPID.");
      const [, parent] = await untilOutput(child, /parent (\d+)\./);
      assert.equal(Number(parent) === child.pid, flags.length === 0);
    });

    test("with the arguments, and its exit status is the launcher's", async (context) => {
      const print = "console.log(JSON.stringify(process.argv.slice(1))); process.exit(7)";
      const command = [process.execPath, "-e", print, "--", "two words", "", "$HOME", "--flag"];
      const { status, output } = await (await startBinary(context, "mock", "--", ...command)).exited;
      assert.match(output, /\["two words","","\$HOME","--flag"\]/);
      assert.equal(status, 7);
    });

    test("under its own name", async (context) => {
      const { status, output } = await (await startBinary(context, "unknown")).exited;
      assert.match(output, /^Usage: logout-gateway <COMMAND>$/m);
      assert.equal(status, 2);
    });

    test("with the standard input", async (context) => {
      const child = await startBinary(context, "mock", "--", "cat");
      child.stdin.end("a line of input\n");
      const { status, output } = await child.exited;
      assert.match(output, /^a line of input$/m);
      assert.equal(status, 0);
    });

    test("with the signals", async (context) => {
      const child = await startBinary(context, "mock", "--", process.execPath, "-e", PRINT_SIGNALS);
      await untilOutput(child, /ready/);
      for (const signal of SIGNALS) {
        child.kill(signal);
        await untilOutput(child, new RegExp(`got ${signal}`));
      }
      child.stdin.end();
      assert.equal((await child.exited).status, 0);
    });

    test("and its death by a signal that the launcher gets is the launcher's", async (context) => {
      const child = await startBinary(context, "mock", "--bind", "127.0.0.1:0");
      await untilOutput(child, /listening on/);
      child.kill("SIGHUP");
      const { status, signal } = await child.exited;
      assert.deepEqual([status, signal], [null, "SIGHUP"]);
    });

    test("and its death by a signal of its own is the launcher's", async (context) => {
      const child = await startBinary(context, "mock", "--", "sh", "-c", "kill -KILL $PPID");
      const { status, signal } = await child.exited;
      assert.deepEqual([status, signal], [null, "SIGKILL"]);
    });
  });
}
