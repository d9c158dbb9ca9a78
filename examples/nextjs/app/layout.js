export const metadata = { title: "logout-gateway with Next.js" };

export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>;
}
