// The page to which /auth/refresh redirects without a session. The proxy in front of this app must let every client
// reach it.
export { default } from "../page";
