/** Moving an installation: from a file to another store and back, with interruptions. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type CopyProgress, commands, copy, open } from "ventros";
import { expect, test } from "vitest";
import { failure, folder, lasting } from "./world.js";

/** A file in which something has happened. */
async function filled(): Promise<string> {
  const source = join(folder(), "source.db");
  await using crm = await open(source, { background: false });
  for (let number = 0; number < 4; number++) {
    const shop = crm.project((await crm.projects.create({ name: `Shop ${number}`, default_region: "BR" })).id);
    const phones = Array.from({ length: 500 }, (_, place) => `+55119${90_000_000 + place}`);
    await shop.transact(phones.map((phone) => commands.contacts.create({ name: "Ana", phone, tags: ["vip"] })));
  }
  return source;
}

async function names(location: string): Promise<string[]> {
  await using crm = await open(location, { background: false });
  const found: string[] = [];
  for await (const project of crm.projects.list()) {
    for await (const contact of crm.project(project.id).contacts.list({ limit: 100 }))
      found.push(`${contact.id} ${contact.phone}`);
  }
  return found;
}

test("everything moves there and back", async () => {
  const [source, target, third] = [await filled(), lasting(), join(folder(), "back.db")];
  const heard: CopyProgress[] = [];
  const there = await copy(source, target, { onProgress: (progress) => heard.push(progress) });
  expect(there.copied).toBe(there.rows);
  expect(there.sections).toContainEqual({ section: "contacts", rows: 2_000 });
  expect(heard.length).toBeGreaterThan(0);
  expect(heard.every(({ done, total }) => done <= total && total === there.rows)).toBe(true);
  const back = await copy(target, third);
  expect(back).toEqual(there);
  expect(await copy(source, target)).toEqual({ ...there, copied: 0 });
  const expected = await names(source);
  expect(expected).toHaveLength(2_000);
  expect(await names(target)).toEqual(expected);
  expect(await names(third)).toEqual(expected);
});

test("a target with data of its own is refused", async () => {
  const [source, target] = [await filled(), lasting()];
  await (await open(target, { background: false })).close();
  const error = await failure(copy(source, target));
  expect(error).toMatchObject({ name: "InvalidStateError", code: "target_not_empty", field: "target" });
});

test("a source must be there", async () => {
  const nowhere = join(folder(), "nowhere.db");
  expect(await failure(copy(nowhere, lasting()))).toMatchObject({ code: "unavailable", field: "source" });
  expect(existsSync(nowhere)).toBe(false);
  expect(await failure(copy(await filled(), ":memory:"))).toMatchObject({ code: "input_invalid", field: "target" });
});

test("what is broken off goes on with the next call", async () => {
  const [source, target] = [await filled(), lasting()];
  const reason = new Error("enough");
  const controller = new AbortController();
  const aborted = copy(source, target, { signal: controller.signal });
  controller.abort(reason);
  await expect(aborted).rejects.toBe(reason);
  const onProgress = () => {
    throw reason;
  };
  await expect(copy(source, target, { onProgress })).rejects.toBe(reason);
  const refused = await failure(open(target, { background: false }));
  expect(refused).toMatchObject({ name: "InvalidStateError", code: "copy_unfinished" });
  await copy(source, target);
  expect(await names(target)).toEqual(await names(source));
});
