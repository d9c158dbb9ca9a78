// Reads and changes a running mock through its control endpoints under `/mock`.

import { setTimeout as pause } from "node:timers/promises";

// The test may replace the global function to fake its app's requests.
const { fetch } = globalThis;

/** The pause between two looks at the mails. */
const PAUSE_MS = 20;

async function request(method, url, body) {
  const sending = fetch(url, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const response = await sending.catch((cause) => {
    throw new Error(`the mock does not answer: ${method} ${url}`, { cause });
  });
  const text = await response.text();
  if (response.ok) return text ? JSON.parse(text) : undefined;
  throw Object.assign(new Error(`${method} ${url}: status ${response.status}: ${text}`), {
    status: response.status,
  });
}

export async function fetchProject(url) {
  const project = await request("GET", `${url}/mock/project`);
  return {
    url: project.url,
    anonKey: project.anon_key,
    serviceRoleKey: project.service_role_key,
    jwksUrl: project.jwks_url,
  };
}

export function createControls(project) {
  const get = (path) => request("GET", `${project.url}/mock/${path}`);
  const post = (path, body) => request("POST", `${project.url}/mock/${path}`, body);
  const remove = (path) => request("DELETE", `${project.url}/mock/${path}`);
  const mails = async (filter = {}) => (await get("mails")).filter(matcher(filter));
  return {
    ...project,
    mails,
    mail: ({ timeout = 5_000, ...filter } = {}) => waitForMail(mails, filter, timeout),
    deleteMails: () => remove("mails"),
    users: () => get("users"),
    deleteUser: (id) => remove(`users/${id}`),
    banUser: (id) => post(`users/${id}/ban`),
    sessions: () => get("sessions"),
    deleteSession: (id) => remove(`sessions/${id}`),
    expireSession: (id, reason) => post(`sessions/${id}/expire`, { reason }),
    calls: () => get("calls"),
    fault: (fault) => post("faults", fault),
    faults: () => get("faults"),
    clearFaults: () => remove("faults"),
    advance: async (duration) => new Date((await post("clock", { advance: duration })).now),
    rotateKeys: ({ keepOld = false } = {}) => post("keys/rotate", { keep_old: keepOld }),
    reset: () => post("reset"),
  };
}

/** A world has the keys of its mock. Its path is below that of the mock. */
export function createWorld(project, name) {
  const url = `${project.url}/mock/worlds/${encodeURIComponent(name)}`;
  const end = () => request("DELETE", url).catch((error) => {
    // A world begins with its first request. Without one there is nothing to end.
    if (error.status !== 404) throw error;
  });
  const jwksUrl = `${url}/auth/v1/.well-known/jwks.json`;
  return { ...createControls({ ...project, url, jwksUrl }), end, [Symbol.asyncDispose]: end };
}

/** GoTrue stores addresses in lower case, and phone numbers without `+`. */
function matcher({ to, type }) {
  const stored = to?.toLowerCase().replace(/^\+/, "");
  return (mail) => (!to || mail.to === stored) && (!type || mail.type === type);
}

async function waitForMail(mails, filter, timeout) {
  // The pauses are counted, because the test may have stopped the clock of this process.
  for (let waited = 0; ; waited += PAUSE_MS) {
    const newest = (await mails(filter)).at(-1);
    if (newest) return newest;
    if (waited >= timeout) break;
    await pause(PAUSE_MS);
  }
  const sent = (await mails()).map(({ to, type }) => `${type} to ${to}`);
  throw new Error(`no mail matches ${JSON.stringify(filter)} within ${timeout} ms; `
    + `the mock has sent: ${sent.join(", ") || "none"}`);
}
