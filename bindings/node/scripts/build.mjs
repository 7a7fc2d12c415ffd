// Builds the package into `dist`: the native module, the JavaScript and its types, and the ESM doors to them.
//
// node scripts/build.mjs [--release | --without-native]

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);
const dist = join(root, "dist");
const doors = ["index", "types", "events", "commands"];

/** The shared library that cargo made; a release without its symbols, which take ten times the room of the rest. */
function compile(release) {
  const flags = ["--package", "ventros-node", "--lib", "--message-format", "json-render-diagnostics"];
  const command = release ? ["rustc", ...flags, "--release", "--", "-C", "strip=symbols"] : ["build", ...flags];
  const output = execFileSync("cargo", command, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const messages = output.split("\n").filter((line) => line.startsWith("{"));
  const artefacts = messages.map((line) => JSON.parse(line)).filter(({ reason }) => reason === "compiler-artifact");
  const library = artefacts.find(({ target }) => target.name === "ventros_node");
  return library.filenames.find((name) => /\.(so|dylib|dll)$/.test(name));
}

const library = process.argv.includes("--without-native") ? undefined : compile(process.argv.includes("--release"));

// One implementation, in CommonJS: an error that one half of a program throws is an instance of the class that the other
// half imported.
rmSync(dist, { recursive: true, force: true });
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
execFileSync(process.execPath, [tsc, "--project", root], { stdio: "inherit" });
for (const door of doors) {
  writeFileSync(join(dist, `${door}.mjs`), `export * from "./${door}.js";\n`);
  writeFileSync(join(dist, `${door}.d.mts`), `export * from "./${door}.js";\n`);
}
const { artefact } = require("../dist/artefact.js");
mkdirSync(join(dist, "native"));
if (library !== undefined) copyFileSync(library, join(dist, "native", artefact()));
copyFileSync(join(root, "../../LICENSE"), join(dist, "LICENSE"));
