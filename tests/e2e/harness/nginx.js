// The real nginx, with the configuration of `deploy/` and the further locations of the application's
// origin.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

import { eventually } from "../../../clients/js/test/harness.js";
import { newDirectory } from "./directory.js";

const run = promisify(execFile);

const DEPLOYED = new URL("../../../deploy/nginx/logout-gateway.conf", import.meta.url);

// The main configuration of nginx, which runs without root, in one directory and as one process.
const MAIN = `daemon off; master_process off; pid nginx.pid; events {}
http {
    map $http_cookie $session { default absent; ~sb-127-auth-token present; }
    log_format requests escape=json '{"method":"$request_method","path":"$uri","status":$status,'
        '"site":"$http_sec_fetch_site","origin":"$http_origin","session":"$session"}';
    access_log requests.log requests;
    types { text/html html; text/javascript js; }
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include logout-gateway.conf;
}
`;

// The name of the file in nginx's directory that has the certificate and its key.
const CERTIFICATE = "app.pem";

function newCertificate(directory) {
  const key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=app";
  const files = ["-keyout", CERTIFICATE, "-out", CERTIFICATE];
  return run("openssl", [...key.split(" "), ...files], { cwd: directory });
}

// nginx must authenticate only requests below /private/ with the gateway.
const locations = (site, mock) => `location / {
        root ${site};
        try_files $uri /index.html;
    }

    location /auth/v1/ {
        proxy_set_header Cookie "";
        proxy_pass ${mock.url};
    }

    location /server/ {
        proxy_buffer_size 128k;
        proxy_buffers 4 128k;
        proxy_pass http://api;
    }

    location /shop/api/auth/ {
        proxy_pass http://logout_gateway/api/auth/;
    }

    location /private/ {`;

async function configuration({ port, securePort, site, mock, gateway, server }) {
  const deployed = await readFile(DEPLOYED, "utf8");
  return [
    ["listen 443 ssl;", `listen 127.0.0.1:${port}; listen 127.0.0.1:${securePort} ssl;`],
    ["/etc/ssl/certs/app.example.com.pem", CERTIFICATE],
    ["/etc/ssl/private/app.example.com.key", CERTIFICATE],
    ["server 127.0.0.1:8080;", `server ${new URL(gateway).host};`],
    ["server 127.0.0.1:3000;", `server ${new URL(server.url).host};`],
    ["location / {", locations(site, mock)],
  ].reduce((text, [old, replacement]) => {
    const parts = text.split(old);
    if (parts.length !== 2) throw new Error(`${DEPLOYED} must have this text once: ${old}`);
    return parts.join(replacement);
  }, deployed);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function listens(port) {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

// Resolves to nginx's ports and to a function that reads the requests that nginx has logged. Another
// process may take a free port before nginx does, so the function tries several ports.
export async function startNginx(context, upstreams, tries = 5) {
  const directory = await newDirectory(context);
  await newCertificate(directory);
  const [port, securePort] = [await freePort(), await freePort()];
  await writeFile(join(directory, "nginx.conf"), MAIN);
  await writeFile(
    join(directory, "logout-gateway.conf"),
    await configuration({ ...upstreams, port, securePort }),
  );
  // Use the path of Debian's nginx, because /usr/sbin is not in the PATH of every user.
  const flags = ["-e", "stderr", "-c", "nginx.conf", "-p", directory];
  const child = spawn("/usr/sbin/nginx", flags, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (text) => { log += text; });
  const ended = new Promise((resolve, reject) => child.on("exit", resolve).on("error", reject));
  context.after(() => {
    child.kill();
    return ended;
  });
  const running = await eventually("nginx listens or has ended", async () => (
    child.exitCode === null ? await listens(port) && "listening" : "ended"
  ));
  const proxyRequests = async () => (
    (await readFile(join(directory, "requests.log"), "utf8")).split("\n").filter(Boolean).map(JSON.parse)
  );
  if (running === "listening") return { port, securePort, proxyRequests };
  if (tries === 1) throw new Error(`nginx does not start: ${log}`);
  return startNginx(context, upstreams, tries - 1);
}
