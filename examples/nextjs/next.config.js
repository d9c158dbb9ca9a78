const { GATEWAY_URL, SUPABASE_URL } = process.env;

export default {
  async rewrites() {
    return [
      // Only these two: /logout and verify are not for this app's pages.
      { source: "/api/auth/:route(logout|csrf)", destination: `${GATEWAY_URL}/api/auth/:route` },
      { source: "/auth/v1/:path*", destination: `${SUPABASE_URL}/auth/v1/:path*` },
    ];
  },
};
