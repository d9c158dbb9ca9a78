// Tests that a mock ends with the process that started it, however that ends.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { answers, BINARY, hasEnded, start } from "./harness.js";

const START = `
  const { startMock } = await import("logout-gateway-mock");
  const mock = await startMock({ binary: ${JSON.stringify(BINARY)} });`;

// Runs a script in a process group of its own. Resolves to the process and its first line of output, the mock's URL.
async function run(context, script) {
  const flags = ["--input-type=module", "--eval", `${START}\n${script}\nconsole.log(mock.url);`];
  const cwd = new URL("..", import.meta.url);
  const child = spawn(process.execPath, flags, { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  context.after(() => child.kill("SIGKILL"));
  child.exited = once(child, "exit");
  child.lines = createInterface({ input: child.stdout });
  const [url] = await once(child.lines, "line");
  return { child, url };
}

test("stop ends the mock, and a second time has no effect", async (context) => {
  const mock = await start(context);
  assert.ok(await answers(mock.url));
  await Promise.all([mock.stop(), mock.stop()]);
  assert.equal(await answers(mock.url), false);
  await mock.stop();
  await assert.rejects(mock.users(), /the mock does not answer/);
});

test("Symbol.asyncDispose, which `await using` calls, ends the mock", async (context) => {
  const mock = await start(context);
  await mock[Symbol.asyncDispose]();
  assert.equal(await answers(mock.url), false);
});

test("a mock that is not stopped does not keep its process running", async (context) => {
  const { child, url } = await run(context, "");
  assert.deepEqual(await child.exited, [0, null]);
  await hasEnded(url);
});

test("the mock ends with a process that throws", async (context) => {
  const { child, url } = await run(context, "setImmediate(() => { throw new Error('a crash'); });");
  assert.deepEqual(await child.exited, [1, null]);
  await hasEnded(url);
});

test("the mock ends with a process that is killed", async (context) => {
  const { child, url } = await run(context, "setInterval(() => {}, 1000);");
  assert.ok(await answers(url));
  child.kill("SIGKILL");
  assert.deepEqual(await child.exited, [null, "SIGKILL"]);
  await hasEnded(url);
});

test("the mock ends with a worker thread that is terminated", async () => {
  const script = `(async () => {${START}
    require("node:worker_threads").parentPort.postMessage(mock.url);
    setInterval(() => {}, 1000);
  })()`;
  const worker = new Worker(script, { eval: true });
  const [url] = await once(worker, "message");
  assert.ok(await answers(url));
  await worker.terminate();
  await hasEnded(url);
});

test("the teardown after Ctrl-C can still call the mock", async (context) => {
  const { child, url } = await run(context, `
    process.on("SIGINT", async () => {
      // A teardown takes a while. A mock that the signal had reached would have ended by then.
      await new Promise((resolve) => setTimeout(resolve, 200));
      console.log((await mock.users()).length);
      await mock.stop();
      process.exit();
    });
    setInterval(() => {}, 1000);`);
  // A terminal sends the signal to the whole process group.
  process.kill(-child.pid, "SIGINT");
  assert.deepEqual(await once(child.lines, "line"), ["0"]);
  assert.deepEqual(await child.exited, [0, null]);
  await hasEnded(url);
});
