// The page's wiring: each control, what it does, and what is shown then.

import {
  claimsOf, gotrueWorks, logOut, messageOf, readCookies, sessionsOf, settings, signIn, signUp,
  storeSession, storedSession, switchGotrueOff, switchGotrueOn, tryRefreshToken, verify,
} from "./demo-session.js";
import {
  byId, code, element, showClaims, showCookies, showLife, showResult, showSessions, showSummary,
  showSwitch, showWho,
} from "./demo-view.js";

// The session of this browser, also after it has ended.
let lastSession = null;
// The last logout, to be checked again.
let lastLogout = null;
let busy = false;

async function aliveSessions() {
  return lastSession ? sessionsOf(lastSession.user.id) : [];
}

function ownId() {
  return lastSession && claimsOf(lastSession.access_token).session_id;
}

async function showBefore() {
  const session = storedSession();
  lastSession = session ?? lastSession;
  showWho(session, lastSession?.user);
  showCookies(readCookies());
  showClaims(session && claimsOf(session.access_token));
  tick();
  showSessions(await aliveSessions(), ownId());
}

function tick() {
  const session = storedSession();
  showLife(session && claimsOf(session.access_token));
}

// One thing at a time: a second click while the first is answered does nothing.
async function act(status, work) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    status(messageOf(error));
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
    await showBefore().catch(() => {});
  }
}

const signInStatus = (text) => { byId("sign-in-status").textContent = text; };
const gotrueStatus = (text) => { byId("gotrue-status").textContent = text; };
const summary = (text) => showSummary(text, "bad");

// Sign in.

const SIGN_INS = {
  "sign-in": async (email, password) => {
    storeSession(await signIn(email, password));
    return `${email} is signed in.`;
  },
  "sign-up": async (email, password) => {
    storeSession(await signUp(email, password, byId("large").checked));
    return `${email} is signed up and in.`;
  },
  "other-device": async (email, password) => {
    await signIn(email, password);
    return `${email} is signed in on another device too.`;
  },
};

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const way = SIGN_INS[event.submitter?.value ?? "sign-in"];
  act(signInStatus, async () => signInStatus(await way(byId("email").value, byId("password").value)));
});

// Log out.

async function observe() {
  const [sessions, cookies] = [await aliveSessions(), readCookies()];
  if (!lastSession) return { sessions, cookies, refresh: null, verified: null };
  const verified = await verify(lastSession.access_token);
  const refresh = await tryRefreshToken(lastSession.refresh_token);
  // As the library would: this browser goes on with the new tokens.
  if (refresh.session && storedSession()) storeSession(refresh.session);
  return { sessions, cookies, refresh, verified };
}

async function showAfter() {
  showResult({ ...lastLogout, after: await observe() });
}

byId("logout").addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = Object.fromEntries(new FormData(event.target));
  act(summary, async () => {
    showSummary("Asking the gateway…");
    const before = { sessions: await aliveSessions() };
    const reply = await logOut({ ...chosen, accessToken: lastSession?.access_token });
    lastLogout = { reply, before, scope: chosen.scope, ownId: ownId() };
    await showAfter();
    byId("result-section").scrollIntoView({ block: "nearest" });
  });
});

byId("check-again").addEventListener("click", () => act(summary, showAfter));

// GoTrue, off and on.

function turnGotrue(on) {
  return act(gotrueStatus, async () => {
    await (on ? switchGotrueOn() : switchGotrueOff(byId("failure").value));
    showSwitch(on);
    gotrueStatus(on ? "GoTrue works." : "GoTrue is switched off. Now log out.");
  });
}

const isOn = () => byId("gotrue-switch").getAttribute("aria-checked") === "true";
byId("gotrue-switch").addEventListener("click", () => turnGotrue(!isOn()));
byId("failure").addEventListener("change", () => { if (!isOn()) turnGotrue(false); });

// The start.

function offerRoutes() {
  const choices = settings.logouts.map(({ path, answer }, index) => element(
    "p",
    { className: "choice" },
    element("input", { type: "radio", name: "path", id: `route-${index}`, value: path, checked: index === 0 }),
    element("label", { htmlFor: `route-${index}` }, code(`POST ${path}`), element("small", { textContent: answer })),
  ));
  byId("routes").append(...choices);
}

byId("email").value = settings.user.email;
byId("password").value = settings.user.password;
offerRoutes();
setInterval(tick, 1000);
await showBefore().catch(() => {});
showSwitch(await gotrueWorks());
