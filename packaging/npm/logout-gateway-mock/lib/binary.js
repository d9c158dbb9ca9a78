// Finds the binary `logout-gateway`.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Returns a path, or a name that is looked up on the PATH. An empty variable counts as not set. */
export function findBinary(option) {
  return option ?? (process.env.LOGOUT_GATEWAY_BINARY || packagedBinary() || "logout-gateway");
}

/** The binary of the npm package `logout-gateway`, if that package is installed beside this one. */
function packagedBinary() {
  const require = createRequire(import.meta.url);
  try {
    const manifest = require.resolve("logout-gateway/package.json");
    return join(dirname(manifest), require(manifest).bin["logout-gateway"]);
  } catch (error) {
    if (error.code === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** The error for a binary that the system could not execute. */
export function notExecutable(path, cause) {
  const problem = cause.code === "ENOENT" ? "was not found" : `cannot be executed (${cause.code})`;
  return new Error(
    `${path} ${problem}. Install the binary with \`npm install --save-dev logout-gateway\`, or with \`cargo install\` `
      + "from a checkout; or name its path by LOGOUT_GATEWAY_BINARY or by the option `binary`.",
    { cause },
  );
}
