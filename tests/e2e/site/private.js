// The script of a page behind the proxy's `auth_request`, which goes to the public page after a logout.

import { logOut } from "./session.js";

document.getElementById("log-out").addEventListener("click", async () => {
  await logOut();
  location.assign("/");
});
