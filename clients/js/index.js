// Signs a user of Supabase out through logout-gateway: asks the gateway to end the session, then
// removes the session from this browser, whatever the gateway answered. index.d.ts describes the
// API.

/** The longest time that one step may take: a request, or a call into supabase-js. */
const TIME_LIMIT_MS = 10_000;

/** The most further requests that delete cookies whose deletion did not fit the first response. */
const MAX_CLEANUP_REQUESTS = 10;

export function createLogout({
  gatewayUrl = "",
  supabase,
  scope = "local",
  fetch = globalThis.fetch,
} = {}) {
  const auth = supabase?.auth;
  const sessionNames = patternOfSessionNames(auth?.storageKey);

  const request = (path, method, headers) => {
    const send = () => withTimeLimit((signal) => {
      const url = `${String(gatewayUrl).replace(/\/$/, "")}/api/auth/${path}`;
      return fetch(url, { method, headers, signal, credentials: "include" });
    });
    // A logout is idempotent, so a request without a response is safe to send a second time.
    return send().catch(send);
  };
  const post = (headers) => request(`logout?scope=${scope}`, "POST", headers);

  const removeFromBrowser = (name) => {
    storages().forEach((storage) => storage.removeItem(name));
    expireCookie(name);
    // If the client has `_removeSession`, supabase-js itself notifies the other tabs.
    if (!auth?._removeSession) announceSignOut(name);
  };

  const removeSession = async (names) => {
    new Set(names).forEach((name) => ignoreErrors(() => removeFromBrowser(name)));
    // The last step of supabase-js's own `signOut`: it removes the session from the client's
    // storage, discards a refresh in progress and notifies every tab, without a call to GoTrue.
    await withTimeLimit(() => auth?._removeSession?.()).catch(() => {});
  };

  const logout = async () => {
    // Read the stored names before the request as well: the gateway's response deletes cookies, and
    // the names of these cookies are needed to notify other tabs.
    const namesBefore = storedNames(sessionNames);
    const { response, refreshError } = await endSession(request, post, auth)
      .catch(() => ({ response: Response.error() }));
    // The scope `others` ends other sessions only: this browser stays signed in.
    if (scope !== "others") await removeSession([...namesBefore, ...storedNames(sessionNames)]);
    return {
      outcome: outcomeOf(response, refreshError),
      status: response.status,
      requestId: response.headers.get("X-Request-Id"),
    };
  };

  if (globalThis.document) clearSessionStorageOnSignOut(auth, sessionNames);

  let inProgress = null;
  return () => (inProgress ??= logout().finally(() => { inProgress = null; }));
}

// Requests to the gateway

/**
 * Ends the session in the cookies. If the gateway returns no CSRF token, ends the session of the
 * Supabase client instead.
 */
async function endSession(request, post, auth) {
  const csrfResponse = await request("csrf");
  const csrf = csrfResponse.ok && await withTimeLimit(() => csrfResponse.json()).catch(() => {});
  if (csrf?.data) {
    const headers = { "X-CSRF-Token": csrf.data.csrf_token };
    return { response: await deleteRemainingCookies(await post(headers), post) };
  }

  // `getSession` refreshes an expired access token, which the gateway would refuse.
  const result = await withTimeLimit(() => auth?.getSession()).catch((error) => ({ error }));
  const accessToken = result?.data?.session?.access_token;
  const refreshError = result?.error;
  // A 401 means that no cookie carries a valid session. The POST is sent nevertheless, because its
  // response deletes the cookies of an invalid one. Any other response is final.
  if (!accessToken && csrfResponse.status !== 401) return { response: csrfResponse, refreshError };
  // Leave the header out if there is no access token: if a request has a Bearer token, the gateway
  // checks that token alone and leaves the cookies untouched if it is not valid.
  const headers = accessToken ? { Authorization: `Bearer ${accessToken}` } : undefined;
  return { response: await deleteRemainingCookies(await post(headers), post), refreshError };
}

/**
 * Deletes the cookies whose deletion did not fit into `response`: its header has their number.
 * Further requests delete them, without a session and without a CSRF token. Returns `response`,
 * because the outcome of the logout is that of the first request.
 */
async function deleteRemainingCookies(response, post) {
  let latest = response;
  const hasCookiesLeft = () => latest?.headers.get("X-Logout-Cookies-Left") > 0;
  for (let count = 0; count < MAX_CLEANUP_REQUESTS && hasCookiesLeft(); count += 1) {
    latest = await post({}).catch(() => {});
  }
  return response;
}

function outcomeOf({ status, headers }, refreshError) {
  const stated = headers.get("X-Logout-Outcome");
  if (stated) return stated;
  if (status === 0) return "offline";
  // If the session could not be refreshed, it may live on, unless GoTrue said that it does not know
  // the session or its refresh token, or that the session is too old.
  const isSignedOut = !refreshError || /not_found|expired/.test(refreshError.code);
  return status === 401 && isSignedOut ? "refused" : "failed";
}

/**
 * Calls `work` with an `AbortSignal`. Rejects after the time limit even if `work` ignores the
 * signal: supabase-js may wait for GoTrue, or for a subscriber that itself waits for the logout.
 */
function withTimeLimit(work) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), TIME_LIMIT_MS);
  return new Promise((resolve, reject) => {
    controller.signal.onabort = reject;
    // The async function turns an exception of `work` into a rejection.
    (async () => work(controller.signal))().then(resolve, reject);
  }).finally(() => clearTimeout(timer));
}

// What this browser stores

/**
 * Matches the names under which supabase-js and `@supabase/ssr` store a session, in storages and
 * in cookies alike: the storage key, the key of the user, the keys of the PKCE code verifiers, and
 * the chunks `.0`, `.1`, … of each; and the gateway's CSRF cookie and the two cookies of older helpers.
 * Without a storage key, the pattern matches the library's default key of any project.
 */
function patternOfSessionNames(storageKey) {
  const key = storageKey?.replace(/\W/g, "\\$&") ?? "sb-.+-auth-token";
  return new RegExp(`^(sb-(csrf|access|refresh)-token|${key}(-user|-.*code-verifier)?(\\.\\d+)?)$`);
}

function ignoreErrors(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/**
 * The storages that this page may use. Access to a storage throws if the user blocks site data, and
 * in sandboxed frames. A storage is `null` in some WebViews, and missing outside of browsers.
 */
function storages() {
  return ["localStorage", "sessionStorage"]
    .flatMap((name) => ignoreErrors(() => globalThis[name]) ?? []);
}

function storedNames(pattern) {
  const keys = storages()
    .flatMap((storage) => Array.from(storage, (_, index) => storage.key(index)));
  return [...keys, ...cookieNames()].filter((name) => pattern.test(name));
}

/** The names of the cookies that this page may read, each as often as it occurs. */
function cookieNames() {
  // `document.cookie` throws in sandboxed frames, and `document` is missing outside of pages.
  const cookies = ignoreErrors(() => document.cookie.split("; ")) ?? [];
  return cookies.map((cookie) => cookie.split("=")[0]);
}

/**
 * The attributes of the deletions, in the order in which they are tried. Only a deletion with
 * `Partitioned` reaches a partitioned cookie. In a frame of another site, browsers ignore a deletion
 * without `SameSite=None`.
 */
const DELETION_ATTRIBUTES = ["", "samesite=none; secure; partitioned", "samesite=none; secure"];

/**
 * Expires a cookie for this host, for each parent domain, and with an empty domain, which means a
 * cookie without a `Domain`: scripts cannot see for which domain a cookie was set. Browsers ignore
 * a domain that is a public suffix.
 *
 * Stops once the page can read no cookie of the name any more. In a frame of another site, the next
 * deletion could reach a cookie that the frame cannot read: the app outside of the frame may have
 * another user's session in it.
 */
function expireCookie(name) {
  if (!globalThis.document) return;
  const labels = location.hostname.split(".");
  for (const attributes of DELETION_ATTRIBUTES) {
    for (let index = 0; index <= labels.length && cookieNames().includes(name); index += 1) {
      const domain = labels.slice(index).join(".");
      document.cookie = `${name}=; path=/; max-age=0; domain=${domain}; ${attributes}`;
    }
  }
}

/**
 * Sends the message by which supabase-js notifies its clients in other tabs of a sign-out. The
 * channel has the name of the storage key. If the session is in chunks, this is the name of the
 * first chunk without `.0`.
 */
function announceSignOut(name) {
  const channel = new BroadcastChannel(name.replace(/\.0$/, ""));
  channel.postMessage({ event: "SIGNED_OUT", session: null });
  channel.close();
}

/**
 * Removes the session from this tab's `sessionStorage` after a sign-out in another tab, which
 * cannot reach it. `localStorage` and cookies stay: if this tab was frozen, the message may arrive
 * after the user has signed in again, and then they hold the new session.
 */
function clearSessionStorageOnSignOut(auth, sessionNames) {
  auth?.onAuthStateChange?.((event) => {
    if (event !== "SIGNED_OUT") return;
    storedNames(sessionNames).forEach((name) => sessionStorage?.removeItem(name));
  });
}
