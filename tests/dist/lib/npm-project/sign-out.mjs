// Signs a user out with logout-gateway-client, in the environment of `logout-gateway mock --gateway`. Prints the
// outcome, and the number of sessions before and after.

import { createLogout } from "logout-gateway-client";
import { connectMock } from "logout-gateway-mock";

const mock = await connectMock();
const response = await fetch(`${mock.url}/auth/v1/signup`, {
  method: "POST",
  body: JSON.stringify({ email: "ann@example.com", password: "a password" }),
});
const session = await response.json();
const supabase = { auth: { getSession: async () => ({ data: { session } }) } };
const logout = createLogout({ supabase, gatewayUrl: process.env.GATEWAY_URL });
const { length: before } = await mock.sessions();
const { outcome } = await logout();
const { length: after } = await mock.sessions();
console.log(outcome, before, after);
