/// <reference lib="esnext.disposable" />

import type { Call, Fault, Mail, MailFilter, Session, User } from "./lib/data.js";
import type { Duration, StartOptions } from "./lib/options.js";

export type * from "./lib/data.js";
export type * from "./lib/options.js";

/**
 * What a mock and each of its worlds have. Every function rejects with an `Error` if the mock has ended, or if it
 * refuses the request: the message is then the mock's.
 */
export interface Controls {
  /** The first argument of `createClient`: an http URL without a slash at its end. */
  readonly url: string;
  /** The second argument of `createClient`: the API key with the role `anon`. The mock accepts any other, too. */
  readonly anonKey: string;
  /** The API key with the role `service_role`, for `auth.admin`. */
  readonly serviceRoleKey: string;
  /** The URL of the key set that verifies access tokens. */
  readonly jwksUrl: string;

  /** The mails and text messages that match, oldest first. */
  mails(filter?: MailFilter): Promise<Mail[]>;
  /**
   * The newest mail or text message that matches. Waits for one if there is none yet, `timeout` milliseconds at most
   * (default: 5000), then rejects. An earlier mail counts: call `deleteMails()` before a step that sends another.
   */
  mail(filter?: MailFilter & { timeout?: number | undefined }): Promise<Mail>;
  /** Deletes the mails and text messages. The codes and links in them stay valid. */
  deleteMails(): Promise<void>;

  /** The users, oldest first. */
  users(): Promise<User[]>;
  /** Deletes a user and the user's sessions. Rejects if there is no such user. */
  deleteUser(id: string): Promise<void>;
  /** Bans a user: requests of the user are refused, and the sessions stay. Rejects if there is no such user. */
  banUser(id: string): Promise<void>;

  /** The sessions that have not ended, of all users. */
  sessions(): Promise<Session[]>;
  /** Ends a session, as a sign-out on another device does. Rejects if there is no such session. */
  deleteSession(id: string): Promise<void>;
  /**
   * Makes every later refresh of a session fail with `session_expired`. The reason chooses GoTrue's message (default:
   * `timebox`). Rejects if there is no such session.
   */
  expireSession(id: string, reason?: "timebox" | "inactivity" | "low_aal" | "newer_login"): Promise<void>;

  /** The newest requests to GoTrue, at most 50,000 and 64 MiB, oldest first. */
  calls(): Promise<Call[]>;

  /** Adds a fault. */
  fault(fault: Fault): Promise<void>;
  /** The faults that have not been used up, oldest first; `times` is the number of requests that are left. */
  faults(): Promise<Fault[]>;
  /** Removes all faults. */
  clearFaults(): Promise<void>;

  /**
   * Advances the mock's clock, so that tokens, codes and sessions expire, and resolves to its time. The clock of the
   * test's own process stays as it is: set that of your test runner, too, if the client should see that its token has
   * expired.
   */
  advance(duration: Duration): Promise<Date>;
  /**
   * Signs with another key, and resolves to the new key set. Tokens of the old key are refused, unless `keepOld` is
   * true. With HS256, `anonKey` and `serviceRoleKey` are void, too.
   */
  rotateKeys(options?: { keepOld?: boolean | undefined }): Promise<{ keys: object[] }>;
  /** Returns to the state at the start: users, sessions, mails, calls, faults, keys, clock. Worlds stay as they are. */
  reset(): Promise<void>;
}

/** A mock of its own below the URL of another, with the same settings: for a test that runs beside others. */
export interface World extends Controls, AsyncDisposable {
  /** Ends the world. Its name can be used again, and then begins a new world. */
  end(): Promise<void>;
}

/** A mock that another process may have started. */
export interface Mock extends Controls {
  /**
   * The world of this name, which begins with the first request to it. A name has 1 to 64 letters, digits, `-`, `_` and
   * `.`; a mock has at most 1000 worlds at a time. Else the functions of the world reject.
   */
  world(name: string): World;
}

/** A mock that this process has started. */
export interface RunningMock extends Mock, AsyncDisposable {
  /** The URL of the gateway, if the option `gateway` is set. */
  readonly gatewayUrl: string | undefined;
  /** Ends the mock, and the gateway. Resolves when the process has ended. A second call has no effect. */
  stop(): Promise<void>;
}

/**
 * Starts a mock, and a gateway if `gateway` is set. Resolves as soon as they answer. The mock ends by `stop()`, at the
 * end of an `await using` block, and at the latest with this process, however that ends. A running mock does not keep
 * this process from ending.
 *
 * Rejects if the binary is not found, and with the binary's own message if it refuses an option.
 */
export function startMock(options?: StartOptions): Promise<RunningMock>;

/**
 * Connects to a mock that another process has started: a global set-up, or `logout-gateway mock -- <command>`.
 * `url` is that of the mock or of one of its worlds. Default: the variable `SUPABASE_URL`. Rejects if no mock answers.
 */
export function connectMock(url?: string): Promise<Mock>;
