// The flags of `logout-gateway mock` for the options of `startMock`.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const withValue = (flag) => (value) => [`--${flag}=${value}`];
const withEachValue = (flag) => (values) => values.map((value) => `--${flag}=${value}`);
const ifTrue = (flag) => (value) => (value ? [`--${flag}`] : []);
const ifFalse = (flag) => (value) => (value ? [] : [`--${flag}`]);

/** For each option, the function that makes its flags from its value. */
export const FLAGS = {
  bind: withValue("bind"),
  externalUrl: withValue("external-url"),
  gateway: ifTrue("gateway"),
  alg: withValue("alg"),
  tokenLifetime: withValue("token-lifetime"),
  issuer: withValue("issuer"),
  seed: withValue("seed"),
  fallback: withValue("fallback"),
  autoconfirm: ifFalse("no-autoconfirm"),
  siteUrl: withValue("site-url"),
  redirectUrls: withEachValue("redirect-url"),
  otpLifetime: withValue("otp-lifetime"),
  maxFrequency: withValue("max-frequency"),
  emailRateLimit: withValue("email-rate-limit"),
  smsRateLimit: withValue("sms-rate-limit"),
  testOtps: (codes) => Object.entries(codes).map(([phone, code]) => `--test-otp=${phone}=${code}`),
  passwordLength: withValue("password-length"),
  passwordRequirements: withValue("password-requirements"),
  requireCurrentPassword: ifTrue("require-current-password"),
  securePasswordChange: ifTrue("secure-password-change"),
  doubleConfirmChanges: ifFalse("no-double-confirm-changes"),
  timebox: withValue("timebox"),
  inactivityTimeout: withValue("inactivity-timeout"),
  allowLowAal: withValue("allow-low-aal"),
  singleSession: ifTrue("single-session"),
  signup: ifFalse("no-signup"),
  email: ifFalse("no-email"),
  phone: ifFalse("no-phone"),
  anonymousUsers: ifFalse("no-anonymous-users"),
  magicLink: ifFalse("no-magic-link"),
  manualLinking: ifFalse("no-manual-linking"),
  mfa: ifFalse("no-mfa"),
  providers: withEachValue("provider"),
};

/** The flags whose values the binary reads from a file, when it starts. */
export const FILE_FLAGS = {
  users: "--users",
  signingKeys: "--signing-keys",
};

/**
 * Calls `use` with the flags for the options. The files that some flags name exist until `use` has ended, in a
 * directory that other users of the machine cannot read: users have passwords.
 */
export async function withFlags(options, use) {
  const directory = await mkdtemp(join(tmpdir(), "logout-gateway-mock-"));
  try {
    const flags = [];
    for (const [name, value] of Object.entries(options)) {
      if (value === undefined) continue;
      if (Object.hasOwn(FILE_FLAGS, name)) {
        const path = join(directory, name);
        await writeFile(path, JSON.stringify(value));
        flags.push(`${FILE_FLAGS[name]}=${path}`);
      } else if (Object.hasOwn(FLAGS, name)) {
        flags.push(...FLAGS[name](value));
      } else {
        throw new TypeError(`startMock has no option ${name}`);
      }
    }
    return await use(flags);
  } finally {
    await rm(directory, { recursive: true });
  }
}
