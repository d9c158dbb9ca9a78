// Every method of `supabase.auth`, and the test that proves it against the mock. `methods.test.js` checks
// the table against the library and against the tests.

// The mock does not have the endpoint of these methods, so the test is about the error.
const MISSING = "missing.test.js: ";

// A method without a test, and the reason.
const no = (reason) => ({ reason });

const SECURITY_KEY = no("needs a factor that `enroll` cannot make, since the mock refuses security keys");

export const METHODS = {
  auth: {
    initialize:
      "links.test.js: a link that is opened again leads back with an error and begins no session",
    isThrowOnErrorEnabled: no("reads an option of the client, and sends no request"),
    signUp: "sign_up.test.js: a sign-up that is confirmed at once signs the user in",
    signInAnonymously:
      "sign_in.test.js: an anonymous user becomes permanent by an address and a password",
    signInWithPassword: "sign_in.test.js: the right password begins a session of its own",
    signInWithOtp: "codes.test.js: a code by mail signs a user in once",
    signInWithOAuth: "providers.test.js: a user signs in at a provider's consent page by the ${flow} flow",
    signInWithIdToken: "sign_in.test.js: an ID token that the mock's keys sign signs a new user in",
    signInWithSSO: `${MISSING}single sign-on and sign-ins by wallets are missing`,
    signInWithWeb3: `${MISSING}single sign-on and sign-ins by wallets are missing`,
    signInWithPasskey: "providers.test.js: passkeys are missing in a browser, too",
    registerPasskey: "providers.test.js: passkeys are missing in a browser, too",
    exchangeCodeForSession:
      "codes.test.js: a link of the PKCE flow leads back with a code that only this client can exchange",
    verifyOtp: "codes.test.js: the hash of a mail's link signs a user in",
    resend: "sign_up.test.js: resend sends the code of a sign-up again, and voids the first one",
    reauthenticate:
      "codes.test.js: in a session older than a day, a new password needs the code of reauthenticate",
    resetPasswordForEmail:
      "codes.test.js: resetPasswordForEmail leads to PASSWORD_RECOVERY and a new password",
    getSession: "sessions.test.js: getSession refreshes a token that is about to expire",
    getUser: "sessions.test.js: getUser asks GoTrue, and shows a ban that getSession does not know",
    getClaims: "sessions.test.js: getClaims verifies a token with the published keys, also after a rotation",
    updateUser: "users.test.js: updateUser merges the user's metadata and deletes what is null",
    setSession: "sessions.test.js: setSession takes a session over to another client",
    refreshSession: "sessions.test.js: refreshSession gives new tokens of the same session",
    startAutoRefresh:
      "sessions.test.js: startAutoRefresh refreshes in the background, and stopAutoRefresh ends that",
    stopAutoRefresh:
      "sessions.test.js: startAutoRefresh refreshes in the background, and stopAutoRefresh ends that",
    signOut: "sessions.test.js: signOut with the scope ${scope} ends the right ones of three sessions",
    dispose: "sessions.test.js: dispose ends the events of a client, and its session lives on",
    onAuthStateChange: "sessions.test.js: the events of a session come in the order in which they happen",
    getUserIdentities: "users.test.js: an identity can be linked, listed and unlinked",
    linkIdentity: "users.test.js: an identity can be linked, listed and unlinked",
    unlinkIdentity: "users.test.js: an identity can be linked, listed and unlinked",
    // The types of the library declare these methods private.
    fetchJwk: no("private; `getClaims` calls it"),
    linkIdentityIdToken: no("private; `linkIdentity` calls it"),
    linkIdentityOAuth: no("private; `linkIdentity` calls it"),
    signInWithEthereum: no("private; `signInWithWeb3` calls it"),
    signInWithSolana: no("private; `signInWithWeb3` calls it"),
  },
  "auth.mfa": {
    enroll: "second_factors.test.js: a phone factor is verified by the code of a text message",
    challenge:
      "second_factors.test.js: a TOTP factor that is enrolled and verified raises the session to aal2",
    verify:
      "second_factors.test.js: a TOTP factor that is enrolled and verified raises the session to aal2",
    challengeAndVerify:
      "second_factors.test.js: a sign-in stays at aal1 until the user's factor is verified",
    unenroll: "second_factors.test.js: a factor that is unenrolled lowers the next session to aal1",
    listFactors: "second_factors.test.js: a factor that is unenrolled lowers the next session to aal1",
    getAuthenticatorAssuranceLevel:
      "second_factors.test.js: the level of a token can be read without its session",
  },
  "auth.mfa.webauthn": {
    enroll: `${MISSING}a security key as a second factor is switched off`,
    challenge: SECURITY_KEY,
    verify: SECURITY_KEY,
    authenticate: SECURITY_KEY,
    register: SECURITY_KEY,
  },
  "auth.mfa.recoveryCodes": {
    getStatus: `${MISSING}recovery codes are missing`,
    generate: `${MISSING}recovery codes are missing`,
    verify: `${MISSING}recovery codes are missing`,
    regenerate: `${MISSING}recovery codes are missing`,
    unenroll: `${MISSING}recovery codes are missing`,
  },
  "auth.oauth": {
    getAuthorizationDetails: `${MISSING}the OAuth server is missing`,
    approveAuthorization: `${MISSING}the OAuth server is missing`,
    denyAuthorization: `${MISSING}the OAuth server is missing`,
    listGrants: `${MISSING}the OAuth server is missing`,
    revokeGrant: `${MISSING}the OAuth server is missing`,
  },
  "auth.passkey": {
    startRegistration: `${MISSING}passkeys are missing`,
    verifyRegistration: `${MISSING}passkeys are missing`,
    startAuthentication: `${MISSING}passkeys are missing`,
    verifyAuthentication: `${MISSING}passkeys are missing`,
    list: `${MISSING}passkeys are missing`,
    update: `${MISSING}passkeys are missing`,
    delete: `${MISSING}passkeys are missing`,
  },
  "auth.admin": {
    signOut: "admin.test.js: admin.signOut with the scope ${scope} ends sessions by a user's token",
    inviteUserByEmail: "admin.test.js: inviteUserByEmail sends a mail whose link signs the new user in",
    generateLink:
      "generated_links.test.js: a link of the type ${type} signs in by address, by code and by hash",
    createUser: "admin.test.js: createUser makes a user who can sign in",
    listUsers: "admin.test.js: listUsers reads the users page by page",
    getUserById: "admin.test.js: getUserById reads a user, and refuses an unknown id",
    updateUserById: "admin.test.js: updateUserById changes address, password and metadata at once",
    deleteUser: "admin.test.js: deleteUser ends the user's sessions and frees the address",
  },
  "auth.admin.mfa": {
    listFactors: "second_factors.test.js: an administrator lists and deletes a user's factors",
    deleteFactor: "second_factors.test.js: an administrator lists and deletes a user's factors",
  },
  "auth.admin.oauth": {
    listClients: `${MISSING}the administration of OAuth clients is missing`,
    createClient: `${MISSING}the administration of OAuth clients is missing`,
    getClient: `${MISSING}the administration of OAuth clients is missing`,
    updateClient: `${MISSING}the administration of OAuth clients is missing`,
    deleteClient: `${MISSING}the administration of OAuth clients is missing`,
    regenerateClientSecret: `${MISSING}the administration of OAuth clients is missing`,
  },
  "auth.admin.customProviders": {
    listProviders: `${MISSING}there is no custom identity provider, and none can be made`,
    createProvider: `${MISSING}there is no custom identity provider, and none can be made`,
    getProvider: `${MISSING}there is no custom identity provider, and none can be made`,
    updateProvider: `${MISSING}there is no custom identity provider, and none can be made`,
    deleteProvider: `${MISSING}there is no custom identity provider, and none can be made`,
  },
  "auth.admin.passkey": {
    listPasskeys: `${MISSING}no user has a passkey, and an administrator can delete none`,
    deletePasskey: `${MISSING}no user has a passkey, and an administrator can delete none`,
  },
};
