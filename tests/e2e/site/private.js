// A page behind the proxy's `auth_request`, which is left after a logout.

import { logOut } from "./session.js";

document.getElementById("log-out").addEventListener("click", async () => {
  await logOut();
  location.assign("/");
});
