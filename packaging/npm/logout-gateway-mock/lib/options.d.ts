// The options of `startMock`.

/** A span of time with its unit: `90s`, `2h`, `1day 6h`. */
export type Duration = string;

/** The settings of a mock. Each is the flag of `logout-gateway mock` with the same name: see `mock --help`. */
export interface StartOptions {
  /**
   * Path of the binary. Default: the variable `LOGOUT_GATEWAY_BINARY`, then the binary of the npm package
   * `logout-gateway`, then `logout-gateway` on the PATH.
   */
  binary?: string | undefined;
  /** Address and port to listen on, such as `127.0.0.1:9999`. Default: a free port of 127.0.0.1. */
  bind?: string | undefined;
  /**
   * URL under which browsers reach the mock: it begins the links of mails, the redirects of providers, and the issuer.
   * This package uses it, too, so that it must lead to the mock from this process. Default: the URL of the address.
   */
  externalUrl?: string | undefined;
  /** Start a gateway in front of the mock, too. Its address is `gatewayUrl`. */
  gateway?: boolean | undefined;
  /** Algorithm that signs access tokens. Default: `ES256`. */
  alg?: "ES256" | "RS256" | "EdDSA" | "HS256" | undefined;
  /** Lifetime of an access token, one second or more. Default: `1h`. */
  tokenLifetime?: Duration | undefined;
  /** Private JWKs; the first one for `alg` signs access tokens. Default: public test keys. */
  signingKeys?: object[] | undefined;
  /** The `iss` claim of access tokens; `none` for tokens without it. Default: `url` with `/auth/v1`. */
  issuer?: string | undefined;
  /** Makes ids, codes and refresh tokens the same in every run: a whole number of 0 or more. Default: random ones. */
  seed?: number | undefined;
  /** Users that exist from the start, and again after every `reset()`. */
  users?: NewUser[] | undefined;
  /** http URL of a server that answers other paths than `/auth/v1` and `/mock`: REST, Storage, functions. */
  fallback?: string | undefined;
  /** `false`: new addresses and phone numbers must be confirmed by a code or a link. Default: `true`. */
  autoconfirm?: boolean | undefined;
  /** Where links lead back to. Default: `http://127.0.0.1:3000`. */
  siteUrl?: string | undefined;
  /** Prefixes of other addresses that links may lead back to. Every port of a loopback site is allowed anyway. */
  redirectUrls?: string[] | undefined;
  /** Lifetime of the codes and links in mails and text messages. Default: `1h`. */
  otpLifetime?: Duration | undefined;
  /** Least time between two mails, or two text messages, of one kind to a user. Default: `0s`. */
  maxFrequency?: Duration | undefined;
  /** Mails that can be sent in an hour. Default: no limit. */
  emailRateLimit?: number | undefined;
  /** Text messages that can be sent in an hour. Default: no limit. */
  smsRateLimit?: number | undefined;
  /** Phone numbers whose code is always the same, with the code: `{ "15550100001": "123456" }`. */
  testOtps?: Record<string, string> | undefined;
  /** Least length of a password in bytes. Default: 6. */
  passwordLength?: number | undefined;
  /** Kinds of characters that a password needs. Default: none. */
  passwordRequirements?:
    | "letters_digits"
    | "lower_upper_letters_digits"
    | "lower_upper_letters_digits_symbols"
    | undefined;
  /** Require the current password for a new one. */
  requireCurrentPassword?: boolean | undefined;
  /** Require a code for a new password if the session is older than a day. */
  securePasswordChange?: boolean | undefined;
  /** `false`: the new e-mail address alone confirms a change of address. Default: `true`. */
  doubleConfirmChanges?: boolean | undefined;
  /** End the refreshing of a session this long after the sign-in. Default: never. */
  timebox?: Duration | undefined;
  /** End the refreshing of a session this long after its last refresh. Default: never. */
  inactivityTimeout?: Duration | undefined;
  /** End the refreshing of a session without its second factor this long after the sign-in. Default: never. */
  allowLowAal?: Duration | undefined;
  /** Refresh only the latest session of each user. */
  singleSession?: boolean | undefined;
  /** `false`: refuse sign-ups. Default: `true`. */
  signup?: boolean | undefined;
  /** `false`: refuse sign-ups and sign-ins by e-mail address. Default: `true`. */
  email?: boolean | undefined;
  /** `false`: refuse sign-ups and sign-ins by phone number. Default: `true`. */
  phone?: boolean | undefined;
  /** `false`: refuse anonymous sign-ups. Default: `true`. */
  anonymousUsers?: boolean | undefined;
  /** `false`: refuse sign-ins by a mail with a link or a code. Default: `true`. */
  magicLink?: boolean | undefined;
  /** `false`: refuse to link and unlink identities. Default: `true`. */
  manualLinking?: boolean | undefined;
  /** `false`: refuse to enrol second factors. Default: `true`. */
  mfa?: boolean | undefined;
  /** Enabled identity providers, such as `github`. Default: all. */
  providers?: string[] | undefined;
}

/** A user as in the body of GoTrue's `POST /admin/users`. Any other member that GoTrue has there is allowed, too. */
export interface NewUser {
  /** A UUID. Default: a new one. */
  id?: string;
  /** The e-mail address. A user has an address, a phone number or both. */
  email?: string;
  /** The phone number, digits only. */
  phone?: string;
  /** The password. Without it, the user signs in by a code, a link or an identity provider. */
  password?: string;
  /** `false`: the address is not confirmed. Default: `true`, unlike at GoTrue. */
  email_confirm?: boolean;
  /** `false`: the phone number is not confirmed. Default: `true`, unlike at GoTrue. */
  phone_confirm?: boolean;
  /** What the user can change. */
  user_metadata?: Record<string, unknown>;
  /** What only the server can change. */
  app_metadata?: Record<string, unknown>;
  [member: string]: unknown;
}
