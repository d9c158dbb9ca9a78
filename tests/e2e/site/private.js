// A page behind the proxy's `auth_request`; after a logout it goes to the public page.

import { logOut } from "./session.js";

document.getElementById("log-out").addEventListener("click", async () => {
  await logOut();
  location.assign("/");
});
