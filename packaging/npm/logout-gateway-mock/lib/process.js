// Runs the mock as a child process that ends with this process.

import { spawn } from "node:child_process";

import { notExecutable } from "./binary.js";

/**
 * The command that `logout-gateway mock` runs as soon as mock and gateway answer, and with which it ends. The command
 * prints its variables, then waits for the end of its standard input, which is a pipe from this process. The kernel
 * closes the pipe when this process ends, also by SIGKILL, so no mock is left behind.
 */
const COMMAND = `
  printf '%s\\n' "$SUPABASE_URL" "$SUPABASE_ANON_KEY" "$SUPABASE_SERVICE_ROLE_KEY" "$SUPABASE_JWKS_URL" "$GATEWAY_URL"
  read -r _`;
const LINES = 5;

/** Resolves to the URLs and keys of a mock that answers, and to the function that stops it. */
export async function startProcess(binary, flags) {
  const child = spawn(binary, ["mock", ...flags, "--", "sh", "-c", COMMAND], {
    // In a process group of its own, because the teardown of a test run that Ctrl-C ends may still call the mock.
    detached: true,
    // Without the gateway of the caller, if there is one: the mock sets the variable only if it starts a gateway.
    env: { ...process.env, GATEWAY_URL: undefined },
  });
  const exited = new Promise((resolve) => { child.on("exit", resolve); });
  const [url, anonKey, serviceRoleKey, jwksUrl, gatewayUrl] = await untilReady(child, binary);

  // The mock does not keep this process running, and its log is not needed any more.
  child.stderr.removeAllListeners("data").resume();
  for (const handle of [child, ...child.stdio]) handle.unref();

  const stop = async () => {
    child.ref();
    child.stdin.end();
    await exited;
  };
  return { url, anonKey, serviceRoleKey, jwksUrl, gatewayUrl: gatewayUrl || undefined, stop };
}

/** Resolves to the lines that the command prints. Rejects with the message of a mock that ends instead. */
function untilReady(child, binary) {
  return new Promise((resolve, reject) => {
    let output = "";
    let log = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      const lines = output.split("\n");
      if (lines.length > LINES) resolve(lines);
    });
    child.stderr.setEncoding("utf8").on("data", (text) => { log += text; });
    child.on("error", (error) => reject(notExecutable(binary, error)));
    child.on("close", (status, signal) => {
      reject(new Error(`${binary} mock did not start (${signal ?? `status ${status}`}): ${log.trim()}`));
    });
  });
}
