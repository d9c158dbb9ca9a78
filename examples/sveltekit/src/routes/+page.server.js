export const load = ({ url }) => ({ failed: url.searchParams.has("logout") });
