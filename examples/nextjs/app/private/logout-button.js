"use client";

import { useEffect } from "react";

import { browserClient, logOut } from "../../lib/browser";

// Navigate fully: the client-side router caches the private pages that it has shown.
const leave = (query = "") => window.location.assign(`/${query}`);

export function LogoutButton() {
  useEffect(() => {
    // Another tab has signed out.
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
