import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Gone with the test.
export async function newFolder(context) {
  const folder = await mkdtemp(join(tmpdir(), "logout-gateway-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
