import { test as base } from "@playwright/test";
import { connectMock } from "logout-gateway-mock";

export { expect } from "@playwright/test";

export const test = base.extend({
  // Each worker has a world of its own, so workers use the same addresses at the same time.
  world: [async ({}, use, { workerIndex }) => {
    const mock = await connectMock(process.env.MOCK_URL);
    const world = mock.world(`worker-${workerIndex}`);
    await use(world);
    await world.end();
  }, { scope: "worker" }],

  baseURL: ({}, use) => use(process.env.SITE_URL),

  // Each test begins with an empty world, and with a browser for which the app's project is this world.
  context: async ({ context, world }, use) => {
    await world.reset();
    const project = { url: world.url, key: world.anonKey };
    await context.route("**/config.json", (route) => route.fulfill({ json: project }));
    await use(context);
  },
});
