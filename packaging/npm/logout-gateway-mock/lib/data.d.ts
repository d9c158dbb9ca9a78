// What the functions of a mock take and resolve to. Names are those of the JSON under `/mock`.

/** What a mail is for: `sms` is a text message, `mfa` a text message that is a second factor. */
export type MailType =
  | "signup" | "magiclink" | "recovery" | "invite" | "email_change" | "reauthentication" | "sms" | "mfa";

/** A mail or a text message. The mock sends none: a test reads it here. */
export interface Mail {
  /** The e-mail address in lower case, or the phone number without `+`. */
  to: string;
  /** What the mail is for. `verifyOtp` of supabase-js takes it for a `token_hash`. */
  type: MailType;
  /** The code of six digits. */
  token: string;
  /** The hash in the link. Absent from text messages, and from mails without a link. */
  token_hash?: string;
  /** The link that the user follows. Absent from text messages and from mails of the type `reauthentication`. */
  link?: string;
}

/** Selects mails. A member that is not set selects all. */
export interface MailFilter {
  /** E-mail address, in any case, or phone number, with or without `+`. */
  to?: string | undefined;
  /** What the mail is for. */
  type?: MailType | undefined;
}

/** A user as GoTrue shows it to administrators, with all of GoTrue's members. Times are RFC 3339. */
export interface User {
  /** A UUID: the `sub` claim of the user's access tokens. */
  id: string;
  /** The e-mail address in lower case; empty if there is none. */
  email: string;
  /** The phone number without `+`; empty if there is none. */
  phone: string;
  /** When the e-mail address was confirmed. Absent before. */
  email_confirmed_at?: string;
  /** When the phone number was confirmed. Absent before. */
  phone_confirmed_at?: string;
  /** What the user can change. */
  user_metadata: Record<string, unknown>;
  /** What only the server can change. */
  app_metadata: Record<string, unknown>;
  [member: string]: unknown;
}

/** A session that has not ended. */
export interface Session {
  /** A UUID: the `session_id` claim of the session's access tokens. */
  id: string;
  /** The id of the session's user. */
  user_id: string;
  /** The user's e-mail address; empty if there is none. */
  email: string;
  /** The user's phone number; empty if there is none. */
  phone: string;
  /** The assurance level: `aal2` with a verified second factor. */
  aal: "aal1" | "aal2";
  /** The methods by which the user signed in, such as `password`. */
  amr: string[];
  /** Whether the user is banned. */
  banned: boolean;
  /** When the user signed in: RFC 3339. */
  created_at: string;
}

/** A request to GoTrue as it arrived. CORS preflights and requests of this package are not among them. */
export interface Call {
  /** The number of the call since the mock's start, from 0. */
  id: number;
  /** The mock's time when the call arrived: RFC 3339. */
  at: string;
  /** The status of the response. `null` as long as there is none, and if a fault broke the connection. */
  status: number | null;
  /** The method, such as `POST`. */
  method: string;
  /** The path, such as `/auth/v1/logout`. */
  path: string;
  /** The query without `?`, such as `scope=local`; empty if there is none. */
  query: string;
  /** The values of each header. Names are in lower case. */
  headers: Record<string, string[]>;
  /** The body as text; empty if there is none. */
  body: string;
}

/** The endpoint that a fault acts on: its path without parameters, with `_` for `/` and `-`. */
export type Operation =
  | "admin_audit" | "admin_custom_providers" | "admin_generate_link" | "admin_oauth_clients"
  | "admin_oauth_clients_regenerate_secret" | "admin_sso_providers" | "admin_users" | "admin_users_factors"
  | "admin_users_passkeys" | "authorize" | "callback" | "factors" | "factors_challenge"
  | "factors_recovery_codes" | "factors_recovery_codes_regenerate" | "factors_recovery_codes_verify" | "factors_verify"
  | "health" | "invite" | "jwks" | "logout" | "magiclink" | "oauth_authorization_server" | "oauth_authorizations"
  | "oauth_authorizations_consent" | "oauth_authorize" | "oauth_clients_register" | "oauth_token" | "oauth_userinfo"
  | "openid_configuration" | "otp" | "passkeys" | "passkeys_authentication_options" | "passkeys_authentication_verify"
  | "passkeys_registration_options" | "passkeys_registration_verify" | "reauthenticate" | "recover" | "resend"
  | "scim_v2_ResourceTypes" | "scim_v2_Schemas" | "scim_v2_ServiceProviderConfig" | "settings" | "signup" | "sso"
  | "sso_saml_acs" | "sso_saml_metadata" | "token" | "user" | "user_identities" | "user_identities_authorize"
  | "user_oauth_grants" | "verify";

interface AnyFault {
  /** The endpoint, with any method. */
  operation: Operation;
  /** How many requests the fault acts on. Default: all until `clearFaults()`. */
  times?: number;
  /** `true`: the request takes effect, and only its response is wrong. Default: the request has no effect. */
  effect?: boolean;
}

/** A fault that answers with a response that the test chooses. */
export interface StatusFault extends AnyFault {
  kind: "status";
  /** The status, 200 to 599. Default: GoTrue's own for `code`, else 503. */
  status?: number;
  /** GoTrue's error code, such as `over_email_send_rate_limit`. Without `body`, the response is GoTrue's error. */
  code?: string;
  /** The message of the error with `code`. Default: GoTrue's. */
  message?: string;
  /** Headers of the response. */
  headers?: Record<string, string>;
  /** The body: a string is sent as text, any other value as JSON. */
  body?: unknown;
}

/** A fault that answers late, and otherwise normally. */
export interface DelayFault extends AnyFault {
  kind: "delay";
  /** The delay in seconds. Default: 1. */
  seconds?: number;
}

/** A fault that answers with status 307. */
export interface RedirectFault extends AnyFault {
  kind: "redirect";
  /** Default: `/auth/v1/redirected`, which does not exist. */
  location?: string;
}

/**
 * A fault without a proper response. `hang`: none, and the connection stays open. `reset`: the connection is reset.
 * `truncate`: the body is cut off. `garbage`: bytes that are not HTTP. `oversize`: a body of 4 MiB.
 */
export interface BrokenFault extends AnyFault {
  kind: "hang" | "reset" | "truncate" | "garbage" | "oversize";
}

/** What `fault()` takes. If there are several faults for one operation, the oldest acts. */
export type Fault = StatusFault | DelayFault | RedirectFault | BrokenFault;
