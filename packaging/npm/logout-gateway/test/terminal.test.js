// Tests Ctrl-C in a terminal. The terminal sends SIGINT to the launcher and to its child alike.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { install, start, untilOutput, WAYS } from "./harness.js";

const CTRL_C = "\x03";
const SERVE = {
  SUPABASE_URL: "http://127.0.0.1:1",
  GATEWAY_BIND: "127.0.0.1:0",
  GATEWAY_ADMIN_BIND: "off",
  GATEWAY_LOG_FORMAT: "json",
};
const EXIT_WHEN_INTERRUPTED = `
  process.on("SIGINT", () => { console.log("interrupted"); process.exit(7); });
  setInterval(() => {}, 1000);
  console.log("ready");`;

// script(1) runs a command in a terminal of its own, types its input there, and exits with the command's status.
async function startInTerminal(context, flags, args, env) {
  const words = [process.execPath, ...flags, await install(context), ...args].map((word) => `'${word}'`);
  return start(context, "script", ["-qefc", `echo launcher $$.; exec ${words.join(" ")}`, "/dev/null"], env);
}

for (const [way, { flags, skip }] of Object.entries(WAYS)) {
  describe(`Ctrl-C reaches a binary that runs ${way}`, { skip }, () => {
    test("and ends it", async (context) => {
      const child = await startInTerminal(context, flags, ["serve"], SERVE);
      await untilOutput(child, /"listening"/);
      child.stdin.write(CTRL_C);
      const { status, output } = await child.exited;
      assert.match(output, /shutting down/);
      assert.equal(status, 0);
    });

    test("and its command", async (context) => {
      const command = [process.execPath, "-e", EXIT_WHEN_INTERRUPTED];
      const child = await startInTerminal(context, flags, ["mock", "--", ...command]);
      await untilOutput(child, /ready/);
      child.stdin.write(CTRL_C);
      const { status, output } = await child.exited;
      assert.match(output, /interrupted/);
      assert.equal(status, 7);
    });
  });
}

// If the launcher passed on its own SIGINT, `serve` would get two, and would not wait for open requests.
test("the launcher leaves SIGINT to the terminal", async (context) => {
  const { flags } = WAYS["as a child of Node"];
  const child = await startInTerminal(context, flags, ["serve"], SERVE);
  const [, launcher] = await untilOutput(child, /launcher (\d+)\./);
  await untilOutput(child, /"listening"/);
  process.kill(Number(launcher), "SIGINT");
  process.kill(Number(launcher), "SIGTERM");
  const { output } = await child.exited;
  assert.match(output, /shutting down","signal":15/);
});
