/**
 * `local` ends this session, `others` every other session of the user, `global` all of them.
 */
export type Scope = "local" | "others" | "global";

/**
 * - `revoked`: GoTrue ended what the scope names.
 * - `already-ended`: nothing was left to end.
 * - `queued`: GoTrue could not be asked, and the gateway asks it again until the session is over.
 * - `failed`: the session may live on, and nobody tries again. Also what no gateway answered, what
 *   the gateway did not try: no CSRF token (403), too much at once (503), and a token that has
 *   expired while GoTrue could not refresh it.
 * - `refused`: nobody is signed in (401).
 * - `offline`: nobody answered, twice.
 */
export type Outcome = "revoked" | "already-ended" | "queued" | "failed" | "refused" | "offline";

export interface LogoutResult {
  outcome: Outcome;
  /** The HTTP status; 0 for `offline`. */
  status: number;
  /** What the gateway's log knows this logout by. */
  requestId: string | null;
}

/** The part of a Supabase client that is used; one of supabase-js or of `@supabase/ssr` has it. */
export interface SupabaseAuth {
  getSession(): Promise<{ data: { session: { access_token: string } | null } }>;
  onAuthStateChange?(callback: (event: any) => void): unknown;
}

export interface LogoutOptions {
  /**
   * Where the gateway is. Default: the page's own origin. Outside of a page it must be given. A
   * gateway of another origin must have this one in `GATEWAY_ALLOWED_ORIGINS`.
   */
  gatewayUrl?: string | URL | undefined;
  /**
   * The client whose session ends. Without it, what is stored under Supabase's default names goes,
   * of every project, and a session that no cookie carries cannot be ended.
   */
  supabase?: { auth: SupabaseAuth } | null | undefined;
  /** Default: `local`. */
  scope?: Scope | undefined;
  /** Instead of the runtime's own. */
  fetch?: typeof fetch | undefined;
}

/**
 * Makes the function that logs out. Call this once for each client, not once for each logout.
 *
 * `logout()` resolves whatever became of it; calls while one is under way share its result. It
 * leaves no session that scripts can reach in this browser, unless the scope is `others`; the gateway
 * deletes what they cannot reach.
 */
export function createLogout(options?: LogoutOptions): () => Promise<LogoutResult>;
