import { context } from "esbuild";
import { startMock } from "logout-gateway-mock";

// One mock and one site for all workers, at free ports. The workers inherit the variables.
export default async function setup() {
  const mock = await startMock({ autoconfirm: false });
  const bundler = await context({ entryPoints: ["src/app.js"], bundle: true, format: "esm", outdir: "site" });
  const { port } = await bundler.serve({ servedir: "site", host: "127.0.0.1", port: 0 });
  process.env.MOCK_URL = mock.url;
  process.env.SITE_URL = `http://127.0.0.1:${port}`;
  return async () => {
    await bundler.dispose();
    await mock.stop();
  };
}
