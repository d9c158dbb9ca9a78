"use client";

import { useState } from "react";

import { browserClient } from "../lib/browser";

export function SignIn() {
  const [failure, setFailure] = useState();

  async function submit(event) {
    event.preventDefault();
    const { email, password } = Object.fromEntries(new FormData(event.target));
    const { error } = await browserClient().auth.signInWithPassword({ email, password });
    if (error) setFailure(error.message);
    else window.location.assign("/private");
  }

  return (
    <form method="post" onSubmit={submit}>
      <input name="email" type="email" defaultValue="demo@example.com" aria-label="E-mail" />
      <input name="password" type="password" defaultValue="demo-password" aria-label="Password" />
      <button>Sign in</button>
      <p role="alert">{failure}</p>
    </form>
  );
}
