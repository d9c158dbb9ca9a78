// Builds the page's elements. Data is inserted as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const code = (text) => element("code", { textContent: text });

// `tone` is the badge's colour. The text alone has the whole meaning, for users who cannot see colours.
export function badge(text, tone) {
  return element("span", { className: `badge ${tone}`, textContent: text });
}

export function table(caption, columns, rows, empty) {
  const head = columns.map((column) => element("th", { scope: "col", textContent: column }));
  const cells = ([first, ...others]) => [
    element("th", { scope: "row" }, first),
    ...others.map((other) => element("td", {}, other)),
  ];
  const nothing = { colSpan: columns.length, className: "none", textContent: empty };
  const all = rows.map((row) => element("tr", {}, ...cells(row)));
  const body = all.length ? all : [element("tr", {}, element("td", nothing))];
  return element(
    "table",
    {},
    element("caption", { textContent: caption }),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...body),
  );
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

const START = 24;
const LONGEST = 160;

// The space is a no-break space, so that number and unit stay on one line.
const size = (value) => `${value.length}\u00a0bytes`;

const whereOf = ({ id }, ownId) => (id === ownId ? "this browser" : "another device");

function sessionName(session, ownId) {
  return element("span", {}, whereOf(session, ownId), " ", code(session.id.slice(0, 8)));
}

// Shows the current state: the user, the cookies, the sessions and the access token.

export function showWho(session, email) {
  const signedOut = email ? `${email} is signed out of this browser.` : "Nobody is signed in.";
  byId("who").textContent = session ? `${email} is signed in.` : signedOut;
}

export function showCookies(cookies) {
  const start = (value) => (value.length > START ? `${value.slice(0, START)}…` : value);
  const rows = [...cookies].map(([name, value]) => [code(name), code(start(value)), size(value)]);
  const columns = ["Name", "Value", "Size"];
  byId("cookies").replaceChildren(table("Cookies", columns, rows, "None"));
}

export function showSessions(sessions, ownId) {
  const time = (session) => new Date(session.created_at).toLocaleTimeString();
  const rows = sessions.map((session) => [sessionName(session, ownId), time(session)]);
  const columns = ["Session", "Since"];
  byId("sessions").replaceChildren(table("Sessions alive at GoTrue", columns, rows, "None"));
}

function claim(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST
    ? `${text.slice(0, LONGEST)}… (${text.length} characters)`
    : text;
}

export function showClaims(claims) {
  byId("claims-details").hidden = !claims;
  const rows = Object.entries(claims ?? {}).map(([name, value]) => [code(name), claim(value)]);
  const columns = ["Claim", "Value"];
  byId("claims").replaceChildren(table("Claims of the access token", columns, rows, "None"));
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
  byId("switch-state").textContent = works ? "on" : "off";
}

// Shows the last logout: its response, and the cookies and sessions that it removed.

const ENDED = {
  local: "this session",
  others: "the other sessions",
  global: "every session",
};

const REFUSED = {
  missing: "nobody is signed in here",
  invalid: "that is no good token",
  expired: "the session has expired",
  not_found: "GoTrue no longer knows this session, so the others live on",
};

function headline({ status, outcome, requestId, body }, scope) {
  if (outcome === "revoked") return [`Logged out: GoTrue ended ${ENDED[scope]}.`, "good"];
  if (outcome === "already-ended") return ["Nothing was left to end: it was over.", "good"];
  if (outcome === "queued") return ["Logged out here: GoTrue is asked once it answers.", "warning"];
  if (outcome === "offline" || !requestId) {
    return ["No gateway answered: the session may live on.", "bad"];
  }
  const reason = body.startsWith("{") ? JSON.parse(body).error?.reason : "";
  if (status === 401) return [`Refused: ${REFUSED[reason] ?? reason}.`, "warning"];
  // After a 403 the browser client reports another outcome than "refused", because it deletes the cookies of
  // this browser itself.
  if (status === 403 && outcome === "refused") return ["Refused, nothing touched: no CSRF token.", "warning"];
  return ["The logout failed, and the gateway says so instead of pretending.", "bad"];
}

export function showSummary(text, tone = "") {
  byId("summary").className = `summary ${tone}`;
  byId("summary").textContent = text;
}

// Whether the logout's scope includes the session `id`.
function meant({ scope, ownId }, id) {
  return scope === "global" || (scope === "local") === (id === ownId);
}

const aliveIn = ({ sessions }) => new Set(sessions.map(({ id }) => id));

// The cookies and sessions that the logout removed. The sessions are null if GoTrue did not answer.
function lossesOf({ reply, sessions }, after) {
  const gone = [...reply.before.keys()].filter((name) => !after.cookies.has(name));
  if (!sessions || !after.sessions) return { gone, ended: null };
  const alive = aliveIn(after);
  return { gone, ended: sessions.filter(({ id }) => !alive.has(id)) };
}

// Shows a report that can be pasted into a bug report: it contains no cookie's value and no token.
export function showReport(logout, after) {
  const { reply, sessions, ownId } = logout;
  const { gone, ended } = lossesOf(logout, after);
  const listed = (names) => (names.length ? ` (${names.join(", ")})` : "");
  const places = ended?.map((session) => whereOf(session, ownId));
  const known = ended && `${ended.length} of ${count(sessions.length, "session")}${listed(places)}`;
  const answered = reply.status || "no answer";
  const id = reply.requestId ? `, request id ${reply.requestId}` : "";
  byId("report").textContent = [
    `logout-gateway, ${reply.at.toISOString()}`,
    `Asked: ${reply.request}`,
    `Outcome: ${reply.outcome}, ${answered}${id}`,
    `Ended at GoTrue: ${known ?? "unknown"}`,
    `Cleared here: ${count(gone.length, "cookie")}${listed(gone)}`,
    `Took: ${Math.round(reply.took)} ms`,
  ].join("\n");
  byId("copy-status").textContent = "";
}

export async function copyReport() {
  const told = byId("copy-status");
  told.textContent = "";
  try {
    await navigator.clipboard.writeText(byId("report").textContent);
    told.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(byId("report"));
    told.textContent = "The browser does not let this page copy. It is selected: copy it yourself.";
  }
}

export function showResult(logout, after) {
  const { reply, scope, ownId, sessions } = logout;
  const [said, tone] = headline(reply, scope);
  const { gone, ended } = lossesOf(logout, after);
  const over = ended ? `${count(ended.length, "session")} ended` : "nobody tells what ended";
  showSummary(`${said} ${count(gone.length, "cookie")} went, ${over}.`, tone);
  // If a failed logout left a session active that it should have ended, show that session in red.
  const failed = ["failed", "offline"].includes(reply.outcome);
  const lives = (id) => (failed && meant(logout, id) ? "bad" : "neutral");
  byId("result").hidden = false;
  byId("reply").replaceChildren(...replyParts(reply));
  byId("changes").replaceChildren(
    cookieChanges(reply.before, after.cookies),
    sessionChanges(ended ? sessions : [], ended && aliveIn(after), ownId, lives),
    checks(after, lives(ownId)),
  );
}

function toneOf(status) {
  if (!status) return "bad";
  if (status < 300) return "good";
  return status < 500 ? "warning" : "bad";
}

function replyParts({ request, sent, status, statusText, headers, body }) {
  const rows = headers.map(([name, value]) => [code(name), value]);
  return [
    element("p", {}, code(request), sent.length ? ` with ${sent.join(", ")}` : ""),
    element("p", {}, badge(status ? `${status} ${statusText}` : "no answer", toneOf(status))),
    element("pre", {}, body || "(no body)"),
    table("Headers of the reply", ["Header", "Value"], rows, "None of interest"),
  ];
}

function cookieChanges(before, after) {
  const now = (name, value) => {
    if (!after.has(name)) return badge("gone", "good");
    return badge(after.get(name) === value ? "still there" : "has a new value", "neutral");
  };
  const rows = [...before].map(([name, value]) => [code(name), size(value), now(name, value)]);
  return table("Cookies", ["Name", "Before", "After"], rows, "There were none");
}

function sessionChanges(before, alive, ownId, lives) {
  const now = ({ id }) => (alive.has(id) ? badge("alive", lives(id)) : badge("ended", "good"));
  const rows = before.map((session) => [sessionName(session, ownId), "alive", now(session)]);
  const empty = alive ? "There were none" : "Nobody tells";
  return table("Sessions at GoTrue", ["Session", "Before", "After"], rows, empty);
}

function checks({ refresh, verified }, alive) {
  const at = (what, where) => element("span", {}, `${what} token, at `, where);
  const rows = refresh === null ? [] : [
    [at("Refresh", "GoTrue"), refreshAnswer(refresh, alive)],
    [at("Access", code("/api/auth/verify")), verifyAnswer(verified, alive)],
  ];
  return table("What the old tokens still open", ["Token", "Answer"], rows, "There were none");
}

function answer(said, tone, detail) {
  return element("span", {}, badge(said, tone), " ", detail);
}

function refreshAnswer({ status, reason, session }, alive) {
  if (session) return answer("good for new tokens", alive, code("200"));
  if (status === null || status >= 500) {
    return answer("no answer", "bad", "Once GoTrue answers, check again.");
  }
  return answer("refused", "good", code(`${status} ${reason}`));
}

function verifyAnswer({ status, reason }, alive) {
  if (status === 200) return answer("let through", alive, code("200"));
  if (status === null) return answer("no answer", "bad", "");
  return answer("refused", status === 401 ? "good" : "bad", code(`${status} ${reason}`));
}
