import { expect, test } from "./fixtures.js";

const EMAIL = "ann@example.com";

test.beforeEach(async ({ page }) => {
  await page.goto("/");
  // The page shows this as soon as its script can handle clicks.
  await expect(page.getByRole("status")).toHaveText("Signed out");
});

test("the link of the mail signs a new user in", async ({ page, world }) => {
  await page.getByLabel("Address").fill(EMAIL);
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign up" }).click();
  await expect(page.getByRole("status")).toHaveText(`We sent a mail to ${EMAIL}`);
  expect(await world.sessions()).toEqual([]);

  const { link } = await world.mail({ to: EMAIL, type: "signup" });
  await page.goto(link);
  await expect(page.getByRole("status")).toHaveText(`Signed in as ${EMAIL}`);
});

test("a user signs in at a provider, and out", async ({ page, world }) => {
  await page.getByRole("button", { name: "Sign in with GitHub" }).click();
  await page.getByLabel("E-mail address").fill(EMAIL);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("status")).toHaveText(`Signed in as ${EMAIL}`);
  expect(await world.sessions()).toHaveLength(1);

  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("status")).toHaveText("Signed out");
  expect(await world.sessions()).toEqual([]);
});

test("an error of the server is shown", async ({ page, world }) => {
  await world.fault({ operation: "signup", kind: "status", code: "over_email_send_rate_limit" });
  await page.getByLabel("Address").fill(EMAIL);
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign up" }).click();
  await expect(page.getByRole("status")).toHaveText("email rate limit exceeded");
});
