/** The examples of the README pass the type checker, and the first one runs as it stands. */

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";
import { command, folder, program, ROOT } from "./world.js";

const text = readFileSync(join(ROOT, "README.md"), "utf8");
const blocks = [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, block = ""]) => block);

test("the first example runs", async () => {
  const { code, out } = await program((blocks[0] ?? "").replace('"crm.db"', '":memory:"').replace(/ \/\/.*/g, ""));
  expect({ code, out }).toEqual({ code: 0, out: "email_invalid email\n" });
});

test("all examples are typed", async () => {
  const imports = blocks.join("\n").match(/^import .*$/gm) ?? [];
  const rest = blocks.map((block) => block.replace(/^import .*$/gm, ""));
  const home = folder();
  const compilerOptions = { rootDir: "/", noUnusedLocals: false };
  const config = { extends: join(ROOT, "tests/tsconfig.json"), compilerOptions, include: ["readme.ts"] };
  writeFileSync(join(home, "tsconfig.json"), JSON.stringify(config));
  const given = "declare const write: (event: unknown) => Promise<void>, welcome: (email: unknown) => Promise<void>;\n";
  writeFileSync(join(home, "readme.ts"), `${imports.join("\n")}\n${given}${rest.join("\n")}`);
  const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  await command(process.execPath, [tsc, "--project", home], ROOT);
});
