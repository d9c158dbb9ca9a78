// The administration of users with supabase-js and the service-role key.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newUser } from "../../../clients/js/test/harness.js";
import { claimsOf } from "../harness/test_app.js";
import { dataOf, errorOf, mockOfFile, redirectOf } from "../harness/world.js";

const mock = mockOfFile();

test("createUser makes a user who can sign in", async () => {
  const world = mock.newWorld();
  const { email, password } = newUser();
  const metadata = { user_metadata: { name: "Ada" }, app_metadata: { role: "editor" } };

  const created = world.admin().createUser({ email, password, email_confirm: true, ...metadata });
  const { user } = await dataOf(created);

  const { auth } = await world.client();
  const { session } = await dataOf(auth.signInWithPassword({ email, password }));
  const claims = claimsOf(session.access_token);
  assert.equal(claims.sub, user.id);
  assert.equal(claims.user_metadata.name, "Ada");
  assert.equal(claims.app_metadata.role, "editor");
});

test("createUser without email_confirm makes a user who cannot sign in yet", async () => {
  const world = mock.newWorld();
  const user = newUser();

  await dataOf(world.admin().createUser(user));

  const { auth } = await world.client();
  assert.equal((await errorOf(auth.signInWithPassword(user))).code, "email_not_confirmed");
  assert.equal((await errorOf(world.admin().createUser(user))).code, "email_exists");
});

test("the anon key and a user's token may not administer users", async () => {
  const world = mock.newWorld();
  const { auth } = await world.client();
  const refused = { name: "AuthApiError", status: 403, code: "not_admin" };

  assert.deepEqual(await errorOf(auth.admin.listUsers()), refused);
  assert.deepEqual(await errorOf(auth.admin.createUser(newUser())), refused);

  assert.deepEqual(await world.users(), []);
});

test("listUsers reads the users page by page", async () => {
  const world = mock.newWorld();
  const admin = world.admin();
  const ids = [];
  for (const user of [newUser(), newUser(), newUser()]) {
    ids.push((await dataOf(admin.createUser(user))).user.id);
  }

  const first = await dataOf(admin.listUsers({ page: 1, perPage: 2 }));
  const second = await dataOf(admin.listUsers({ page: 2, perPage: 2 }));

  assert.deepEqual([first.nextPage, first.lastPage, first.total], [2, 2, 3]);
  assert.deepEqual([second.nextPage, second.lastPage, second.total], [null, 2, 3]);
  const listed = [...first.users, ...second.users].map(({ id }) => id);
  assert.deepEqual(listed.sort(), ids.sort());
});

test("getUserById reads a user, and refuses an unknown id", async () => {
  const world = mock.newWorld();
  const { session } = await world.signedIn();

  const { user } = await dataOf(world.admin().getUserById(session.user.id));

  assert.deepEqual(user, await world.user(session.user.id));
  const unknown = "00000000-0000-4000-8000-000000000000";
  assert.deepEqual(await errorOf(world.admin().getUserById(unknown)), {
    name: "AuthApiError", status: 404, code: "user_not_found",
  });
});

test("updateUserById changes address, password and metadata at once", async () => {
  const world = mock.newWorld();
  const { user: before, session } = await world.signedIn();
  const { id } = session.user;
  const { email } = newUser();
  const change = { email, password: "a new password", app_metadata: { role: "editor" } };

  await dataOf(world.admin().updateUserById(id, change));

  assert.deepEqual(await world.mails(), []);
  const { auth } = await world.client();
  assert.equal((await errorOf(auth.signInWithPassword(before))).code, "invalid_credentials");
  const { user } = await dataOf(auth.signInWithPassword({ email, password: change.password }));
  assert.equal(user.id, id);
  assert.equal(user.app_metadata.role, "editor");
});

test("a user whom updateUserById bans cannot refresh until the ban is lifted", async () => {
  const world = mock.newWorld();
  const { auth, user, session } = await world.signedIn();
  const { id } = session.user;
  await dataOf(world.admin().updateUserById(id, { ban_duration: "24h" }));
  const other = await world.client();
  assert.equal((await errorOf(other.auth.signInWithPassword(user))).code, "user_banned");
  assert.equal((await errorOf(auth.getUser())).code, "user_banned");

  await dataOf(world.admin().updateUserById(id, { ban_duration: "none" }));

  assert.equal((await dataOf(auth.getUser())).user.id, id);
  await dataOf(other.auth.signInWithPassword(user));
});

test("deleteUser ends the user's sessions and frees the address", async () => {
  const world = mock.newWorld();
  const { auth, user, session } = await world.signedIn();

  const deleted = await dataOf(world.admin().deleteUser(session.user.id));

  assert.equal(deleted.user.id, session.user.id);
  assert.deepEqual(await world.users(), []);
  assert.deepEqual(await world.sessions(), []);
  assert.equal((await errorOf(auth.getUser())).code, "user_not_found");
  const again = await world.signedIn(user);
  assert.notEqual(again.session.user.id, session.user.id);
});

test("deleteUser can keep the row of the user without the address", async () => {
  const world = mock.newWorld();
  const { user, session } = await world.signedIn();

  await dataOf(world.admin().deleteUser(session.user.id, true));

  assert.deepEqual(await world.sessions(), []);
  const row = await world.user(session.user.id);
  assert.ok(row.deleted_at);
  assert.notEqual(row.email, user.email);
});

test("inviteUserByEmail sends a mail whose link signs the new user in", async () => {
  const world = mock.newWorld();
  const { email } = newUser();
  const redirectTo = "http://127.0.0.1:3000/welcome";
  const options = { data: { team: "blue" }, redirectTo };

  const { user } = await dataOf(world.admin().inviteUserByEmail(email, options));

  assert.ok(user.invited_at);
  const mail = await world.mailTo(email);
  assert.equal(mail.type, "invite");
  const { href, hash } = await redirectOf(mail.link);
  assert.ok(href.startsWith(`${redirectTo}#access_token=`));
  const { auth } = await world.client();
  await dataOf(auth.setSession(Object.fromEntries(new URLSearchParams(hash.slice(1)))));
  await dataOf(auth.updateUser({ password: "a password" }));
  const other = await world.client();
  const signedIn = await dataOf(other.auth.signInWithPassword({ email, password: "a password" }));
  assert.equal(signedIn.user.id, user.id);
  assert.equal(signedIn.user.user_metadata.team, "blue");
});

for (const [scope, lives] of [["local", [1]], ["others", [0]], ["global", []]]) {
  test(`admin.signOut with the scope ${scope} ends sessions by a user's token`, async () => {
    const world = mock.newWorld();
    const { user, session } = await world.signedIn();
    const other = await world.client();
    const second = await dataOf(other.auth.signInWithPassword(user));
    const ids = [session, second.session].map((each) => claimsOf(each.access_token).session_id);

    await dataOf(world.admin().signOut(session.access_token, scope));

    const alive = (await world.sessions()).map(({ id }) => id);
    assert.deepEqual(alive, lives.map((index) => ids[index]));
  });
}

// supabase-js has no method for the audit log, so an application fetches it.
test("the audit log shows what a user did, the newest first", async () => {
  const world = mock.newWorld();
  const { auth, session } = await world.signedIn();
  await auth.signOut();

  const headers = { Authorization: `Bearer ${world.serviceRoleKey}` };
  const response = await fetch(`${world.url}/auth/v1/admin/audit`, { headers });

  const payloads = (await response.json()).map(({ payload }) => payload);
  const actions = payloads.map(({ action }) => action);
  assert.deepEqual(actions, ["logout", "login", "user_signedup"]);
  assert.ok(payloads.every((payload) => payload.actor_id === session.user.id));
});
