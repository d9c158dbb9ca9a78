import { SignIn } from "./sign-in";

export default async function Home({ searchParams }) {
  const { logout } = await searchParams;
  return (
    <main>
      {logout && <p>Signed out here. Other devices may hold on to the session.</p>}
      <SignIn />
    </main>
  );
}
