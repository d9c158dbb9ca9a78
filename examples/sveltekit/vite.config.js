import adapter from "@sveltejs/adapter-node";
import { sveltekit } from "@sveltejs/kit/vite";
import { defineConfig } from "vite";

// The app's origin, as the browser sees it. By default SvelteKit assumes https, and it refuses every
// POST of a page with another origin, a logout too.
const origin = process.env.ORIGIN ?? "http://127.0.0.1:3000";

export default defineConfig({ plugins: [sveltekit({ adapter: adapter(), paths: { origin } })] });
