// What is shown, and how. Data goes into the page as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const code = (text) => element("code", { textContent: text });

// `tone` colours it; the words alone say it all.
export const badge = (text, tone) => element("span", { className: `badge ${tone}`, textContent: text });

export function table(caption, columns, rows, empty) {
  const head = columns.map((column) => element("th", { scope: "col", textContent: column }));
  const cells = ([first, ...others]) => [
    element("th", { scope: "row" }, first),
    ...others.map((other) => element("td", {}, other)),
  ];
  const none = () => element("tr", {}, element("td", { colSpan: columns.length, className: "none", textContent: empty }));
  return element(
    "table",
    {},
    element("caption", { textContent: caption }),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...(rows.length ? rows.map((row) => element("tr", {}, ...cells(row))) : [none()])),
  );
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

const bytes = (cookie) => count(cookie.length, "byte");
const short = (id) => id.slice(0, 8);

function sessionName(session, ownId) {
  const where = session.id === ownId ? "this browser" : "another device";
  return element("span", {}, where, " ", code(short(session.id)));
}

// Before the logout.

export function showWho(session, user) {
  const signedOut = user ? `${user.email} is signed out of this browser.` : "Nobody is signed in.";
  byId("who").textContent = session ? `${user.email} is signed in.` : signedOut;
}

export function showCookies(cookies) {
  const rows = [...cookies].map(([name, value]) => [code(name), bytes(value)]);
  byId("cookies").replaceChildren(table("Cookies of this browser", ["Name", "Size"], rows, "None"));
}

export function showSessions(sessions, ownId) {
  const time = (session) => new Date(session.created_at).toLocaleTimeString();
  const rows = sessions.map((session) => [sessionName(session, ownId), time(session)]);
  byId("sessions").replaceChildren(table("Sessions alive at GoTrue", ["Session", "Since"], rows, "None"));
}

function claim(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}… (${text.length} characters)` : text;
}

export function showClaims(claims) {
  byId("claims-details").hidden = !claims;
  const rows = Object.entries(claims ?? {}).map(([name, value]) => [code(name), claim(value)]);
  byId("claims").replaceChildren(table("Claims of the access token", ["Claim", "Value"], rows, "None"));
}

export function showLife(claims) {
  byId("life").hidden = !claims;
  if (!claims) return;
  const left = Math.max(0, claims.exp - Math.floor(Date.now() / 1000));
  const minutes = Math.floor(left / 60);
  byId("life-left").textContent = minutes ? `${minutes} min ${left % 60} s` : `${left} s`;
  byId("life-bar").max = claims.exp - claims.iat;
  byId("life-bar").value = left;
}

export function showSwitch(works) {
  byId("gotrue-switch").setAttribute("aria-checked", String(works));
}

// After the logout.

const ENDED = { local: "this session", others: "the user’s other sessions", global: "every session of the user" };

const REFUSED = {
  missing: "nobody is signed in here",
  invalid: "that is no good token",
  expired: "the session has expired",
  not_found: "GoTrue no longer knows this session, so the others live on",
};

function headline({ status, outcome, body }, scope) {
  if (outcome === "revoked") return [`Logged out: GoTrue ended ${ENDED[scope]}.`, "good"];
  if (outcome === "already-ended") return ["There was nothing left to end: the session was already over.", "good"];
  if (outcome === "queued") return ["The logout will be finished later: it waits in the queue.", "warning"];
  if (status === 403) return ["Refused, and nothing was touched: a logout by cookies needs the CSRF token.", "warning"];
  const reason = body.startsWith("{") ? JSON.parse(body).error?.reason : "";
  if (status === 401) return [`Refused: ${REFUSED[reason] ?? reason}.`, "warning"];
  return ["The logout failed, and the gateway says so instead of pretending.", "bad"];
}

export function showSummary(text, tone = "") {
  byId("summary").className = `summary ${tone}`;
  byId("summary").textContent = text;
}

export function showResult({ reply, scope, ownId, before, after }) {
  const [said, tone] = headline(reply, scope);
  const cookiesGone = [...reply.before.keys()].filter((name) => !after.cookies.has(name)).length;
  const alive = new Set(after.sessions.map((session) => session.id));
  const ended = before.sessions.filter((session) => !alive.has(session.id)).length;
  showSummary(`${said} ${count(cookiesGone, "cookie")} went, ${count(ended, "session")} ended.`, tone);
  byId("result").hidden = false;
  byId("reply").replaceChildren(...replyParts(reply));
  byId("changes").replaceChildren(
    cookieChanges(reply.before, after.cookies),
    sessionChanges(before.sessions, alive, ownId),
    checks(after),
  );
}

function replyParts(reply) {
  const tone = reply.status < 300 ? "good" : reply.status < 500 ? "warning" : "bad";
  const sent = reply.sent.length ? ` with ${reply.sent.join(", ")}` : "";
  const headers = reply.headers.map(([name, value]) => [code(name), value]);
  return [
    element("p", {}, code(reply.request), sent),
    element("p", {}, badge(`${reply.status} ${reply.statusText}`, tone)),
    element("pre", { tabIndex: 0, ariaLabel: "Body of the reply", role: "group" }, reply.body || "(no body)"),
    table("Headers of the reply", ["Header", "Value"], headers, "None of interest"),
  ];
}

function cookieChanges(before, after) {
  const left = (name) => (after.has(name) ? badge("still there", "neutral") : badge("gone", "good"));
  const rows = [...before.keys()].map((name) => [code(name), left(name)]);
  return table("Cookies of this browser", ["Name", "Now"], rows, "There were none");
}

function sessionChanges(before, alive, ownId) {
  const now = (session) => (alive.has(session.id) ? badge("alive", "neutral") : badge("ended", "good"));
  const rows = before.map((session) => [sessionName(session, ownId), now(session)]);
  return table("Sessions at GoTrue", ["Session", "Now"], rows, "There were none");
}

function checks({ refresh, verified }) {
  const rows = [];
  if (refresh) rows.push(["The old refresh token, at GoTrue", ...refreshAnswer(refresh)]);
  if (verified) rows.push([element("span", {}, "The old access token, at ", code("/api/auth/verify")), verifyAnswer(verified)]);
  return table("What the old tokens still open", ["Token", "Answer"], rows, "There were none");
}

function refreshAnswer({ status, reason, session }) {
  if (session) return [badge("200 still good", "neutral")];
  if (status === null || status >= 500) return [badge("GoTrue does not answer", "bad")];
  return [badge(`${status} ${reason}`, "good")];
}

function verifyAnswer({ status, reason }) {
  return badge(status === 200 ? "200 still good" : `${status} ${reason}`, status === 401 ? "good" : "neutral");
}
