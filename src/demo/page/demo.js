// Connects the demo page's controls to actions, and shows the results.

import {
  claimsOf, gotrueWorks, logOut, messageOf, readCookies, sessionsOf, settings, signIn, signUp,
  storeSession, storedSession, switchGotrueOff, switchGotrueOn, tryRefreshToken, verify,
} from "./demo-session.js";
import {
  byId, code, copyReport, element, showClaims, showCookies, showLife, showReport, showResult,
  showSessions, showSummary, showSwitch, showWho,
} from "./demo-view.js";

// The last session of this browser. It is kept after the session has ended.
let lastSession = null;
// The last logout, for the button "Check again".
let lastLogout = null;
let busy = false;

const claimsIn = (session) => session && claimsOf(session.access_token);

async function aliveSessions(session) {
  return session ? sessionsOf(claimsIn(session).sub) : [];
}

async function showNow() {
  const session = storedSession();
  lastSession = session ?? lastSession;
  showWho(session, claimsIn(lastSession)?.email);
  showCookies(readCookies());
  showClaims(claimsIn(session));
  tick();
  showSessions(await aliveSessions(lastSession), claimsIn(lastSession)?.session_id);
}

function tick() {
  showLife(claimsIn(storedSession()));
}

// Runs one action at a time. A click during another action is ignored.
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
    await showNow().catch(() => {});
  }
}

const signInStatus = (text) => { byId("sign-in-status").textContent = text; };
const gotrueStatus = (text) => { byId("gotrue-status").textContent = text; };
const summary = (text) => showSummary(text, "bad");

// The sign-in form: its buttons sign in, sign up, or sign in on another device.

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
  const [email, password] = [byId("email").value, byId("password").value];
  act(signInStatus, async () => signInStatus(await way(email, password)));
});

// The logout form: sends the logout, and shows sessions, cookies and tokens before and after.

// The user's sessions at GoTrue, or null if GoTrue does not answer.
const knownSessions = (session) => aliveSessions(session).catch(() => null);

async function observe(session) {
  const [sessions, cookies] = [await knownSessions(session), readCookies()];
  if (!session) return { sessions, cookies, refresh: null, verified: null };
  const verified = await verify(session.access_token);
  const refresh = await tryRefreshToken(session.refresh_token);
  // Store the new tokens, as supabase-js does after a refresh.
  const stored = claimsIn(storedSession())?.session_id;
  if (refresh.session && claimsIn(refresh.session).session_id === stored) {
    storeSession(refresh.session);
  }
  return { sessions, cookies, refresh, verified };
}

async function showLastLogout() {
  const after = await observe(lastLogout.session);
  showResult(lastLogout, after);
  return after;
}

byId("logout").addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = Object.fromEntries(new FormData(event.target));
  act(summary, async () => {
    showSummary("Asking the gateway…");
    byId("result").hidden = true;
    signInStatus("");
    const session = lastSession;
    const sessions = await knownSessions(session);
    const reply = await logOut({ ...chosen, accessToken: session?.access_token });
    const ownId = claimsIn(session)?.session_id;
    lastLogout = { session, sessions, reply, ownId, scope: chosen.scope };
    showReport(lastLogout, await showLastLogout());
    byId("result-section").scrollIntoView({ block: "nearest" });
  });
});

byId("check-again").addEventListener("click", () => act(summary, showLastLogout));
byId("copy").addEventListener("click", copyReport);

// The switch that makes the mock of GoTrue fail or work again.

function showState(on) {
  showSwitch(on);
  gotrueStatus(on ? "GoTrue works." : "GoTrue is switched off: now see a logout fail.");
}

function turnGotrue(on) {
  return act(gotrueStatus, async () => {
    await (on ? switchGotrueOn() : switchGotrueOff(byId("failure").value));
    showState(on);
  });
}

const isOn = () => byId("gotrue-switch").getAttribute("aria-checked") === "true";
byId("gotrue-switch").addEventListener("click", () => turnGotrue(!isOn()));
byId("failure").addEventListener("change", () => { if (!isOn()) turnGotrue(false); });

// Set up the page: fill in the demo's user, list the logout routes, and start the token's clock.

const answers = (text) => element("small", { textContent: `Success is ${text}` });

function offerRoutes() {
  const choices = settings.logouts.map(({ path, answer }, index) => element(
    "p",
    { className: "choice" },
    element("input", {
      type: "radio", name: "path", id: `route-${index}`, value: path, checked: index === 0,
    }),
    element("label", { htmlFor: `route-${index}` }, code(`POST ${path}`), answers(answer)),
  ));
  byId("routes").append(...choices);
}

byId("email").value = settings.user.email;
byId("password").value = settings.user.password;
offerRoutes();
setInterval(tick, 1000);
await showNow().catch(() => {});
showState(await gotrueWorks());
