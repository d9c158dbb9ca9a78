import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A temporary directory that is removed after the test.
export async function newDirectory(context) {
  const directory = await mkdtemp(join(tmpdir(), "logout-gateway-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
