// The gateway's GATEWAY_COOKIE_NAME. By default both follow SUPABASE_URL, but a browser that reaches
// GoTrue by this app's origin knows no SUPABASE_URL.
export const cookieOptions = { name: "sb-127-auth-token" };
