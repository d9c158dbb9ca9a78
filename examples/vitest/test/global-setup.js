import { startMock } from "logout-gateway-mock";

// One mock for all test files. Vitest passes its URL on to the workers that run them.
export default async function setup(project) {
  const mock = await startMock({ autoconfirm: false });
  project.provide("mockUrl", mock.url);
  return mock.stop;
}
