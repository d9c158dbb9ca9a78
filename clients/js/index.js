export function createLogout({
  gatewayUrl = "", supabase, scope = "local", fetch = globalThis.fetch,
} = {}) {
  const page = globalThis.document;
  const auth = supabase?.auth;
  const key = auth?.storageKey?.replace(/\W/g, "\\$&") ?? "sb-.+-auth-token";
  const ours = new RegExp(`^(sb-csrf-token|${key}(-user|-.*code-verifier)?(\\.\\d+)?)$`);

  const attempt = (work) => {
    try { return work(); } catch {}
  };
  const storages = () => ["localStorage", "sessionStorage"]
    .flatMap((name) => attempt(() => globalThis[name]) ?? []);
  const stored = () => storages()
    .flatMap((storage) => Array.from(storage, (_, n) => storage.key(n)))
    .concat(attempt(() => page.cookie.replace(/=[^;]*/g, "").split("; ")))
    .filter((name) => ours.test(name));

  const remove = (name) => {
    storages().forEach((storage) => storage.removeItem(name));
    if (page) `.${location.hostname}`.split(".").forEach((_, n, labels) => {
      page.cookie = `${name}=; path=/; max-age=0; domain=${labels.slice(n + 1).join(".")}`;
    });
    if (!auth?._removeSession) {
      const channel = new BroadcastChannel(name.replace(/\.0$/, ""));
      channel.postMessage({ event: "SIGNED_OUT", session: null });
      channel.close();
    }
  };

  if (page) auth?.onAuthStateChange?.((event) => {
    if (event === "SIGNED_OUT") stored().forEach((name) => sessionStorage?.removeItem(name));
  });

  const bounded = (work) => {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), 1e4);
    return new Promise((done, fail) => {
      late.signal.onabort = fail;
      (async () => work(late))().then(done, fail);
    }).finally(() => clearTimeout(timer));
  };
  const send = (path, method, headers) => {
    const once = () => bounded(({ signal }) => fetch(
      `${gatewayUrl}`.replace(/\/?$/, `/api/auth/${path}`),
      { method, headers, signal, credentials: "include" },
    ));
    return once().catch(once);
  };
  const post = async (headers, times = 10) => {
    const answer = await send(`logout?scope=${scope}`, "POST", headers);
    if (times && answer.headers.get("X-Logout-Cookies-Left") > 0) {
      await post({}, times - 1).catch(() => {});
    }
    return answer;
  };

  let error;
  const ask = async () => {
    error = null;
    const csrf = await send("csrf");
    const body = csrf.ok && await bounded(() => csrf.json()).catch(() => {});
    if (body?.data) return post({ "X-CSRF-Token": body.data.csrf_token });
    const answer = await bounded(() => auth?.getSession()).catch((error) => ({ error }));
    const token = answer?.data?.session?.access_token;
    error = answer?.error;
    if (!token && csrf.status !== 401) return csrf;
    return post(token && { Authorization: `Bearer ${token}` });
  };

  const run = async () => {
    const before = stored();
    const { status, headers } = await ask().catch(() => Response.error());
    if (scope !== "others") {
      new Set(before.concat(stored())).forEach((name) => attempt(() => remove(name)));
      await bounded(() => auth?._removeSession?.()).catch(() => {});
    }
    const known = !error || /not_found|expired/.test(error.code);
    const outcome = headers.get("X-Logout-Outcome")
      || { 0: "offline", 401: known && "refused" }[status] || "failed";
    return { outcome, status, requestId: headers.get("X-Request-Id") };
  };

  let running;
  return () => (running ??= run().finally(() => { running = null; }));
}
