/**
 * The sessions that the logout ends. `local`: this session. `others`: every other session of the
 * user. `global`: all sessions of the user.
 */
export type Scope = "local" | "others" | "global";

/**
 * - `revoked`: GoTrue ended the sessions that the scope names.
 * - `already-ended`: the session had ended before.
 * - `queued`: GoTrue was not available. The gateway retries until the session has ended.
 * - `failed`: the session may still be valid, and the gateway does not retry. Also: the response is
 *   not one of the gateway's; the gateway refused the request because of the CSRF check (403) or
 *   because of overload (503); the access token has expired and GoTrue could not refresh it.
 * - `refused`: the user is not signed in, or the session in the cookies has expired and GoTrue does not
 *   refresh it any more (401).
 * - `offline`: two requests got no response.
 */
export type Outcome = "revoked" | "already-ended" | "queued" | "failed" | "refused" | "offline";

export interface LogoutResult {
  outcome: Outcome;
  /** The HTTP status; 0 for `offline`. */
  status: number;
  /** The id of the request in the gateway's log. */
  requestId: string | null;
}

/** The part of the Supabase clients of supabase-js and `@supabase/ssr` that this module uses. */
export interface SupabaseAuth {
  getSession(): Promise<{ data: { session: { access_token: string } | null } }>;
  onAuthStateChange?(callback: (event: any) => void): unknown;
}

export interface LogoutOptions {
  /**
   * The base URL of the gateway. Default: the page's own origin. Required outside of a page. If the
   * gateway has another origin than the page, add the page's origin to `GATEWAY_ALLOWED_ORIGINS`.
   */
  gatewayUrl?: string | URL | undefined;
  /**
   * The client whose session ends. Without it, everything that is stored under Supabase's default
   * names is removed, for every project, and only a session in cookies can be ended.
   */
  supabase?: { auth: SupabaseAuth } | null | undefined;
  /** Default: `local`. */
  scope?: Scope | undefined;
  /** Replaces the runtime's own `fetch`. */
  fetch?: typeof fetch | undefined;
}

/**
 * Creates the function that signs the user out. Call `createLogout` once for each client, not for
 * each sign-out.
 *
 * The returned function does not reject: `outcome` says whether the logout failed. Calls during a
 * logout share its result. Unless the scope is `others`, the function removes every session that
 * scripts can reach in this browser. The gateway deletes the cookies that scripts cannot reach.
 */
export function createLogout(options?: LogoutOptions): () => Promise<LogoutResult>;
