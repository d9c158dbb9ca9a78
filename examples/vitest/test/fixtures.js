import { connectMock } from "logout-gateway-mock";
import { test as base, inject } from "vitest";

import { createAuth } from "../src/auth.js";

// Each test has a world of its own, so tests run at the same time and need no clean-up.
export const test = base.extend({
  mock: async ({ task }, use) => {
    const mock = await connectMock(inject("mockUrl"));
    const world = mock.world(task.id);
    await use(world);
    await world.end();
  },
  auth: async ({ mock }, use) => {
    await use(createAuth(mock.url, mock.anonKey));
  },
});
