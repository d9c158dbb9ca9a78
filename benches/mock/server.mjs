// A server under measurement: starts it, signs up users, and reads its memory.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const START_LIMIT_MS = 60_000;
const CLIENTS = 8;

export class Server {
  #agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });

  /** Starts the command that `commandOf` returns for a free port, and waits for its first answer. */
  static async start(commandOf) {
    const server = new Server();
    server.port = await freePort();
    const [command, ...args] = commandOf(server.port);
    const begun = performance.now();
    server.process = spawn(command, args, { stdio: "ignore" });
    server.exited = new Promise((resolve) => {
      server.process.once("exit", resolve).once("error", resolve);
    });
    let hasExited = false;
    server.exited.then(() => { hasExited = true; });
    while (await server.#status("GET", "/auth/v1/health") !== 200) {
      if (hasExited || performance.now() - begun > START_LIMIT_MS) {
        await server.stop();
        throw new Error(`${command} did not start`);
      }
      await sleep(1);
    }
    server.startMs = performance.now() - begun;
    return server;
  }

  /** Signs up users until there are `users`, or `seconds` have passed. Returns how many, and how many a second. */
  async signUp(users, seconds) {
    const begun = performance.now();
    const end = begun + 1000 * seconds;
    let [next, done] = [0, 0];
    const client = async () => {
      while (next < users && performance.now() < end) {
        next += 1;
        const user = { email: `user-${next}@example.com`, password: "correct horse battery" };
        const status = await this.#status("POST", "/auth/v1/signup", JSON.stringify(user));
        if (status !== 200) throw new Error(`a sign-up was answered with ${status}`);
        done += 1;
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return { users: done, rate: done / ((performance.now() - begun) / 1000) };
  }

  /** The resident memory of the process in bytes. */
  residentBytes() {
    const status = readFileSync(`/proc/${this.process.pid}/status`, "utf8");
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]);
  }

  async stop() {
    this.#agent.destroy();
    this.process.kill();
    await this.exited;
  }

  /** The status of an answer; `undefined` if there is none. */
  #status(method, path, body) {
    return new Promise((resolve) => {
      const headers = body ? { "Content-Type": "application/json" } : {};
      const options = { host: "127.0.0.1", port: this.port, agent: this.#agent, method, path, headers };
      request(options, (response) => {
        response.resume().on("end", () => resolve(response.statusCode)).on("error", () => resolve());
      }).on("error", () => resolve()).end(body);
    });
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const listener = createServer().on("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}
