import { redirect } from "next/navigation";

import { signedIn } from "../../lib/signed-in";
import { LogoutButton } from "./logout-button";

export default async function Private() {
  const user = await signedIn();
  if (!user) redirect("/");
  return (
    <main>
      <p>Signed in as {user.email}</p>
      <LogoutButton />
    </main>
  );
}
