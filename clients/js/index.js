// Ends a Supabase session at a logout-gateway, and here whatever that answers.

export function createLogout({
  gatewayUrl = "", supabase, scope = "local", fetch = globalThis.fetch,
} = {}) {
  if (!/^(local|others|global)$/.test(scope)) throw new TypeError(`scope: ${scope}`);
  const page = globalThis.document;
  const auth = supabase?.auth;
  const key = auth?.storageKey?.replace(/\W/g, "\\$&") ?? "sb-.+-auth-token";
  const ours = new RegExp(`^${key}(-user|-.*code-verifier)?(\\.\\d+)?$`);

  function stored() {
    try {
      return Object.keys({ ...localStorage, ...sessionStorage })
        .concat(page?.cookie.replace(/=[^;]*/g, "").split("; ") ?? [])
        .filter((name) => ours.test(name));
    } catch {
      return []; // No storages.
    }
  }

  async function remove(name) {
    localStorage?.removeItem(name);
    sessionStorage?.removeItem(name);
    // At which domain, none can see.
    if (page) ["", ...location.hostname.split(".")].forEach((_, n, labels) => {
      page.cookie = `${name}=; path=/; max-age=0; domain=${labels.slice(n + 1).join(".")}`;
    });
    if (!auth?._removeSession) {
      const channel = new BroadcastChannel(name.replace(/\.0$/, ""));
      channel.postMessage({ event: "SIGNED_OUT", session: null });
      channel.close();
    }
  }

  // Not localStorage: a frozen tab may wake to a new session there.
  if (page) auth?.onAuthStateChange((event) => {
    if (event === "SIGNED_OUT") stored().forEach((name) => sessionStorage?.removeItem(name));
  });

  function send(path, options) {
    const once = async () => fetch(`${gatewayUrl}/api/auth/${path}`, {
      credentials: "include", signal: AbortSignal.timeout?.(10_000), ...options,
    });
    return once().catch(once);
  }

  async function post(headers, times = 10) {
    const answer = await send(`logout?scope=${scope}`, { method: "POST", headers });
    const left = times && answer.headers.get("X-Logout-Cookies-Left");
    if (left > 0) await post({}, times - 1).catch(() => {});
    return answer;
  }

  async function ask() {
    const csrf = await send("csrf");
    if (csrf.ok) return post({ "X-CSRF-Token": (await csrf.json()).data.csrf_token });
    // getSession refreshes: an expired Bearer ends nothing.
    const answer = await auth?.getSession().catch(() => {});
    const token = answer?.data.session?.access_token;
    if (!token && csrf.status !== 401) return csrf;
    return post(token && { Authorization: `Bearer ${token}` });
  }

  async function run() {
    const before = stored();
    const { status, headers } = await ask().catch(() => Response.error());
    if (scope !== "others") {
      new Set([...before, ...stored()]).forEach((name) => remove(name).catch(() => {}));
      // The end of signOut: undoes a refresh under way, tells every tab.
      const drop = async () => auth?._removeSession?.();
      await drop().catch(() => {});
    }
    const meant = { 0: "offline", 401: "refused" }[status] ?? "failed";
    return {
      outcome: headers.get("X-Logout-Outcome") ?? meant,
      status,
      requestId: headers.get("X-Request-Id"),
    };
  }

  let running;
  return () => (running ??= run().finally(() => { running = null; }));
}
