// Compiles the server, the script of the pages and the tests into `build`.

import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(join(root, "../../bindings/node/package.json"));
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
for (const part of [".", "browser", "tests"]) {
  execFileSync(process.execPath, [tsc, "--project", join(root, part)], { stdio: "inherit" });
}
