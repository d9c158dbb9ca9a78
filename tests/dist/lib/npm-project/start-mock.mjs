// Starts the mock with the binary that logout-gateway-mock finds, and reads a mail that the mock sent.

import { startMock } from "logout-gateway-mock";

const mock = await startMock({ autoconfirm: false });
await fetch(`${mock.url}/auth/v1/signup`, {
  method: "POST",
  body: JSON.stringify({ email: "ann@example.com", password: "a password" }),
});
console.log((await mock.mail({ to: "ann@example.com" })).type);
await mock.stop();
