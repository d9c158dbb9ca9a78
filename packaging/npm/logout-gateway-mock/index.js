// Starts `logout-gateway mock`, a GoTrue in memory for tests, and controls it. index.d.ts describes the API.

import { findBinary } from "./lib/binary.js";
import { createControls, createWorld, fetchProject } from "./lib/controls.js";
import { withFlags } from "./lib/flags.js";
import { startProcess } from "./lib/process.js";

export async function startMock({ binary, ...options } = {}) {
  const path = findBinary(binary);
  const { gatewayUrl, stop, ...project } = await withFlags(options, (flags) => startProcess(path, flags));
  return { ...createMock(project), gatewayUrl, stop, [Symbol.asyncDispose]: stop };
}

export async function connectMock(url = process.env.SUPABASE_URL) {
  if (!url) throw new Error("connectMock needs the URL of a mock: pass it, or set SUPABASE_URL");
  return createMock(await fetchProject(String(url).replace(/\/$/, "")));
}

function createMock(project) {
  return { ...createControls(project), world: (name) => createWorld(project, name) };
}
