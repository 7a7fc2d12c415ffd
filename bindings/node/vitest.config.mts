import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const about = (names: string[]) => names.map((name) => `tests/${name}.test.ts`);
/** What depends on the store runs on both of them. */
const stores = about(["callbacks", "calls", "copying", "errors", "handlers", "process", "sketch"]);

export default defineConfig({
  // The examples lie outside of the package and import it by its name.
  resolve: { alias: { ventros: fileURLToPath(new URL("dist/index.mjs", import.meta.url)) } },
  test: {
    // The tests use the built package, as its users do.
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
    projects: [
      { extends: true, test: { name: "sqlite", include: ["tests/*.test.ts"] } },
      { extends: true, test: { name: "postgres", include: stores, globalSetup: "tests/server.ts" } },
    ],
  },
});
