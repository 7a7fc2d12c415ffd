import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // The examples lie outside of the package and import it by its name.
  resolve: { alias: { ventros: fileURLToPath(new URL("dist/index.mjs", import.meta.url)) } },
  test: {
    include: ["tests/*.test.ts"],
    // The tests use the built package, as its users do.
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
  },
});
