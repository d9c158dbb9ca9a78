import adapter from "@sveltejs/adapter-node";
import { sveltekit } from "@sveltejs/kit/vite";
import { defineConfig } from "vite";

// What the browser sees. SvelteKit takes it for https otherwise, and refuses every POST of a page
// that has another origin than this, the logout's too.
const origin = process.env.ORIGIN ?? "http://127.0.0.1:3000";

export default defineConfig({ plugins: [sveltekit({ adapter: adapter(), paths: { origin } })] });
