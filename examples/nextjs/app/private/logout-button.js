"use client";

import { useEffect } from "react";

import { browserClient, logOut } from "../../lib/browser";

// A whole navigation, for the router would keep the private pages that it has seen.
const leave = (query = "") => window.location.assign(`/${query}`);

export function LogoutButton() {
  useEffect(() => {
    // Another tab logged out.
    const { data } = browserClient().auth.onAuthStateChange((event) => {
      if (event === "SIGNED_OUT") leave();
    });
    return () => data.subscription.unsubscribe();
  }, []);

  async function click() {
    const { outcome } = await logOut();
    leave(/failed|offline/.test(outcome) ? `?logout=${outcome}` : "");
  }

  return <button onClick={click}>Log out</button>;
}
