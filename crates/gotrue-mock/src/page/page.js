// Shows what the mock holds. Addresses are relative, so that the page of a world shows that world.

const MAX_ROWS = 200;

const byId = (id) => document.getElementById(id);

/** Creates an element with properties, and children that are elements or texts. A text is never read as HTML. */
function element(name, properties = {}, ...children) {
  const { dataset = {}, ...others } = properties;
  const created = Object.assign(document.createElement(name), others);
  Object.assign(created.dataset, dataset);
  created.append(...children.filter((child) => child !== undefined && child !== ""));
  return created;
}

/** Sends a request to a control endpoint. A refusal is shown at the top of the page. */
async function control(method, path, body) {
  const options = body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  try {
    const response = await fetch(`mock/${path}`, { method, ...options });
    const text = await response.text();
    const answer = text && JSON.parse(text);
    if (!response.ok) throw new Error(answer.message ?? `status ${response.status}`);
    byId("notice").textContent = "";
    return { answer, date: response.headers.get("Date"), total: Number(response.headers.get("X-Total-Count")) };
  } catch (error) {
    byId("notice").textContent = `The request failed: ${error.message}`;
    throw error;
  }
}

const short = (id) => element("code", { title: id }, id.slice(0, 8));
const time = (text) => element("time", { dateTime: text }, text.slice(0, 19).replace("T", " "));
const row = (...cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, ...[cell].flat())));
const action = (text, label, method, path) =>
  element("button", { type: "button", ariaLabel: label, dataset: { method, path } }, text);

/** The address of a user, or of a session's user. */
const nameOf = ({ email, phone }) => email || phone || "anonymous user";

function stateOf(user) {
  if (user.banned_until && Date.parse(user.banned_until) > clock) return element("span", { className: "bad" }, "banned");
  if (user.is_anonymous) return "anonymous";
  return user.confirmed_at ? element("span", { className: "good" }, "confirmed") : "not confirmed";
}

function userRow(user) {
  // An administrator can write any JSON into the metadata.
  const providers = [user.app_metadata.providers ?? []].flat().map((name) => `${name}`).join(", ");
  const factors = (user.factors ?? []).filter((factor) => factor.status === "verified").map((factor) => factor.factor_type);
  return row(
    [nameOf(user), " ", short(user.id)],
    stateOf(user),
    [providers, ...factors].filter(Boolean).join(" + "),
    time(user.created_at),
    [action("Ban", `Ban ${nameOf(user)}`, "POST", `users/${user.id}/ban`), " ",
      action("Delete", `Delete ${nameOf(user)}`, "DELETE", `users/${user.id}`)],
  );
}

function sessionRow(session) {
  const name = nameOf(session);
  return row(
    name,
    short(session.id),
    `${session.aal}, ${session.amr.join(", ")}`,
    time(session.created_at),
    [action("Expire", `Refuse to refresh the session of ${name}`, "POST", `sessions/${session.id}/expire`), " ",
      action("End", `End the session of ${name}`, "DELETE", `sessions/${session.id}`)],
  );
}

function mailItem({ to, type, token, link }) {
  return element("li", {},
    element("span", {}, element("strong", {}, type), ` to ${to}`),
    element("span", { className: "code" }, token),
    link && element("a", { href: link, target: "_blank", rel: "noopener" }, "Open the link"));
}

function faultItem({ operation, kind, code, status, seconds, times }) {
  const details = [code, status, seconds && `${seconds} s`].filter(Boolean).join(", ");
  const left = times ? `${times} times` : "until it is cleared";
  return element("li", {}, element("strong", {}, operation), `: ${kind}${details && ` (${details})`}, ${left}`);
}

/** Items of calls by their ids: an opened call must stay open. */
const callItems = new Map();

function callItem(call) {
  const query = call.query && `?${call.query}`;
  const headers = Object.entries(call.headers).map(([name, values]) => `${name}: ${values.join(", ")}`);
  const details = element("details", {},
    element("summary", {}, time(call.at), " ", element("span", { className: "status" }), " ",
      element("code", {}, `${call.method} ${call.path}${query}`)),
    element("pre", {}, [...headers, "", call.body].join("\n")));
  return element("li", {}, details);
}

/** Shows the status of a call in its item. A call has none before its response. */
function showStatus(item, status) {
  const shown = item.querySelector(".status");
  shown.textContent = status ?? "…";
  shown.classList.toggle("bad", status >= 400);
  shown.classList.toggle("good", status < 400);
}

function show(id, items, total = items.length) {
  const list = byId(id);
  list.replaceChildren(...items);
  const section = list.closest("section");
  section.classList.toggle("is-empty", items.length === 0);
  section.querySelector(".count").textContent = total > items.length ? `the newest ${items.length} of ${total}` : "";
}

let clock = Date.now();

async function refresh() {
  const names = ["users", "sessions", "mails", "faults", "calls"];
  const results = await Promise.all(names.map((name) => control("GET", `${name}?last=${MAX_ROWS}`)));
  const [users, sessions, mails, faults, calls] = results.map(({ answer }) => answer);
  const totals = results.map((result) => result.total);
  clock = Date.parse(results[0].date);
  byId("now").textContent = new Date(clock).toISOString().slice(0, 19).replace("T", " ");
  show("users", users.reverse().map(userRow), totals[0]);
  show("sessions", sessions.reverse().map(sessionRow), totals[1]);
  show("mails", mails.reverse().map(mailItem), totals[2]);
  // The oldest fault acts first.
  show("faults", faults.map(faultItem), totals[3]);
  showCalls(calls.reverse(), totals[4]);
}

function showCalls(shown, total) {
  const ids = new Set(shown.map((call) => call.id));
  for (const id of callItems.keys()) if (!ids.has(id)) callItems.delete(id);
  const items = shown.map((call) => {
    if (!callItems.has(call.id)) callItems.set(call.id, callItem(call));
    showStatus(callItems.get(call.id), call.status);
    return callItems.get(call.id);
  });
  show("calls", items, total);
}

let refreshing;
let isStale = false;

/** Refreshes the page once for all changes that come while it refreshes. */
function refreshSoon() {
  isStale = true;
  refreshing ??= (async () => {
    while (isStale) {
      isStale = false;
      await refresh().catch((error) => { byId("notice").textContent = `The page is not up to date: ${error.message}`; });
    }
    refreshing = undefined;
  })();
  return refreshing;
}

document.addEventListener("click", async ({ target }) => {
  const { method, path, advance } = target.dataset;
  if (path) await control(method, path);
  else if (advance) await control("POST", "clock", { advance });
  else if (target.id === "reset") await control("POST", "reset");
  else if (target.id === "delete-mails") await control("DELETE", "mails");
  else if (target.id === "clear-faults") await control("DELETE", "faults");
});

const form = byId("fault");
form.addEventListener("change", () => {
  for (const label of form.querySelectorAll("[data-for]")) label.hidden = label.dataset.for !== form.kind.value;
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const number = (input) => (input.value ? Number(input.value) : undefined);
  const kind = form.kind.value;
  await control("POST", "faults", {
    operation: form.operation.value,
    kind,
    code: (kind === "status" && form.code.value) || undefined,
    seconds: kind === "delay" ? number(form.seconds) : undefined,
    times: number(form.times),
  });
});

byId("url").textContent = location.href.replace(/\/$/, "");
const { answer: known } = await control("GET", "operations");
byId("operations").append(...known.operations.map((name) => element("option", {}, name)));
byId("operations").value = "signup";
byId("codes").append(...known.codes.map((value) => element("option", { value })));
const changes = new EventSource("mock/changes");
changes.onmessage = refreshSoon;
changes.onopen = refreshSoon;
changes.onerror = () => { byId("notice").textContent = "The mock does not answer."; };
