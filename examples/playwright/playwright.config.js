import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "test",
  globalSetup: "./test/global-setup.js",
  fullyParallel: true,
  workers: 2,
  reporter: "list",
  use: {
    // The system's Chromium. Without this line, `npx playwright install chromium` downloads one.
    launchOptions: { executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] },
  },
});
