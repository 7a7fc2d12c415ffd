/** The packed package, in an empty folder: it installs, it runs as ESM and as CJS, and both see its types. */

import { readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";
import { command, folder, ROOT } from "./world.js";

const SKETCH = `
async function main() {
  const crm = await open(":memory:", { background: false });
  const acme = await crm.projects.create({ name: "Acme", default_region: "BR" });
  const shop = crm.project(acme.id);
  await shop.on("contact.created", (event) => console.log(event.type, event.data.name));
  const [ana] = await shop.transact([contacts.create({ name: "Ana", phone: "(11) 90000-0001" })]);
  const id: ContactId = ContactId(ana.id);
  console.log((await shop.contacts.addTag(id, { tag: "vip" })).tags.join());
  await shop.contacts.update(id, { email: "no" }).catch((error) => console.log(error instanceof VentrosError, error.code));
  await crm.runPending();
  await crm.close();
}

main();
`;
const IMPORTS = `
import { open, VentrosError } from "ventros";
import { contacts } from "ventros/commands";
import type { ContactCreated } from "ventros/events";
import { ContactId } from "ventros/types";

export type { ContactCreated };
`;

test("the packed package works where it is installed", async () => {
  const [packed, home] = [folder(), folder()];
  await command("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", packed], ROOT);
  const [archive = ""] = readdirSync(packed);
  writeFileSync(join(home, "package.json"), '{ "private": true }');
  await command("npm", ["install", "--offline", "--silent", join(packed, archive)], home);

  writeFileSync(join(home, "esm.mts"), IMPORTS + SKETCH);
  writeFileSync(join(home, "cjs.cts"), IMPORTS + SKETCH);
  const require = createRequire(import.meta.url);
  const tsc = join(require.resolve("typescript/package.json"), "../bin/tsc");
  const types = join(ROOT, "node_modules/@types");
  const flags = ["--strict", "--module", "nodenext", "--target", "es2022", "--typeRoots", types, "--types", "node"];
  await command(process.execPath, [tsc, ...flags, "esm.mts", "cjs.cts"], home);
  for (const program of ["esm.mjs", "cjs.cjs"]) {
    expect(await command(process.execPath, [program], home)).toBe("vip\ntrue email_invalid\ncontact.created Ana\n");
  }

  // One implementation behind both doors: what one half of a program throws, the other recognises.
  const both = `
    import { createRequire } from "node:module";
    import { VentrosError } from "ventros";
    console.log(createRequire(import.meta.url)("ventros").VentrosError === VentrosError);
  `;
  writeFileSync(join(home, "both.mjs"), both);
  expect(await command(process.execPath, ["both.mjs"], home)).toBe("true\n");
}, 120_000);
