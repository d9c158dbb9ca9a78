// Compares the mock with @supabase/lite, a Supabase in one Node.js process: time to start, memory, sign-ups a second.
//
//   cargo build --release --locked
//   node benches/mock/compare.mjs target/release/logout-gateway
//
// Each round starts both servers, one after the other; the first start of each is not counted, because it reads the files
// from the disk. In the last round each server signs up users for two minutes at most. npm installs @supabase/lite below
// target/. It needs Node.js 22.13 or later for SQLite. If it cannot run, the table leaves it out, and a line before the
// table says why. Memory is read from /proc, so this needs Linux.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Server } from "./server.mjs";

const LITE = "@supabase/lite";
const LITE_VERSION = "0.10.0";
const INSTALL_LIMIT_MS = 180_000;
const DIRECTORY = fileURLToPath(new URL(`../../target/bench-lite-${LITE_VERSION}`, import.meta.url));

const { values, positionals: [gateway] } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    users: { type: "string", default: "10000" },
    seconds: { type: "string", default: "120" },
  },
});
if (!gateway) {
  console.error("usage: node compare.mjs <path of logout-gateway> [--rounds N] [--users N] [--seconds N]");
  process.exit(2);
}

const mock = {
  name: "logout-gateway mock",
  command: (port) => [gateway, "mock", "--bind", `127.0.0.1:${port}`],
};
await startAndStop(mock);
const subjects = [mock];
try {
  const script = installLite();
  const lite = { name: `${LITE} ${LITE_VERSION}`, command: (port) => [process.execPath, script, `${port}`] };
  await startAndStop(lite);
  subjects.push(lite);
} catch (error) {
  console.log(`left out: ${LITE}: ${error.message}\n`);
}

const rounds = Number(values.rounds);
for (let round = 1; round <= rounds; round += 1) {
  for (const subject of subjects) {
    const server = await Server.start(subject.command);
    (subject.starts ??= []).push(server.startMs);
    (subject.idle ??= []).push(server.residentBytes());
    if (round === rounds) {
      subject.signUps = await server.signUp(Number(values.users), Number(values.seconds));
      subject.full = server.residentBytes();
    }
    await server.stop();
  }
}
print(subjects.map(row));
if (subjects.length > 1) {
  console.log(`\n${LITE} hashes each password by bcrypt, as GoTrue does. The mock keeps passwords in plain text.`);
}

async function startAndStop({ command }) {
  const server = await Server.start(command);
  await server.stop();
}

/** Installs the pinned version of lite, unless it is there. Returns the path of the script that serves it. */
function installLite() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 22 || (major === 22 && minor < 13)) {
    throw new Error(`it needs Node.js 22.13, this is ${process.version}`);
  }
  if (!existsSync(DIRECTORY)) {
    // An installation that was interrupted does not get the final name.
    const part = `${DIRECTORY}-part`;
    mkdirSync(part, { recursive: true });
    const flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", part];
    const options = { stdio: "pipe", timeout: INSTALL_LIMIT_MS };
    execFileSync("npm", ["install", ...flags, `${LITE}@${LITE_VERSION}`], options);
    renameSync(part, DIRECTORY);
  }
  const script = join(DIRECTORY, "lite-server.mjs");
  copyFileSync(fileURLToPath(new URL("lite-server.mjs", import.meta.url)), script);
  return script;
}

function row({ name, starts, idle, full, signUps }) {
  const milliseconds = [Math.min(...starts), median(starts), Math.max(...starts)];
  return {
    server: name,
    "first answer, ms: min / median / max": milliseconds.map((time) => time.toFixed(0)).join(" / "),
    "RSS idle, MB": megabytes(median(idle)),
    users: `${signUps.users}`,
    "RSS with users, MB": megabytes(full),
    "sign-ups a second": signUps.rate.toFixed(signUps.rate < 100 ? 1 : 0),
  };
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function megabytes(bytes) {
  return (bytes / 1_000_000).toFixed(1);
}

/** Prints rows as a Markdown table. */
function print(rows) {
  const lines = [Object.keys(rows[0]), Object.keys(rows[0]).map(() => "---"), ...rows.map(Object.values)];
  for (const cells of lines) console.log(`| ${cells.join(" | ")} |`);
}
