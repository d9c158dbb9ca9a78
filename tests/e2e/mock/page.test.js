// The mock's own page in Chromium: it follows what happens, and changes the mock.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { newUser } from "../../../clients/js/test/harness.js";
import { newProfile } from "../harness/test_app.js";
import { errorOf, mockOfFile } from "../harness/world.js";

const mock = mockOfFile();
const confirmingMock = mockOfFile("--no-autoconfirm");

// Opens the page of a world. The test fails at an error of the page's script, and at a request to another origin.
async function openMockPage(context, world, options) {
  const profile = await newProfile(context, options);
  const tab = await profile.newPage();
  const problems = [];
  tab.on("pageerror", (error) => problems.push(error.message));
  tab.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  tab.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(world.url).origin) problems.push(request.url());
  });
  await tab.goto(`${world.url}/`);
  await tab.getByText("No request has come").waitFor();
  return { tab, problems };
}

const section = (tab, name) => tab.locator("section", { has: tab.getByRole("heading", { name }) });

test("the page shows users, sessions and calls as they come", async (context) => {
  const world = mock.newWorld();
  const { tab, problems } = await openMockPage(context, world);
  const name = '<img src=x onerror="document.title = 1">';
  const { user: { email }, session } = await world.signedIn({ ...newUser(), options: { data: { name } } });

  await section(tab, "Users").getByText(email).waitFor();
  await section(tab, "Sessions").getByText(email).waitFor();
  const call = section(tab, "Calls").getByText("POST /auth/v1/signup");
  await call.waitFor();
  await section(tab, "Calls").getByText("200", { exact: true }).waitFor();
  await call.click();
  await section(tab, "Calls").getByText(`"email":"${email}"`).waitFor();

  await tab.getByRole("button", { name: `End the session of ${email}` }).click();
  await section(tab, "Sessions").getByText("There is no session").waitFor();
  assert.deepEqual(await world.sessions(), []);
  await tab.getByRole("button", { name: `Ban ${email}` }).click();
  await section(tab, "Users").getByText("banned").waitFor();
  assert.ok((await world.user(session.user.id)).banned_until);
  await tab.getByRole("button", { name: "Reset everything" }).click();
  await section(tab, "Users").getByText("There is no user.").waitFor();
  assert.deepEqual(await world.users(), []);
  assert.equal(await tab.title(), "GoTrue mock");
  assert.deepEqual(problems, []);
});

test("the link of a mail works when it is clicked", async (context) => {
  const world = confirmingMock.newWorld();
  const { tab } = await openMockPage(context, world);
  const { auth } = await world.client();
  const user = newUser();
  await auth.signUp(user);

  const mails = section(tab, "Mails");
  await mails.getByText(`signup to ${user.email}`).waitFor();
  await mails.getByText((await world.mailTo(user.email)).token).waitFor();
  // Nothing listens at the site to which the link leads back, so that the new tab shows an error.
  const [opened] = await Promise.all([
    tab.context().waitForEvent("page"),
    mails.getByRole("link", { name: "Open the link" }).click(),
  ]);
  await opened.close();
  await section(tab, "Users").getByText("confirmed", { exact: true }).waitFor();
  assert.ok((await auth.signInWithPassword(user)).data.session);
  await mails.getByRole("button", { name: "Delete all messages" }).click();
  await mails.getByText("No message has been sent").waitFor();
  assert.deepEqual(await world.mails(), []);
});

test("faults are switched on and off, and the clock is advanced", async (context) => {
  const world = mock.newWorld();
  const { tab } = await openMockPage(context, world);
  const { auth } = await world.client();
  const faults = section(tab, "Faults");
  await faults.getByLabel("Endpoint").selectOption("otp");
  await faults.getByLabel("Code of GoTrue").fill("over_email_send_rate_limit");
  await faults.getByLabel("Times").fill("2");
  await faults.getByRole("button", { name: "Switch on" }).click();
  await faults.getByText("over_email_send_rate_limit), 2 times").waitFor();

  const refused = { name: "AuthApiError", status: 429, code: "over_email_send_rate_limit" };
  assert.deepEqual(await errorOf(auth.signInWithOtp(newUser())), refused);
  await faults.getByText("1 times").waitFor();
  await faults.getByRole("button", { name: "Clear all faults" }).click();
  await faults.getByText("Every endpoint works").waitFor();
  assert.equal((await auth.signInWithOtp(newUser())).error, null);

  const shown = async () => Date.parse(`${await tab.locator("#now").textContent()}Z`);
  const before = await shown();
  await tab.getByRole("button", { name: "by a day" }).click();
  await tab.waitForFunction((time) => Date.parse(`${document.querySelector("#now").textContent}Z`) > time, before + 86e6);
});

test("odd metadata and many users do not stop the page", async (context) => {
  const world = mock.newWorld();
  const { tab, problems } = await openMockPage(context, world);
  const admin = world.admin();
  await admin.createUser({ email: "odd@example.com", app_metadata: { providers: 5 } });
  for (let number = 0; number < 205; number += 1) {
    await admin.createUser({ email: `user-${number}@example.com` });
  }
  await section(tab, "Users").getByText("user-204@example.com").waitFor();
  await section(tab, "Users").getByText("the newest 200 of 206").waitFor();
  assert.deepEqual(problems, []);
});

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { viewport: { width: 390, height: 844 } }],
]) {
  test(`the page is no wider than the window (${name})`, async (context) => {
    const world = confirmingMock.newWorld();
    const { tab } = await openMockPage(context, world, options);
    const { auth } = await world.client();
    const user = { email: `an-address-that-is-too-long-for-a-line-${name}@subdomain.example.com`, password: "secret-password-1" };
    await auth.signUp(user);
    await auth.signInAnonymously();
    await section(tab, "Users").getByText(user.email).waitFor();
    assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true);
    await tab.screenshot({
      fullPage: true,
      path: fileURLToPath(new URL(`../artefacts/mock-${name}.png`, import.meta.url)),
    });
  });
}
